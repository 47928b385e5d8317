// test_iif.c -- influence filtering: the scores of a round against gradients of single rows, whatever is the target and however the round is
// cut into passes; what is kept; and that a step learns from that alone.
#include "trainer.h"

#include <sys/stat.h>

enum { T = 9, V = 23, MOST = 16 };

static float* g[MOST];           // of the round's rows: as they are scored; as the target has them
static float* of_target[MOST];
static double* t;                // of all target rows

static size_t num_params(void) { return run.model->num_params; }

static void take_memory(void) {
    for (int i = 0; i < MOST; i++) {
        free(g[i]);
        free(of_target[i]);
        g[i] = calloc(num_params(), sizeof(float));
        of_target[i] = calloc(num_params(), sizeof(float));
        check(g[i] && of_target[i], "out of memory");
    }
    free(t);
    t = calloc(num_params(), sizeof(double));
    check(t != NULL, "out of memory");
}

static void give_back(void) {
    for (int i = 0; i < MOST; i++) { free(g[i]); free(of_target[i]); g[i] = of_target[i] = NULL; }
    free(t);
    t = NULL;
    run_close(&run);
}

// ---------------------------------------------------------------------------------------------
// One row at a time.

// to = the gradient of one row of the round whose positions weigh so much; dvalue: of its values, or NULL.
static void row_gradient(float* to, const RoundRows* rows, int row, const float* weight, const float* dvalue) {
    Drpt plain = drpt_create(&drpt_defaults, 1, 0, rows->T, 4 * gpt2_config(run.model)->channels, 1, 1);
    Batch b = batch_create(1, 0, rows->T, 1);
    size_t size = sizeof(float) * num_params();
    round_batch_row(&b, 0, rows, row);
    memcpy(b.weight, weight, sizeof(float) * (size_t)rows->T);
    drpt_begin(&plain, 0, b.usable, NULL);
    gpt2_forward(run.model, b.inputs, 1, rows->T);
    const float nothing = 0.0f;
    gpt2_backward(run.model, b.inputs, b.targets, b.weight, dvalue ? &(HeadGradient){ dvalue, &nothing } : NULL, &plain, 1, rows->T);
    memcpy(to, run.model->grads, size);
    memset(run.model->grads, 0, size);
    batch_free(&b);
    drpt_free(&plain);
}

static int sampled(const RoundRows* rows, int i) {
    int count = 0;
    for (int k = 0; k < rows->T; k++) { count += rows->mask[i * rows->T + k]; }
    return count;
}

static int sampled_of_usable(const RoundRows* rows) {
    int count = 0;
    for (int i = 0; i < rows->rows; i++) { count += rows->usable[i] ? sampled(rows, i) : 0; }
    return count;
}

// The weight of a position is its advantage, and with `kl` the slope of the divergence; times share.
static void weights_of(float* weight, const RoundRows* rows, int i, double share, double kl) {
    for (int k = 0; k < rows->T; k++) {
        int n = i * rows->T + k;
        double gap = (double)rows->reference[n] - rows->old[n], slope = kl > 0.0 ? kl * (exp(gap) - 1.0) : 0.0;
        weight[k] = rows->usable[i] && rows->mask[n] ? (float)(share * (rows->advantage[n] + slope)) : 0.0f;
    }
}

static double length2(const float* a) {
    double sum = 0.0;
    for (size_t k = 0; k < num_params(); k++) { sum += (double)a[k] * a[k]; }
    return sum;
}

// Any advantages, and rows of either part that are not usable.
static void draw_advantages(RoundRows* rows, int unusable) {
    for (int n = 0; n < rows->rows * rows->T; n++) {
        rows->advantage[n] = rows->mask[n] ? test_uniform(&test_rng) : 0.0f;
        rows->returns[n] = rows->mask[n] ? test_uniform(&test_rng) : 0.0f;
    }
    for (int i = 0; i < rows->rows; i++) { rows->usable[i] = i != unusable; }
}

// ---------------------------------------------------------------------------------------------
// Scores.

static void prompts(const char* name, int rows) {
    uint16_t tokens[64 * (T + 1)];
    unsigned char mask[64 * T] = {0};
    for (int i = 0; i < rows * (T + 1); i++) { tokens[i] = (uint16_t)test_below(V); }
    for (int i = 0; i < rows; i++) { for (int k = 2 + i % 4; k < T; k++) { mask[i * T + k] = 1; } } // prompts of 3 to 6 tokens
    examples_write(scratch(name), tokens, mask, (size_t)rows, T, V, KIND_PROMPTS, TOKENIZER_NONE);
}

// Rewards that say something of every response.
static void write_judge(void) {
    FILE* f = fopen(scratch("judge"), "w");
    if (f == NULL) { perror("judge"); exit(1); }
    fputs("#!/bin/sh\nwhile read -r line; do echo $((${#line} % 5)); done\n", f);
    if (fclose(f) != 0 || chmod(scratch("judge"), 0700) != 0) { perror("judge"); exit(1); }
}

static void begin(const char* options) {
    char judge[512];
    snprintf(judge, sizeof(judge), "%s", scratch("judge"));
    write_judge();
    prompts("general.bin", 12);
    prompts("target.bin", 6);
    run_begin("--init L2,H2,C12,V%d,T20 --seed 3 --general %s %s --reward-command %s --max-new 7 --reward-seconds 5 --steps 4 --lr 0.05 --iif 1 %s",
              V, scratch("general.bin"), strstr(options, "--objective ppo") ? "" : "--objective grpo --group-size 2", judge, options);
    fill_params(run.model, 0.3f);
    take_memory();
}

// The round drawn, with advantages of the test's own.
static void begin_round(int unusable) {
    round_begin(&run, 0);
    if (!run.round->own_target) { round_draw_target(&run); }
    draw_advantages(&run.round->general, unusable);
    draw_advantages(&run.round->target, unusable >= 0 ? 1 : -1);
}

static double expected_score(int i, int leave_out) {
    double score = 0.0;
    for (size_t k = 0; k < num_params(); k++) { score += g[i][k] * (t[k] - (leave_out ? of_target[i][k] : 0.0)); }
    return score;
}

static void expect_scores(const char* options) {
    Round* r = run.round;
    int ppo = r->objective == OBJECTIVE_ppo, values = ppo && r->target_objective == TARGET_objective;
    double kl = r->target_objective == TARGET_objective && !ppo ? r->kl : 0.0, share = 1.0 / sampled_of_usable(&r->target), tt = 0.0;
    float weight[64], dvalue[64], *params = malloc(sizeof(float) * num_params());
    unsigned char usable[MOST];
    int failures = test_failures, kept = 0;
    expect(r->general.rows <= MOST && r->target.rows <= MOST && params != NULL);
    memset(t, 0, sizeof(double) * num_params());
    for (int j = 0; j < r->target.rows; j++) {
        weights_of(weight, &r->target, j, share, kl);
        for (int k = 0; k < r->target.T; k++) { // the policy's values are still the old ones
            int n = j * r->target.T + k, counts = values && r->target.usable[j] && r->target.mask[n];
            dvalue[k] = counts ? (float)(0.1 * share * ((double)r->target.value[n] - r->target.returns[n])) : 0.0f;
        }
        row_gradient(of_target[j], &r->target, j, weight, values ? dvalue : NULL);
        for (size_t k = 0; k < num_params(); k++) { t[k] += of_target[j][k]; }
    }
    for (size_t k = 0; k < num_params(); k++) { tt += t[k] * t[k]; }
    for (int i = 0; i < r->general.rows; i++) {
        weights_of(weight, &r->general, i, 1.0 / sampled(&r->general, i), 0.0);
        row_gradient(g[i], &r->general, i, weight, NULL);
    }
    memcpy(usable, r->general.usable, (size_t)r->general.rows);
    memcpy(params, run.model->params, sizeof(float) * num_params());
    iif_filter(&run);
    for (int i = 0; i < r->general.rows; i++) {
        double want = expected_score(i, r->own_target && run.round_options.leave_one_out), unit = sqrt(length2(g[i]) * tt);
        expect(usable[i] ? fabs(r->iif->score[i] - want) <= 2e-5 * unit : isnan(r->iif->score[i]));
        expect(r->general.usable[i] == (usable[i] && r->iif->score[i] >= 0.0));
        kept += r->general.usable[i];
    }
    expect(r->kept == kept);
    for (size_t k = 0; k < num_params(); k++) { expect(run.model->grads[k] == 0.0f); }
    expect(memcmp(params, run.model->params, sizeof(float) * num_params()) == 0);
    free(params);
    if (test_failures > failures) { fprintf(stderr, "    %s\n", options); }
}

static void test_scores(void) {
    static const char* const held_out[] = { "--batch 4 --rollouts 8", "--batch 3 --rollouts 6 --accumulate 2", "--batch 1 --rollouts 10", "--batch 8 --recompute 1",
                                            "--batch 2 --group global" };
    static const char* const alone[] = { "--batch 4 --rollouts 8", "--batch 5 --accumulate 2 --method full", "--batch 1 --rollouts 6", "--batch 3 --rollouts 12 --leave-one-out 0",
                                         "--batch 2 --leave-one-out 0 --recompute 1" };
    static const char* const of[] = { "avg-reward", "pre-clip", "objective" };
    int kept = 0, left = 0;
    char options[512];
    for (int way = 0; way < 42; way++) {
        const char* sizes = way % 2 ? alone[way / 2 % 5] : held_out[way / 2 % 5];
        if (way % 2) { snprintf(options, sizeof(options), "%s --kl 0.3 --reference L1,H2,C8,V23,T20 --target-objective %s", sizes, of[way % 3]); }
        else { snprintf(options, sizeof(options), "%s --kl 0.3 --reference L1,H2,C8,V23,T20 --method full --target %s --target-batch %d --target-objective %s", sizes, scratch("target.bin"), way % 4 ? 2 : 4, of[way % 3]); }
        if (way >= 30) { snprintf(options + strlen(options), sizeof(options) - strlen(options), " --objective ppo"); }
        begin(options);
        for (int again = 0; again < 2; again++) {
            begin_round(way % 5 == 0 ? 2 : -1);
            expect_scores(options);
            kept += run.round->kept;
            left += run.round->general.rows - run.round->kept;
        }
        give_back();
    }
    expect(kept > 60 && left > 60); // the question matters
}

// A score that is no number is not one to keep a row for.
static void test_broken_rows(void) {
    begin("--batch 4");
    begin_round(-1);
    for (int k = 0; k < run.T; k++) { if (run.round->general.mask[run.T + k]) { run.round->general.advantage[run.T + k] = NAN; } }
    iif_filter(&run);
    expect(isnan(run.round->iif->score[1]) && !run.round->general.usable[1]);
    expect(isfinite(run.round->iif->score[0]) && isfinite(run.round->iif->score[2]) && isfinite(run.round->iif->score[3]));
    give_back();
}

// Nothing of a target row that is no number is in t, its values neither; only its tokens were counted.
static void test_broken_target_rows(void) {
    double without[4];
    begin("--batch 4 --objective ppo --target-objective objective --leave-one-out 0");
    begin_round(-1);
    RoundRows* target = &run.round->target;
    target->usable[1] = 0;
    double tokens = sampled_of_usable(target), all = tokens + sampled(target, 1);
    iif_filter(&run);
    memcpy(without, run.round->iif->score, sizeof(without));
    memset(run.round->general.usable, 1, 4);
    target->usable[1] = 1;
    for (int n = run.T; n < 2 * run.T; n++) { if (target->mask[n]) { target->advantage[n] = NAN; } }
    iif_filter(&run);
    for (int i = 0; i < 4; i++) { expect(fabs(run.round->iif->score[i] * all / tokens - without[i]) <= 1e-5 * fabs(without[i])); }
    give_back();
}

// Where the target says nothing, nothing is against it.
static void test_target_without_gradient(void) {
    begin("--batch 4");
    begin_round(-1);
    memset(run.round->target.usable, 0, 4);
    iif_filter(&run);
    for (int i = 0; i < 4; i++) { expect(run.round->iif->score[i] == 0.0 && run.round->general.usable[i]); }
    expect(run.round->kept == 4);
    give_back();
}

// ---------------------------------------------------------------------------------------------
// Steps.

// The update is the token mean over the kept rows of the step, whatever micro-batches it has.
static void test_steps_learn_from_the_kept(void) {
    static const char* const options[] = { "--batch 4 --rollouts 8", "--batch 2 --accumulate 2 --rollouts 8", "--batch 2 --accumulate 3 --leave-one-out 0", "--batch 4 --method full --target-batch 2 --target " };
    for (int way = 0; way < 4; way++) {
        char text[512];
        snprintf(text, sizeof(text), "%s%s", options[way], way == 3 ? scratch("target.bin") : "");
        begin(text);
        begin_round(-1);
        Round* r = run.round;
        const Batch* b = &run.batch;
        float weight[64], *want = calloc(num_params(), sizeof(float)), *one = malloc(sizeof(float) * num_params());
        StepRow row = runlog_row(0);
        iif_filter(&run);
        expect(want && one && r->kept > 0);
        round_update(&run, 0, &row); end_update(&run, &row); // the first step of this round
        expect(row.round.kept == r->kept);
        memcpy(one, run.model->grads, sizeof(float) * num_params());
        float* got = g[0];
        memcpy(got, one, sizeof(float) * num_params());
        memset(run.model->grads, 0, sizeof(float) * num_params());
        int tokens = 0, rows = b->n * b->accumulate, left = 0;
        for (int i = 0; i < rows; i++) {
            int from = (int)r->order[i];
            tokens += r->general.usable[from] ? sampled(&r->general, from) : 0;
            left += !r->general.usable[from];
        }
        for (int i = 0; i < rows; i++) {
            int from = (int)r->order[i];
            if (!r->general.usable[from]) { continue; }
            weights_of(weight, &r->general, from, 1.0 / tokens, 0.0);
            row_gradient(one, &r->general, from, weight, NULL);
            for (size_t k = 0; k < num_params(); k++) { want[k] += one[k]; }
        }
        expect(left > 0);
        expect_close(got, want, num_params(), 1e-4f);
        free(want);
        free(one);
        give_back();
    }
}

// Rounds are filtered as they begin, with the responses of the target that were drawn then, and once.
static void test_rounds_are_filtered(void) {
    for (int own = 0; own < 2; own++) {
        char text[512];
        snprintf(text, sizeof(text), "--batch 2 --rollouts 8 --epochs 2%s%s", own ? "" : " --method full --target-batch 4 --target ", own ? "" : scratch("target.bin"));
        begin(text);
        Round* r = run.round;
        double scores[8];
        int kept = -1, changed = 0;
        for (int step = 0; step < 20; step++) {
            StepRow row = runlog_row(step);
            if (step % 8 > 0) { r->iif->score[0] = 42.0; } // it stays, or is found anew
            round_update(&run, step, &row); end_update(&run, &row);
            memset(run.model->grads, 0, sizeof(float) * num_params());
            if (step % 8 > 0) { expect(r->iif->score[0] == 42.0 && row.round.kept == kept); continue; }
            kept = (int)row.round.kept;
            changed += step > 0 && memcmp(scores + 1, r->iif->score + 1, sizeof(scores) - sizeof(double)) != 0;
            memcpy(scores, r->iif->score, sizeof(scores));
            for (int i = 0; i < 8; i++) { expect(!r->general.usable[i] == !(r->iif->score[i] >= 0.0)); }
        }
        expect(changed == 2 && r->number == 3);
        give_back();
    }
}

// One row left, and the target against it: then nothing is learnt, and it is said.
static void test_nothing_is_kept(void) {
    char line[1024] = "", folder[512];
    snprintf(folder, sizeof(folder), "%s", scratch("nothing"));
    char options[600];
    snprintf(options, sizeof(options), "--batch 4 --leave-one-out 0 --weight-decay 0.1 --out %s", folder);
    begin(options);
    begin_round(-1);
    Round* r = run.round;
    float* params = malloc(sizeof(float) * num_params());
    for (int i = 0; i < 4; i++) { r->general.usable[i] = r->target.usable[i] = i == 2; }
    for (int n = 0; n < 4 * run.T; n++) {
        r->general.advantage[n] = r->general.mask[n] ? 1.0f : 0.0f;
        r->target.advantage[n] = -r->general.advantage[n];
    }
    memcpy(params, run.model->params, sizeof(float) * num_params());
    iif_filter(&run);
    expect(r->kept == 0 && r->iif->score[2] < 0.0 && isnan(r->iif->score[0]));
    const char* said = scratch("said.txt");
    quiet_begin(said);
    train_step(&run, 0);
    quiet_end();
    expect(memcmp(params, run.model->params, sizeof(float) * num_params()) == 0);
    give_back();
    FILE* f = fopen(said, "r");
    expect(f && fgets(line, sizeof(line), f) && strstr(line, "nothing to learn from") != NULL);
    if (f) { fclose(f); }
    free(params);
}

// What follows is ordinary training, with a target too.
static void test_method(void) {
    char with_target[600];
    snprintf(with_target, sizeof(with_target), "--batch 4 --target %s --target-batch 2", scratch("target.bin"));
    begin(with_target);
    expect(run.drpt.method == METHOD_full && run.batch.m == 2);
    give_back();
}

static void test_what_makes_no_sense(void) {
    expect_dies("--method full", begin("--batch 4 --method cone"));
    expect_dies("rounds", run_begin("--init L1,H1,C4,V23,T20 --general %s --iif 1", scratch("general.bin")));
    expect_dies("--general", run_begin("--init L1,H1,C4,V23,T20 --target %s --method target --objective grpo --reward number --target-batch 8 --iif 1", scratch("target.bin")));
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "iif/scores", test_scores },
        { "iif/broken_rows", test_broken_rows },
        { "iif/broken_target_rows", test_broken_target_rows },
        { "iif/target_without_gradient", test_target_without_gradient },
        { "iif/steps_learn_from_the_kept", test_steps_learn_from_the_kept },
        { "iif/rounds_are_filtered", test_rounds_are_filtered },
        { "iif/nothing_is_kept", test_nothing_is_kept },
        { "iif/method", test_method },
        { "iif/what_makes_no_sense", test_what_makes_no_sense },
    };
    omp_set_num_threads(1);
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
