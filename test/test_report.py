"""test_report.py -- see test_report.sh."""
import math
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DEV = os.path.join(os.path.dirname(HERE), "dev", "report")
sys.path.insert(0, DEV)
import lab
import report

RESULTS = ("name,label,method,group,options,m,seed,lr,steps,tokens,test_loss,accuracy,exact,best_test_loss,best_step,best_accuracy,best_exact,"
           "best_general_loss,general_loss,general_accuracy,target_loss,choice_loss,base_test_loss,base_accuracy,base_exact,base_general_loss,folder,chosen")
PROBE = ("world,seed,step,label,method,group,options,n,m,draws,batches,parameters,t_norm2,reference_error,bias2,bias2_se,v_tgt,v_tgt_se,v_gen,v_gen_se,"
         "mse,mse_se,cos_t,cos_t_se,cos_true,cos_true_se,norm2,norm2_se,rho,rho_se,mass_0")
REPLICATES = "world,seed,step,label,draw,bias2,v_tgt,v_gen,mse,cos_t,cos_true,norm2,rho"


REWARDED = ("name,label,method,group,options,seed,lr,steps,reward,right,early_reward,best_reward,best_step,base_reward,base_right,sampled_reward,target_reward,"
            "known_accuracy,folder,chosen")


def rewarded_row(name, method, options, seed, reward, sampled=0.5, right=None, known=""):
    return (f"{name},{name},{method},,{options},{seed},0.001,20,{reward},{reward if right is None else right},0.25,{reward},20,0.125,0.125,{sampled},0.75,{known},"
            f"seed{seed}/{name},1")


# k is a quarter above f in every seed, though their errors overlap.
REWARDS = [rewarded_row(name, "full", options, seed, reward)
           for name, options, rewards in (("f", "--method full", (0.125, 0.25, 0.375)), ("k", "--method full --kl 1", (0.375, 0.5, 0.625)))
           for seed, reward in zip((0, 1, 2), rewards)]


def run_row(name, method, group, options, seed, final, best, general=0.5, chosen=1, m=16, steps=100):
    return (f"{name},{name},{method},{group},{options},{m},{seed},0.003,{steps},1000,{final},0.5,0.25,{best},{40 if best != final else steps},0.5,0.25,0.3,"
            f"{general},0.9,0.1,1,3.5,0.03,0,0.1,seed{seed}/m{m}/{name}-lr3e-3,{chosen}")


# a is half a nat below b in every seed, though their errors overlap; c is far from both in mean and uncertain. The row not chosen would win.
RUNS = [run_row(name, method, group, options, seed, final, best)
        for name, method, group, options, finals, bests in (
            ("a", "capped", "layer", "--method capped --keep 0.25 --group layer", (1, 2, 3), (1, 2, 3)),
            ("b", "subset", "layer", "--method subset --keep 0.25 --group layer", (1.5, 2.5, 3.5), (1.5, 1.0, 3.5)),
            ("t", "target", "", "--method target", (4, 5, 6), (3, 3, 3)))
        for seed, final, best in zip((0, 1, 2), finals, bests)]
RUNS.append(run_row("b", "subset", "layer", "--method subset --keep 0.25 --group layer", 0, 0.1, 0.1, chosen=0))


def probe_row(label, method, options, values, se=0.1, seed=0, group="layer"):
    bias2, v_tgt, v_gen = values
    measures = (bias2, v_tgt, v_gen, bias2 + v_tgt + v_gen, 0.5, 0.5, 1, 0.5)
    return f"ngram,{seed},0,{label},{method},{group},{options},32,16,3,2,100,1,0.01," + ",".join(f"{x:g},{se}" for x in measures) + ",1"


def replicate_rows(label, bias2, seed=0):
    """bias2 with each of three draws left out; v_tgt the same minus 0.1."""
    return [f"ngram,{seed},0,{label},{draw},{b:g},{b - 0.1:g},0,{b:g},0.5,0.5,1,0.5" for draw, b in enumerate(bias2)]


def write(folder, **files):
    os.makedirs(folder, exist_ok=True)
    for name, lines in files.items():
        with open(os.path.join(folder, name if name == "plan" else name + ".csv"), "w") as file:
            file.write("\n".join(lines) + "\n")


class Statistics(unittest.TestCase):
    def test_mean_and_error(self):
        e = lab.estimate([1, 2, 3])
        self.assertAlmostEqual(e.value, 2)
        self.assertAlmostEqual(e.error, 1 / math.sqrt(3))
        self.assertIsNone(lab.estimate([5]).error)
        self.assertIsNone(lab.estimate([]))
        self.assertTrue(math.isnan(lab.estimate([1, math.nan]).value))

    def test_paired(self):
        e = lab.paired({"0": 4, "1": 7, "3": 1}, {"1": 1, "0": 2, "2": 9})  # differences 2 and 6
        self.assertEqual((e.value, e.count), (4, 2))
        self.assertAlmostEqual(e.error, 2)
        self.assertFalse(lab.differs(e))  # two errors exactly are not more than two
        self.assertFalse(lab.differs(lab.estimate([5])))
        self.assertTrue(lab.differs(lab.Estimate(-2.1, 1, 3)))

    def test_jackknife(self):
        self.assertAlmostEqual(lab.jackknife_error([2.5, 2, 1.5]), 1 / math.sqrt(3))  # means of 1, 2, 3 with one left out

    def test_ranks(self):
        self.assertEqual(lab.ranks([3, 1, 3]), [2.5, 1, 2.5])
        self.assertAlmostEqual(lab.spearman([1, 2, 3, 4], [10, 20, 40, 30]), 0.8)
        self.assertAlmostEqual(lab.spearman([1, 2, 3], [3, 2, 1]), -1)
        self.assertIsNone(lab.spearman([1, 1], [1, 2]))

    def test_sets(self):
        self.assertEqual(lab.top_half([5, 1, 5, 9]), {0, 3})
        self.assertAlmostEqual(lab.jaccard({0, 1}, {1, 2}), 1 / 3)
        self.assertAlmostEqual(lab.chance_jaccard(8, 4), 0.3555, 4)
        self.assertAlmostEqual(lab.chance_jaccard(2, 1), 0.5)


class Numbers(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.folder = os.path.join(self.work.name, "tiny")

    def tearDown(self):
        self.work.cleanup()

    def lab(self, **files):
        write(self.folder, **files)
        return lab.Lab(self.folder)

    def test_best_is_marked_by_pairs(self):
        results = report.Results(self.lab(results=[RESULTS, *RUNS]).results, str)
        self.assertEqual(results.mean("b", "test_loss").value, 2.5)  # without the row that is not chosen
        self.assertEqual(results.marked("test_loss"), "a")
        self.assertIsNone(results.marked("best_test_loss"))  # b - a is 0.5, -1, 0.5: both means are 2
        self.assertAlmostEqual(results.forgetting("a").value, 0.4)

    def test_flops(self):
        command = "x --init L1,H1,C2,V5,T3 --batch 4 --steps 100"
        runs = ["folder,seed,m,name,label,lr,command"] + [f"seed0/m16/{name}-lr3e-3,0,16,{name},{name},0.003,{command}" for name in "abt"]
        sweep = self.lab(results=[RESULTS, *RUNS], runs=runs)
        P = lab.parameters(sweep)
        self.assertEqual(P, 5 * 2 + 3 * 2 + 12 * 4 + 13 * 2 + 2 * 2)
        of = {row["name"]: lab.flops(sweep, row, P) for row in sweep.results if row["seed"] == "0"}
        self.assertEqual(of, {"t": P * 6000, "b": P * (6000 + 100 * 8), "a": P * (6000 + 100 * (16 + 8))})

    def test_equal_tokens(self):
        rows = [{"name": name} for name in ("a", "a-flops", "b")]
        self.assertEqual([row["name"] for row in lab.equal_tokens(rows)], ["a-flops", "b"])
        self.assertEqual([row["name"] for row in lab.equal_steps(rows)], ["a", "b"])

    def test_probe_differences(self):
        sweep = self.lab(probe=[PROBE, probe_row("p", "subset", "--keep 0.5", (1.0, 0.1, 0)), probe_row("q", "subset", "--keep 0.25", (1.5, 0.3, 0))],
                         replicates=[REPLICATES, *replicate_rows("p", (1.0, 2.0, 3.0)), *replicate_rows("q", (1.5, 2.7, 3.3))])
        at = ("ngram", 0.0)
        gap = lab.difference(sweep, at, "q", "p", "bias2")  # left out: 0.5, 0.7, 0.3: sqrt(2/3 * 0.08)
        self.assertAlmostEqual(gap.value, 0.5)
        self.assertAlmostEqual(gap.error, math.sqrt(0.16 / 3))
        family, = lab.families(report.probe_variants(sweep, at))
        self.assertEqual((family.knob, family.members), ("keep", [(0.5, "p"), (0.25, "q")]))
        self.assertEqual(len(lab.wrong_steps(sweep, at, family, "bias2", -1)), 1)  # it rises by 0.5, more than 2 * 0.23
        self.assertEqual(lab.wrong_steps(sweep, at, family, "v_tgt", 1), [])
        self.assertEqual(lab.best_over(sweep, at, 10)[0], "p")

    def test_worlds_with_other_domains(self):
        sweep = self.lab(probe=[PROBE, probe_row("p", "full", "--method full", (1, 0, 0)), probe_row("q", "full", "--method full", (2, 0, 0)) + ",0.5,0.25"])
        self.assertEqual(sweep.tables["probe"][1]["mass_2"], "0.25")

    def test_whatever_the_length(self):
        row = {"v_tgt": 1, "v_gen": 1, "norm2": 4, "rho": 0.25}  # |E u|^2 = 2, cos^2 = 0.25 * 4 / 2
        self.assertEqual(lab.scale_free(row), {"v_share": 0.25, "turn": 0.5})
        self.assertIsNone(lab.scale_free({**row, "v_gen": 3})["turn"])
        self.assertIsNone(lab.scale_free({**row, "rho": None})["v_share"])

    def test_errors_over_seeds(self):
        self.assertAlmostEqual(lab.over_seeds([1, 3], [0.3, 0.4]).error, 0.25)  # two seeds: sqrt(.09 + .16) / 2
        self.assertAlmostEqual(lab.over_seeds([1, 2, 3], [9, 9, 9]).error, 1 / math.sqrt(3))
        self.assertIsNone(lab.over_seeds([1, 3], [0.3, None]).error)

    def test_case_study(self):
        head = "world,seed,step,draw,batch,site,block," + ",".join(f"s_{i}" for i in range(4))
        sweep = self.lab(scores=[head, "gpt,0,0,0,0,h0.q,0,1,2,3,4", "gpt,0,0,0,0,h0.fc,0,-10,30,20,-40"])
        study, n = lab.score_study(sweep.tables["scores"])
        q = study["h0.q", "0"]
        value = {quantity: q[quantity]["0", 0.0][0] for quantity in lab.STUDY}
        self.assertEqual(n, 4)
        self.assertEqual(value["magnitude"], 2.5)
        self.assertAlmostEqual(value["spearman"], -0.4)        # global: -9, 32, 23, -36
        self.assertAlmostEqual(value["spearman_rest"], -0.4)
        self.assertAlmostEqual(value["jaccard"], 1 / 3)        # {2, 3} and {1, 2}
        self.assertEqual(list(lab.by_type(study)), ["q", "fc"])

    def report(self):
        """report.py in a Python that has no matplotlib."""
        block = os.path.join(self.work.name, "without")
        os.makedirs(block, exist_ok=True)
        with open(os.path.join(block, "matplotlib.py"), "w") as file:
            file.write("raise ImportError('no matplotlib')\n")
        return subprocess.run([sys.executable, "-B", os.path.join(DEV, "report.py"), self.folder], env={**os.environ, "PYTHONPATH": block},
                              capture_output=True, text=True)

    def text_of_report(self):
        done = self.report()
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "report.md"), encoding="utf-8") as file:
            return file.read()

    def test_report(self):
        write(self.folder, results=[RESULTS, *RUNS])
        text = self.text_of_report()
        self.assertIn("| a | 3e-3 | **2.00 ± 0.58** | 2.00 ± 0.58 |", text)
        self.assertIn("| b | 3e-3 | 2.50 ± 0.58 | 2.00 ± 0.76 | +0.500 ± 0.000 |", text)
        self.assertIn("| t, stopped at its best by an oracle | 3e-3 | 3.00 ± 0.00 |", text)
        self.assertIn("a < b < t", text)
        self.assertIn("Test loss of t turns upward (GPT, m = 16): **holds**. It ends 2.00 ± 0.58 above its lowest", text)
        self.assertIn("| a − b | **-0.500 ± 0.000** | +0.00 ± 0.50 | 3 |", text)
        for missing in ("probe", "curves", "composition", "scores", "runs", "ngram_curves"):
            self.assertIn(f"Not shown: {missing}.csv is missing.", text)
        self.assertIn("No figures: no matplotlib", text)
        self.assertEqual(self.text_of_report(), text)
        with open(os.path.join(self.folder, "report.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("<td><b>2.00 ± 0.58</b></td>", page)
        self.assertNotIn("http", page)

    def test_report_on_prompts(self):
        write(self.folder, results=[REWARDED, *REWARDS], curves=["name,seed,step,reward,right,sampled_reward,target_reward", "f,0,0,0.125,0.125,,"])
        text = self.text_of_report()
        self.assertIn("6 training runs on prompts; seeds 0, 1, 2.", text)
        self.assertIn("| method | learning rate | right answers, after a sixth | right answers, end |", text)
        self.assertIn("| base, before |  |  | 12.5 ± 0.0 % |", text)
        self.assertIn("| f | 1e-3 | 25.0 ± 0.0 % | 25.0 ± 7.2 % | 25.0 ± 7.2 % | -25.0 ± 0.0 |  | 75.0 ± 0.0 % |", text)
        self.assertIn("| k | 1e-3 | 25.0 ± 0.0 % | **50.0 ± 7.2 %** | 50.0 ± 7.2 % |  | +25.0 ± 0.0 | 75.0 ± 0.0 % |", text)
        self.assertIn("k > f.", text)
        for wrong in ("loss", "Not shown: probe", "Forgetting", "learned"):
            self.assertNotIn(wrong, text)

    def test_report_on_a_learned_reward(self):
        rows = [rewarded_row("f", "full", "--method full", seed, 0.5, sampled=-2 * seed, right=0.25, known=0.5 + seed / 4) for seed in (0, 1)]
        write(self.folder, results=[REWARDED, *rows])
        text = self.text_of_report()
        self.assertIn("| method | learning rate | learned reward, end | true rule, end | at its best (oracle) | full reward, end |", text)
        self.assertIn("| f | 1e-3 | -1.0 ± 1.0 | 50.0 ± 0.0 % | 50.0 ± 0.0 % | 25.0 ± 0.0 % |", text)
        self.assertIn("puts 62.5 ± 12.5 % of the held-out pairs in the right order", text)
        self.assertIn("With 2 seeds a standard error over seeds is itself hardly known", text)
        self.assertIn("Not shown: curves.csv is missing.", text)

    def test_report_of_probes_alone(self):
        for objective, items in (("grpo", "responses"), ("dpo", "pairs"), ("sft", "rows")):
            with self.subTest(objective):
                write(self.folder, probe=[PROBE, probe_row("p", "full", "--method full", (1, 0, 0))],
                      runs=["folder,seed,m,name,label,lr,command", f"seed0/probe/0,0,,probe,,,x --probe y --objective {objective} --batch 4"])
                text = self.text_of_report()
                self.assertIn(f"3 target sets of m = 16 {items}, each with 2 batches of n = 32 general {items}.", text)
                self.assertIn("1 row of probes at 1 checkpoint; seed 0.", text)
                for wrong in ("training runs", "Test loss", "Final test loss", "results.csv is missing", "curves.csv is missing"):
                    self.assertNotIn(wrong, text)

    def test_empty_tables(self):
        write(self.folder, results=[RESULTS, *RUNS], probe=[PROBE], curves=["name,m,seed,step,test_loss,general_loss,target_loss,tokens"])
        text = self.text_of_report()
        self.assertIn("Not shown: probe.csv holds no rows.", text)
        self.assertIn("Not shown: curves.csv holds no rows.", text)

    def test_a_run_that_diverged(self):
        write(self.folder, results=[RESULTS, *RUNS, run_row("x", "cone", "layer", "--method cone", 0, "nan", "3")])
        text = self.text_of_report()
        self.assertIn("Runs whose loss is no longer a number: x.", text)
        self.assertIn("| x | 3e-3 | diverged |", text)

    def test_faults(self):
        good = probe_row("p", "full", "--method full", (1, 0, 0))
        for files, wanted in (({"probe": [PROBE.replace(",rho,", ",r,"), good]}, "no column rho"),
                              ({"probe": [PROBE, good.replace("0.01,1,", "0.01,nan,")]}, "probe.csv, line 2: bias2 is nan"),
                              ({"probe": [PROBE, good.replace("ngram,0,", "ngram,")[:-9]]}, "line 2: 28 fields, the header has 31"),
                              ({"results": [RESULTS, RUNS[0].replace(",100,1000", ",many,1000")]}, 'steps is "many", which is no number'),
                              ({"plan": [""]}, "holds none of runs.csv"), (None, "is not there")):
            with self.subTest(wanted), tempfile.TemporaryDirectory() as work:
                self.folder = os.path.join(work, "bad")
                if files is not None:
                    write(self.folder, **files)
                done = self.report()
                self.assertEqual(done.returncode, 1)
                self.assertIn(wanted, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
