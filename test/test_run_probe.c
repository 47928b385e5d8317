// test_run_probe.c -- --probe from the inside, for every objective: what it writes against runs of the trainer, one for each variant and
// pass, on the same rows. The estimates themselves are test_probe.c's.
#include "trainer.h"
#include "pairwise.h"

#include <sys/stat.h>

enum { T = 9, V = 17, GENERAL = 20, TARGET = 24, VAL = 14, R = 4, Q = 2, SEED = 5, GROUP = 4, MOST = 8192 };

// From row `again` on the first ones come once more, and the last two are new.
static void write_rows(const char* path, ExamplesKind kind, int rows, int again) {
    uint16_t tokens[TARGET * (T + 1)];
    unsigned char mask[TARGET * T];
    for (int i = 0; i < rows; i++) {
        random_row(tokens + i * (T + 1), mask + i * T, T, V);
        if (i < again || i >= rows - 2) { continue; }
        memcpy(tokens + i * (T + 1), tokens + (i - again) * (T + 1), sizeof(uint16_t) * (T + 1));
        memcpy(mask + i * T, mask + (i - again) * T, T);
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, kind, TOKENIZER_NONE);
}

// Of the rows of a file those from `first` on.
static void write_part(const char* path, const char* whole, ExamplesKind kind, int first, int rows) {
    Dataset d = dataset_open(whole, 0);
    uint16_t tokens[TARGET * (T + 1)];
    unsigned char mask[TARGET * T];
    int inputs[T], targets[T];
    for (int i = 0; i < rows; i++) {
        dataset_row(&d, (size_t)(first + i), V, inputs, targets, mask + i * T, T);
        for (int t = 0; t < T; t++) { tokens[i * (T + 1) + t] = (uint16_t)inputs[t]; }
        tokens[i * (T + 1) + T] = (uint16_t)targets[T - 1];
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, kind, TOKENIZER_NONE);
    dataset_close(&d);
}

// With a scalar head.
static void write_model(const char* path, const char* pairs) {
    run_begin("--init L2,H3,C12,V17,T10 --objective reward --general %s --threads 1", pairs);
    fill_params(run.model, 0.3f);
    model_write(path, gpt2_config(run.model), MODEL_FP32, run.model->params, run.model->num_params);
    run_close(&run);
}

static void write_data(ExamplesKind kind, int half) {
    test_rng = 3;
    write_rows(scratch("a.bin"), KIND_PAIRS, 2, TARGET);
    write_model(scratch("base.bin"), scratch("a.bin"));
    write_rows(scratch("general_a.bin"), kind, GENERAL, TARGET);
    write_rows(scratch("general_b.bin"), kind, 8, TARGET);
    write_rows(scratch("target.bin"), kind, TARGET, TARGET);
    write_rows(scratch("val.bin"), kind, VAL, half); // so that the halves of the reference agree
    write_part(scratch("half_a.bin"), scratch("val.bin"), kind, 0, half);
    write_part(scratch("half_b.bin"), scratch("val.bin"), kind, half, VAL - half);
}

static struct { int n, m; } shape = { 4, 2 };

static const char variants[] =
    "target | --method target\n"
    "full | --method full\n"
    "mix | --method mix --mix 0.3\n"
    "random | --method random --keep 0.4\n"
    "subset | --method subset --keep 0.5\n"
    "subset global | --method subset --keep 0.5 --group global\n"
    "filter | --method filter --group block --normalise 1\n"
    "cone matrix | --method cone --group matrix\n"
    "cone sublayer | --method cone --group sublayer\n"
    "cone global | --method cone --group global --ridge 0.1\n"
    "capped | --method capped --keep 0.5 --group block\n"
    "span | --method span --ridge 0.1\n"
    "agem | --method agem --group global\n"
    "gem | --method gem --group global\n"
    "auto | --method cone --strength auto --group global\n"
    "inside | --method inside --rank 2\n"
    "ray | --method subset --keep 0.5 --rescale ray --group global\n";

static const char few[] = "target | --method target\nfull | --method full\nfilter | --method filter --group block\ncone | --method cone --group global\n";

// What a run has made of its parameters but the head, which is no site.
static void keep_update(float* to) {
    const GPT2Config* c = gpt2_config(run.model);
    size_t size = run.model->num_params - (c->head ? (size_t)c->channels + 1 : 0);
    expect(size <= MOST);
    memcpy(to, run.model->grads, sizeof(float) * size);
}

// A pass with other random numbers for its responses; those to the target prompts are of the draw, or of the pass.
static void update(int step, int pass, StepRow* row) {
    if (run.round) {
        run.round->number = pass;
        run.round->target_draws = run.round_options.target_refresh == 1 ? pass : pass / Q;
        if (run.round->target_draws > 0) { run.round->target_age = 9; } // it is time for new ones
        round_update(&run, step, row);
    } else {
        compute_update(&run, step, row);
    }
    end_update(&run, row);
}

// The updates of the trainer with these options: a run for each pass, its readers moved to where the probe is then.
static void updates_of(float* u, const char* options, int is_population) {
    char general[300];
    snprintf(general, sizeof(general), "%s", scratch("general_?.bin"));
    for (int pass = 0; pass < R * Q; pass++) {
        StepRow row = {0};
        run_begin("--init %s --seed %d --threads 1 --batch %d --target-batch %d --general %s --target %s %s", scratch("base.bin"), SEED, shape.n, shape.m, general,
                  scratch("target.bin"), options);
        if (is_population) {
            reader_close(&run.target_reader);
            run.target_reader = reader_open(&run.target, SEED + 1 + (uint64_t)(pass / Q), 1);
        }
        int group = run.round ? run.round->group : 1;
        for (int i = 0; i < pass * run.batch.n / group; i++) { reader_next(&run.general_reader); }
        for (int j = 0; j < (is_population ? 0 : pass / Q) * run.batch.m / group; j++) { reader_next(&run.target_reader); }
        update(run.drpt.basis ? 0 : pass, pass, &row);
        expect(row.rows_left_out == 0);
        keep_update(u + (size_t)pass * MOST);
        run_close(&run);
    }
}

// The mean reward of all rows as baseline, whatever their prompts.
static void expect_standardised(const RoundRows* r) {
    double mean = 0.0, squares = 0.0;
    for (int i = 0; i < r->rows; i++) { mean += (double)r->reward[i] / r->rows; }
    for (int i = 0; i < r->rows; i++) { squares += pow(r->reward[i] - mean, 2.0) / (r->rows - 1); }
    for (int i = 0; i < r->rows; i++) {
        for (int n = i * r->T; n < (i + 1) * r->T; n++) {
            expect(fabs(r->advantage[n] - (r->mask[n] ? (r->reward[i] - mean) / (sqrt(squares) + 1e-6) : 0.0)) <= 1e-5);
        }
    }
}

// Of a target that is all prompts of a file, in its order, each with four responses.
static void mean_of_responses(float* g, const char* file, int prompts, const char* objective, int half) {
    StepRow row = {0};
    run_begin("--init %s --seed %d --threads 1 --target %s --target-batch %d --method target %s", scratch("base.bin"), SEED, file, GROUP * prompts, objective);
    Reader reader = reader_open(&run.target, 0, 0);
    for (int number = 0, at = 0; at < GROUP * prompts; number++) { // eight at a time, as the probe has them
        RoundRows some = round_rows_create(8, run.T);
        round_draw(&run, &some, &reader, (uint64_t)(6 + half) << 32, number);
        for (int i = 0; i < some.rows && at < GROUP * prompts; i++) { round_rows_copy(&run.round->target, at++, &some, i); }
        round_rows_free(&some);
    }
    round_compare_target(&run, &run.round->target);
    if (!strstr(objective, "--target-objective")) { expect_standardised(&run.round->target); }
    round_fill(&run);
    round_compute(&run, &run.drpt, 0, 0, &row);
    drpt_end(&run.drpt);
    keep_update(g);
    reader_close(&reader);
    run_close(&run);
}

// The mean over all rows of a file, by plain training on it.
static void mean_gradient(float* g, const char* file, int batch, const char* objective, int half) {
    StepRow row = {0};
    if (strstr(objective, "--max-new")) { mean_of_responses(g, file, batch, objective, half); return; }
    run_begin("--init %s --seed %d --threads 1 --general %s --batch %d %s", scratch("base.bin"), SEED, file, batch, objective);
    compute_update(&run, 0, &row); end_update(&run, &row);
    keep_update(g);
    run_close(&run);
}

static void read_row(char* text, const char* name, int row, ProbeResult* result, double* t_norm2, double* reference_error, const char* label) {
    char* rest = text;
    for (int i = 0; i <= row; i++) { strsep(&rest, "\n"); }
    char* line = strsep(&rest, "\n");
    expect(line && strncmp(line, label, strlen(label)) == 0 && name);
    for (int c = 0; line && c < 9; c++) { strsep(&line, ","); }
    *t_norm2 = line ? strtod(strsep(&line, ","), NULL) : NAN;
    *reference_error = line ? strtod(strsep(&line, ","), NULL) : NAN;
    for (int e = 0; e < 2 * NUM_ESTIMATES; e++) { ((double*)result)[e] = line ? strtod(strsep(&line, ","), NULL) : NAN; }
}

// `also` are options of the probe's alone.
static void expect_probe(const char* to_measure, const char* objective, const char* also, int per, int is_population) {
    static float u[R * Q * MOST], target[R * Q * MOST], half[2 * MOST];
    char list_file[300], folder[300], general[300];
    snprintf(list_file, sizeof(list_file), "%s", scratch("list.txt"));
    snprintf(folder, sizeof(folder), "%s", scratch("probed"));
    snprintf(general, sizeof(general), "%s", scratch("general_?.bin"));
    FILE* f = fopen(list_file, "w");
    if (f == NULL) { abort(); }
    fputs(to_measure, f);
    fclose(f);
    run_begin("--init %s --seed %d --threads 1 --batch %d --target-batch %d --general %s --target %s --val %s --probe %s --draws %d --draw-batches %d "
              "--out %s %s %s", scratch("base.bin"), SEED, shape.n, shape.m, general, scratch("target.bin"), scratch(is_population ? "target.bin" : "val.bin"), list_file,
              R, Q, folder, objective, also);
    run_close(&run);

    ProbeList list = probe_list_read(list_file);
    memset(u, 0, sizeof(u));
    if (is_population) {
        mean_gradient(half, scratch("target.bin"), TARGET / per, objective, 0);
        mean_gradient(half + MOST, scratch("target.bin"), TARGET / per, objective, 1);
    } else {
        mean_gradient(half, scratch("half_a.bin"), VAL / per / 2, objective, 0);
        mean_gradient(half + MOST, scratch("half_b.bin"), VAL / per - VAL / per / 2, objective, 1);
    }
    for (int v = 0; v < list.count; v++) {
        char options[512];
        ProbeResult got;
        double t_norm2, error;
        snprintf(options, sizeof(options), "%s %s", list.variant[v].text, objective);
        updates_of(u, options, is_population);
        if (v == 0) { memcpy(target, u, sizeof(u)); } // the first one is the target alone
        char* path = path_join(folder, "probe.csv");
        char* text = input_text(path);
        read_row(text, path, v, &got, &t_norm2, &error, list.variant[v].label);
        double t2 = product(half, half + MOST, MOST), apart = 0.0;
        for (int k = 0; k < MOST; k++) { apart += pow((double)half[k] - half[MOST + k], 2.0); }
        expect_estimate(list.variant[v].label, "|t*|^2", t_norm2, t2, 1e-5 * product(half, half, MOST));
        expect_estimate(list.variant[v].label, "the reference's error", error, apart / 4.0 / t2, 1e-4 * apart / t2);
        expect_estimates(&got, list.variant[v].label, &(Updates){ u, target, half, MOST, R, Q }, 1e-4);
        free(text);
        free(path);
    }
    probe_list_free(&list);
}

static void test_examples(void) {
    write_data(KIND_EXAMPLES, VAL / 2);
    expect_probe(variants, "", "", 1, 0);
    expect_probe(few, "", "", 1, 1);
}

#define DPO "--objective dpo --beta 0.6 --reference L1,H2,C8,V17,T9"

static void test_pairs(void) {
    write_data(KIND_PAIRS, VAL / 2 / 2 * 2);
    expect_probe(variants, DPO, "--recompute 1", 2, 0);
    expect_probe(few, DPO, "", 2, 1);
    expect_probe(few, "--objective dpo", "", 2, 1); // against itself: every pair weighs the same
}

static void test_scores(void) {
    write_data(KIND_PAIRS, VAL / 2 / 2 * 2);
    expect_probe(variants, "--objective reward", "", 2, 0);
    expect_probe(few, "--objective reward", "--recompute 1", 2, 1);
}

static char judge[300];

// A judge of whatever is said, by its digits: 0, 1 or 2.
static void write_judge(void) {
    static const char* const text = "#!/bin/sh\nwhile IFS= read -r line; do\n"
        "line=${line#*response}; case ${line%answer*} in *1*[3-7]*) echo 2 ;; *[1-4]*) echo 1 ;; *) echo 0 ;; esac\ndone\n";
    snprintf(judge, sizeof(judge), "%s", scratch("judge.sh"));
    FILE* f = fopen(judge, "w");
    if (f == NULL) { abort(); }
    fputs(text, f);
    fclose(f);
    expect(chmod(judge, 0700) == 0);
}

#define SAMPLED(objective) "--objective " objective " --group-size 4 --max-new 4 --reward-command %s "
#define GRPO SAMPLED("grpo")
#define PPO SAMPLED("ppo")

static void test_responses(void) {
    char options[600];
    write_judge();
    write_data(KIND_PROMPTS, VAL / 2);
    shape.n = 12;
    shape.m = 8;
    snprintf(options, sizeof(options), GRPO, judge);
    expect_probe(variants, options, "", 1, 0);
    snprintf(options, sizeof(options), GRPO "--kl 0.3 --reference L1,H2,C8,V17,T10 --target-objective objective", judge);
    expect_probe(few, options, "", 1, 1);
    snprintf(options, sizeof(options), GRPO "--target-objective pre-clip --target-refresh 1 --temperature 0.7", judge);
    expect_probe(few, options, "", 1, 0);
}

// Values are part of the general responses' gradients, and of the target's where its objective is all of it.
static void test_responses_with_values(void) {
    char options[600];
    write_judge();
    write_data(KIND_PROMPTS, VAL / 2);
    shape.n = 12;
    shape.m = 8;
    snprintf(options, sizeof(options), PPO, judge);
    expect_probe(few, options, "", 1, 0);
    snprintf(options, sizeof(options), PPO "--kl 0.3 --reference L1,H2,C8,V17,T10 --target-objective objective", judge);
    expect_probe(variants, options, "", 1, 1);
    snprintf(options, sizeof(options), PPO "--target-objective pre-clip --target-refresh 1 --gamma 0.9 --value-weight 2", judge);
    expect_probe(few, options, "", 1, 0);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "run_probe/examples", test_examples },
        { "run_probe/pairs", test_pairs },
        { "run_probe/scores", test_scores },
        { "run_probe/responses", test_responses },
        { "run_probe/responses_with_values", test_responses_with_values },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
