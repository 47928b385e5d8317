# plan.awk -- reads a plan and lists its jobs, each with the commands that do it.
#
#     awk [-v show=jobs|options|variants|variables|slurm] [-v seeds="0 1"] [-v first_rate=1] [-v steps=N] [-v base_steps=N] -f dev/sweep/plan.awk PLAN
#
# A plan is lines of a keyword and what belongs to it; '#' begins a comment. world, seeds, base, threads and slurm hold for the whole plan,
# m, rates, post, general and target for what is below them:
#
#     world tasks OPTIONS      the data are made by dev/tasks, with these options besides
#     world instruct OPTIONS   the data are made by dev/prep, with these, from the files in the folder $DATA
#     world sums OPTIONS       prompts, with answers to judge by, are made by dev/sums
#     world letters OPTIONS    prompts, and preference pairs to learn a reward from, are made by dev/letters, which judges evaluations
#     match TEXT               instruct: the records with this text are the target's [synonym]
#     seeds 0 1 2              each is a world: its data, its base model, its order of the rows
#     base OPTIONS or FILE     how the base model is trained, or where it lies
#     reward OPTIONS           letters: how the model of the reward is trained, from the base
#     m 4 16 inf               target rows; every run is made with each number; inf: fresh ones in every step; of prompts there are 16
#     general no               no general rows for what needs none: --method target, which otherwise passes them through the model in vain
#     target no                no target rows, which --method full only measures; yes: with them again
#     post OPTIONS             of every run
#     rates 3e-3 6e-3          learning rates of the runs that name none
#     threads 1                of a run
#     run NAME | LABEL | OPTIONS | RATES | SECONDS     the last two may be left out
#     trajectory OPTIONS       a run on target_inf.bin, whose checkpoints are probed; of sums on val.bin
#     probe 0 25 100 OPTIONS   the steps of it that are probed, by pool.bin and reference.bin; of sums by target.bin and test.bin
#     ngram OPTIONS            the exactly solvable world, once a seed
#     variant LABEL | OPTIONS  what is probed
#     slurm OPTIONS            of the job array
#
# {a,b} in the options of a run or variant stands for several, one with each value; several such lists for all combinations. The
# values are put behind the name and the label. $NAME is a variable of the environment, which must be set.
#
# A job is a line: kind|folder|seed|m|name|label|learning rate|seconds|steps|needs|command && command ...
# where needs are the finished files that it cannot do without, and the commands know of $OUT, $BUILD and $TRAINER.

function fail(text) { printf "error: %s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"; failed = 1; exit 1 }
function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }

BEGIN {
    if (show == "") show = "jobs"
    all = "world match seeds base reward m general target post rates threads run trajectory probe ngram variant slurm"
    split(all, list, " ")
    for (i in list) known[list[i]]
    setting["world"] = "tasks"; setting["m"] = "16"; setting["threads"] = 1; setting["match"] = "synonym"
}

{ sub(/(^|[ \t])#.*/, "") }
NF == 0 { next }
{
    keyword = $1
    rest = trim(substr($0, index($0, $1) + length($1)))
    if (!(keyword in known)) fail("'" keyword "' begins no line of a plan; these do: " all)
    if (rest == "") fail(keyword " what?")
    check_words(keyword, rest)
}
keyword == "run" { read_run(rest); next }
keyword == "variant" { read_variant(rest); next }
keyword == "m" { check_numbers(rest, "^([1-9][0-9]*|inf)$", "a number of target rows, or inf") }
keyword == "seeds" { check_numbers(rest, "^[0-9]+$", "a seed") }
keyword == "rates" { check_numbers(rest, "^[0-9.]+(e-?[0-9]+)?$", "a learning rate") }
keyword ~ /^(general|target)$/ && rest !~ /^(yes|no)$/ { fail(keyword " yes or no?") }
keyword == "trajectory" { trajectory_general = setting["general"] != "no"; trajectory_post = setting["post"] }
keyword == "threads" { check_numbers(rest, "^[1-9][0-9]*$", "a number of threads") }
keyword == "world" && rest !~ /^(tasks|instruct|sums|letters)( |$)/ { fail("'" rest "' is no world; tasks, instruct, sums and letters are") }
keyword ~ /^(world|seeds|base|reward|threads|slurm|match|trajectory|probe|ngram)$/ && (keyword in line) { fail("a second line '" keyword "'; the first is line " line[keyword]) }
keyword ~ /^(base|reward|post|trajectory)$/ && rest ~ /^--/ { note_options(rest) }
keyword == "probe" { note_options(words_after_numbers(rest)) }
{ setting[keyword] = rest; line[keyword] = FNR }

# What stands in a plan becomes words of a command: nothing else than words may stand there.
function check_words(keyword, text,    name) {
    if (keyword == "match") { if (text ~ /['|&]/) fail("a text without ', | and &, please"); return }
    if (keyword ~ /^(run|variant)$/) { sub(/[^|]*\|/, "", text); if (keyword == "run") sub(/[^|]*\|/, "", text) }
    if (match(text, /[^A-Za-z0-9_.,:\/=+%@$|{} \t-]/)) fail("'" substr(text, RSTART, 1) "' has no place in options")
    while (match(text, /\$[A-Za-z0-9_]*/)) {
        name = substr(text, RSTART + 1, RLENGTH - 1)
        text = substr(text, RSTART + RLENGTH)
        if (name ~ /^(OUT|BUILD|TRAINER)$/) continue
        if (ENVIRON[name] == "") fail("$" name " is not set; say make sweep PLAN=... " name "=...")
        note_variable(name)
    }
}

function check_numbers(text, pattern, what,    list, count, i) {
    count = split(text, list, /[ \t]+/)
    for (i = 1; i <= count; i++) if (list[i] !~ pattern) fail("'" list[i] "' is not " what)
}

# What a variable held belongs to what a run is.
function note_variable(name) { if (show == "variables") printf "%s=%s ", name, ENVIRON[name] }

# Options that only the trainer can judge are told, with their line.
function note_options(options) { sub(/--init [^ ]*/, "", options); if (show == "options") printf "%s:%d|%s\n", FILENAME, FNR, options }

function words_after_numbers(text) { while (text ~ /^[0-9]+([ \t]|$)/) sub(/^[0-9]+[ \t]*/, "", text); return text }

# The text with its brace lists spelled out: text_of[1..], and values_of[1..], which is what was chosen. Returns how many.
function expand(text,    count, made, i, k, open, shut, part, parts, texts, values) {
    count = 1; text_of[1] = text; values_of[1] = ""
    while ((open = index(text_of[1], "{")) > 0) {
        made = 0
        for (i = 1; i <= count; i++) {
            open = index(text_of[i], "{"); shut = index(text_of[i], "}")
            if (shut < open) fail("'{' without '}'")
            parts = split(substr(text_of[i], open + 1, shut - open - 1), part, ",")
            for (k = 1; k <= parts; k++) {
                texts[++made] = substr(text_of[i], 1, open - 1) part[k] substr(text_of[i], shut + 1)
                values[made] = values_of[i] " " part[k]
            }
        }
        for (i = 1; i <= made; i++) { text_of[i] = texts[i]; values_of[i] = values[i] }
        count = made
    }
    if (index(text_of[1], "}")) fail("'}' without '{'")
    return count
}

function read_run(text,    field, fields, count, i, value) {
    fields = split(text, field, "|")
    if (fields < 3 || fields > 5) fail("a run is NAME | LABEL | OPTIONS | RATES | SECONDS, where the last two may be left out")
    for (i = 1; i <= 5; i++) field[i] = trim(field[i])
    if (field[1] !~ /^[A-Za-z0-9_.-]+$/) fail("'" field[1] "' is no name: letters, digits, - and . are")
    if (field[2] ~ /[,{}]/) fail("a label is for a table: no commas or braces")
    if (field[4] == "") field[4] = setting["rates"]
    if (field[4] == "") fail("with which learning rates? in the fourth column, or in a line 'rates' above")
    check_numbers(field[4], "^[0-9.]+(e-?[0-9]+)?$", "a learning rate")
    count = expand(field[3])
    for (i = 1; i <= count; i++) {
        value = values_of[i]; gsub(/ /, "-", value)
        if (text_of[i] ~ /,/) fail("options of a run become a column of a table: no commas outside of braces")
        add_run(field[1] value, field[2] values_of[i], text_of[i], field[4], field[5] == "" ? 5 : field[5])
    }
}

function add_run(name, label, options, rates, cost) {
    if (name in run_line) fail("a second run " name "; the first is of line " run_line[name])
    run_line[name] = FNR
    runs++
    run_name[runs] = name; run_label[runs] = label; run_options[runs] = options; run_rates[runs] = rates; run_cost[runs] = cost
    run_m[runs] = setting["m"]; run_post[runs] = setting["post"]
    run_general[runs] = setting["general"] != "no"; run_target[runs] = setting["target"] != "no"
    note_options(options)
}

function read_variant(text,    field, count, i) {
    if (split(text, field, "|") != 2) fail("a variant is LABEL | OPTIONS")
    if (field[1] ~ /[,{}]/) fail("a label is for a table: no commas or braces")
    count = expand(trim(field[2]))
    for (i = 1; i <= count; i++) {
        note_options(text_of[i])
        variants++
        if (show == "variants") printf "%s%s | %s\n", trim(field[1]), values_of[i], text_of[i]
    }
}

# ---------------------------------------------------------------------------------------------
# The worlds: where the data and the base model of a seed come from.

function sizes(    list, count, i, k, of, text) {
    for (i = 1; i <= runs; i++) {
        count = split(run_m[i], list, /[ \t]+/)
        for (k = 1; k <= count; k++) if (!(list[k] in of)) { of[list[k]]; text = text "," list[k] }
    }
    if (setting["trajectory"] != "" && !("inf" in of)) text = text ",inf"
    return substr(text, 2)
}

function data_of(seed) { return "seed" seed "/data" }
function base_folder(seed) { return world == "instruct" ? "base" : "seed" seed "/base" }
function reward_folder(seed) { return "seed" seed "/reward" }
function base_model(seed) { return base_given ? setting["base"] : "$OUT/" base_folder(seed) "/model_final.bin" }
function kept_back() { return world == "tasks" ? "labelled.bin" : "held_out.bin" } # what may be forgotten

function list_tasks_data(seed,    folder) {
    folder = data_of(seed)
    job("data", folder, seed, "", "data", "", "", 0, 0, "", "$BUILD/dev/tasks --out $OUT/" folder " --seed " seed " --show 4" \
        (sizes() == "" ? "" : " --sizes " sizes()) world_options " >$OUT/" folder "/rows.txt")
}

function list_prompts_data(seed,    folder) {
    folder = data_of(seed)
    job("data", folder, seed, "", "data", "", "", 0, 0, "", "$BUILD/dev/" world " --out $OUT/" folder " --seed " seed " --show 4" world_options " >$OUT/" folder "/rows.txt")
}

# Of the records that match, the first are the target's, some choose the rate, and the others are the test.
function list_instruct_data(seed,    folder, prep, list, count, i, most, command, judges) {
    folder = data_of(seed)
    if (sizes() ~ /inf/) fail("the world instruct has no end of target rows: no m inf, no trajectory")
    prep = "$BUILD/dev/prep --seed " seed world_options
    count = split(sizes(), list, ",")
    for (i = 1; i <= count; i++) {
        if (list[i] + 0 > most) most = list[i] + 0
        command = command prep " --input $DATA/instruction_data.json --match '" setting["match"] "' --take " list[i] " --out $OUT/" folder "/target_" list[i] ".bin && "
    }
    judges = 16
    command = command prep " --input $DATA/instruction_data.json --match '" setting["match"] "' --skip " most " --take " judges " --out $OUT/" folder "/val.bin && "
    command = command prep " --input $DATA/instruction_data.json --match '" setting["match"] "' --skip " (most + judges) " --out $OUT/" folder "/test.bin && "
    command = command prep " --input $DATA/instruction_data.json,$DATA/alpaca_en_demo.json --not-match '" setting["match"] "' --drop --out $OUT/" folder "/general.bin" \
        " --val $OUT/" folder "/held_out.bin --val-fraction 0.06"
    job("data", folder, seed, "", "data", "", "", 0, 0, "data/finished", command)
}

# One base for all seeds: bytes of a play and of the general records as they stand in their file.
function list_shared_data(    command) {
    if (!base_given) command = "cat $DATA/tinyshakespeare.txt $DATA/alpaca_en_demo.json >$OUT/data/base.txt && $BUILD/dev/prep --input $OUT/data/base.txt" \
        " --out $OUT/data/base_train.bin --val $OUT/data/base_val.bin --val-fraction 0.02"
    if (world_options ~ /gpt2_tokenizer/) command = command (command == "" ? "" : " && ") "$BUILD/dev/prep --encoder $DATA/gpt2_bpe/encoder.json --out $OUT/data/gpt2_tokenizer.bin"
    job("data", "data", "", "", "data", "", "", 0, 0, "", command == "" ? "true" : command)
}

function list_base(seed,    folder, data) {
    folder = base_folder(seed)
    data = world == "instruct" ? "$OUT/data" : "$OUT/" data_of(seed)
    job("base", folder, seed, "", "base", "base", "", 18, last_of(setting["base"], "--steps"), world == "instruct" ? "data/finished" : data_of(seed) "/finished",
        trainer " " setting["base"] common " --seed " seed " --general " data "/" (world == "instruct" ? "base_train.bin" : "pretrain.bin") base_judges(data) " --out $OUT/" folder)
}

function base_judges(data) {
    if (of_prompts) return ""
    if (world == "instruct") return " --val " data "/base_val.bin"
    return of_pairs ? " --val " data "/known.bin" : " --val " data "/test.bin --val-general " data "/labelled.bin"
}

# What the responses are scored by.
function list_reward(seed,    folder, data) {
    folder = reward_folder(seed)
    data = "$OUT/" data_of(seed)
    job("reward", folder, seed, "", "reward", "reward", "", 5, last_of(setting["reward"], "--steps"), needs_of(seed),
        trainer " --init " base_model(seed) " --objective reward " setting["reward"] common " --seed " seed " --general " data "/pairs.bin --val " data "/held_out.bin --out $OUT/" folder)
}

# ---------------------------------------------------------------------------------------------
# The jobs.

function job(kind, folder, seed, m, name, label, lr, cost, steps, needs, command) {
    if (show == "jobs") printf "%s|%s|%s|%s|%s|%s|%s|%s|%d|%s|%s\n", kind, folder, seed, m, name, label, lr, cost, steps, needs, command
}

# The value of an option in a text of options: the last one counts.
function last_of(options, name,    word, count, i, value) {
    count = split(options, word, /[ \t]+/)
    for (i = 1; i < count; i++) if (word[i] == name) value = word[i + 1]
    return value
}

function needs_of(seed) { return data_of(seed) "/finished" (base_given ? "" : " " base_folder(seed) "/finished") }
function general_rows(data, given) { return given ? " --general " data "/general\\*.bin" : "" }
function batch_of(m) { return m == "inf" ? 64 : m }

# On prompts, a run alone; the model of the reward, if there is one, is judged by the letters' program.
function list_prompts_run(seed, i, lr,    folder, options, data) {
    folder = "seed" seed "/" run_name[i] "-lr" lr
    options = run_post[i] " --target-batch " last_of("--target-batch 1 " run_post[i], "--target-batch") " " run_options[i] (steps == "" ? "" : " --steps " steps)
    data = "$OUT/" data_of(seed)
    job("run", folder, seed, 16, run_name[i], run_label[i], lr, run_cost[i], last_of(options, "--steps"), needs_of(seed) (with_reward ? " " reward_folder(seed) "/finished" : ""),
        trainer " --init " base_model(seed) " " options " --lr " lr common " --seed " seed general_rows(data, run_general[i]) \
        (run_target[i] ? " --target " data "/target.bin" : "") " --val " data "/test.bin" \
        (with_reward ? " --reward-model $OUT/" reward_folder(seed) "/model_final.bin --reward-command \"$BUILD/dev/letters --judge\"" : "") " --out $OUT/" folder)
}

# A run, and then its final model on val.bin, which is there to choose a learning rate by.
function list_run(seed, i, m, lr,    folder, options, data, judged) {
    folder = "seed" seed "/m" m "/" run_name[i] "-lr" lr
    options = run_post[i] " --target-batch " batch_of(m) " " run_options[i] (steps == "" ? "" : " --steps " steps)
    data = "$OUT/" data_of(seed)
    judged = of_pairs ? " --objective dpo --beta " last_of("--beta 0.1 " options, "--beta") " --reference " base_model(seed) : ""
    job("run", folder, seed, m, run_name[i], run_label[i], lr, run_cost[i], last_of(options, "--steps"), needs_of(seed),
        trainer " --init " base_model(seed) " " options " --lr " lr common " --seed " seed general_rows(data, run_general[i]) \
        (run_target[i] ? " --target " data "/target_" m ".bin" : "") " --val " data "/test.bin --val-general " data "/" kept_back() " --out $OUT/" folder \
        " && " trainer " --init $OUT/" folder "/model_final.bin --method full --steps 0 --batch " last_of("--batch 8 " options, "--batch") common judged \
        " --val " data "/val.bin --out $OUT/" folder "/choice")
}

function list_runs(seed,    i, k, r, m, ms, lr, rates) {
    for (i = 1; i <= runs; i++) {
        ms = split(run_m[i], m, /[ \t]+/)
        rates = split(run_rates[i], lr, /[ \t]+/)
        if (first_rate) rates = 1
        if (of_prompts) for (r = 1; r <= rates; r++) list_prompts_run(seed, i, lr[r])
        else for (k = 1; k <= ms; k++) for (r = 1; r <= rates; r++) list_run(seed, i, m[k], lr[r])
    }
}

function list_trajectory(seed,    options, data) {
    options = trajectory_post " --target-batch 64 " setting["trajectory"]
    data = "$OUT/" data_of(seed)
    trajectory_steps = last_of(options, "--steps")
    job("trajectory", "seed" seed "/trajectory", seed, "inf", "trajectory", "trajectory", last_of(options, "--lr"), 3, trajectory_steps, needs_of(seed),
        trainer " --init " base_model(seed) " " options common " --seed " seed general_rows(data, trajectory_general) " --target " data (of_prompts ? "/val.bin" : "/target_inf.bin") \
        " --val " data "/test.bin" (of_prompts ? "" : " --val-general " data "/" kept_back()) " --out $OUT/seed" seed "/trajectory")
}

function checkpoint(seed, step) {
    if (step == 0) return base_model(seed)
    return "$OUT/seed" seed "/trajectory/" (step == trajectory_steps ? "model_final.bin" : sprintf("model_%08d.bin", step))
}

function list_probes(seed,    step, count, i, data, needs) {
    count = split(setting["probe"], step, /[ \t]+/)
    data = "$OUT/" data_of(seed)
    for (i = 1; i <= count && step[i] ~ /^[0-9]+$/; i++) {
        if (step[i] > 0 && setting["trajectory"] == "") fail("a probe at step " step[i] " of which run? a line 'trajectory' says")
        if (step[i] + 0 > trajectory_steps + 0) fail("a probe at step " step[i] " of a trajectory of " trajectory_steps)
        needs = needs_of(seed) " variants.txt" (step[i] > 0 ? " seed" seed "/trajectory/finished" : "")
        job("probe", "seed" seed "/probe/" step[i], seed, "", "probe", "probe", "", 11, 0, needs,
            trainer " --init " checkpoint(seed, step[i]) " --probe $OUT/variants.txt " words_after_numbers(setting["probe"]) \
            (setting["probe"] ~ /--objective dpo/ ? " --reference " base_model(seed) : "") " --threads " setting["threads"] \
            " --seed " seed " --general " data "/general\\*.bin" \
            (of_prompts ? " --target " data "/target.bin --val " data "/test.bin" : " --target " data "/pool.bin --val " data "/reference.bin") \
            " --out $OUT/seed" seed "/probe/" step[i])
    }
}

function list_ngram(seed) {
    job("ngram", "seed" seed "/ngram", seed, "", "ngram", "ngram", "", 15, 0, "variants.txt",
        "$BUILD/dev/ngram --seed " seed " --variants $OUT/variants.txt " (setting["ngram"] == "defaults" ? "" : setting["ngram"] " ") "--out $OUT/seed" seed "/ngram")
}

function list_all(    count, seed, i) {
    count = split(setting["seeds"], seed, /[ \t]+/)
    if (with_gpt && world == "instruct") list_shared_data()
    for (i = 1; i <= count && with_gpt; i++) {
        if (of_prompts) list_prompts_data(seed[i]); else if (world == "tasks") list_tasks_data(seed[i]); else list_instruct_data(seed[i])
    }
    if (with_gpt && !base_given) for (i = 1; i <= (world == "instruct" ? 1 : count); i++) list_base(seed[i])
    if (with_reward) for (i = 1; i <= count; i++) list_reward(seed[i])
    if (setting["trajectory"] != "") for (i = 1; i <= count; i++) list_trajectory(seed[i])
    if (setting["ngram"] != "") for (i = 1; i <= count; i++) list_ngram(seed[i])
    if (setting["probe"] != "") for (i = 1; i <= count; i++) list_probes(seed[i])
    for (i = 1; i <= count; i++) list_runs(seed[i])
}

END {
    if (failed) exit 1
    if (seeds != "") setting["seeds"] = seeds
    if (setting["seeds"] == "") fail("the plan ends without a line 'seeds'")
    with_gpt = runs > 0 || setting["probe"] != "" # else the exactly solvable world is all
    if (with_gpt && setting["base"] == "") fail("the plan ends without a line 'base'")
    if (!with_gpt && setting["ngram"] == "") fail("the plan ends without a run")
    if ((setting["ngram"] != "" || setting["probe"] != "") && variants == 0) fail("the plan ends without a variant to probe")
    world = setting["world"]; sub(/ .*/, "", world)
    world_options = substr(setting["world"], length(world) + 1)
    of_pairs = world_options ~ /--pairs/
    of_prompts = world ~ /^(sums|letters)$/
    with_reward = setting["reward"] != ""
    if (with_reward != (world == "letters")) fail("a line 'reward' and the world letters need each other")
    if (with_reward && (setting["trajectory"] != "" || setting["probe"] != "")) fail("of the world letters nothing is probed: no trajectory, no probe")
    if (world == "instruct" && ENVIRON["DATA"] == "") {
        fail("the world instruct is made of files: say DATA=FOLDER, the one that holds instruction_data.json, alpaca_en_demo.json and tinyshakespeare.txt")
    }
    if (world == "instruct") note_variable("DATA")
    base_given = setting["base"] !~ /^--/
    if (base_steps != "") { setting["base"] = setting["base"] " --steps " base_steps; setting["reward"] = setting["reward"] " --steps " base_steps }
    trainer = "$TRAINER"
    common = " --threads " setting["threads"] " --val-batches -1"
    if (show == "slurm") print setting["threads"] "|" setting["slurm"]
    if (show == "jobs") list_all()
}
