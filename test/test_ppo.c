// test_ppo.c -- rounds of PPO from the inside: values and advantages by their definitions, what the first steps of a round are, the head's
// share of a step, when a round ends early, and that a run goes on bit for bit in the middle of one.
#include "trainer.h"

#include <sys/stat.h>

enum { T = 9, V = 17, WIDE = 12, GENERAL = 20, TARGET = 6 };

static char general[300], target[300], judge[300];

// Rewards that differ and are nobody's aim: by how long the line is that tells of the response.
static void write_judge(void) {
    FILE* f = fopen(judge, "w");
    check(f != NULL, "%s: cannot be written", judge);
    fputs("#!/bin/sh\nwhile IFS= read -r line; do echo $(( ${#line} % 5 )); done\n", f);
    check(fclose(f) == 0 && chmod(judge, 0755) == 0, "%s: cannot be written", judge);
}

#define PPO "--init L2,H3,C12,V17,T12 --seed 5 --threads 1 --objective ppo --reward-command %s --max-new 5 --val-every 0 --clip 0 --general %s "

static void begin(const char* options) {
    run_begin(PPO "%s", judge, general, options);
    if (run.first_step == 0) {
        test_rng = 9;
        fill_params(run.model, 0.3f);
    }
}

static float* floats_of(const float* x, size_t count) {
    float* kept = malloc(sizeof(float) * count);
    check(kept != NULL, "out of memory");
    memcpy(kept, x, sizeof(float) * count);
    return kept;
}

static StepRow update(int step) {
    StepRow row = runlog_row(step);
    quiet_begin("/dev/null");
    round_update(&run, step, &row); end_update(&run, &row);
    quiet_end();
    return row;
}

// The gradient of the first step of a run, which ends with it.
static StepRow first_step(float* gradient, const char* options) {
    begin(options);
    StepRow row = update(0);
    memcpy(gradient, run.model->grads, sizeof(float) * run.model->num_params);
    run_close(&run);
    return row;
}

static int sampled(const RoundRows* r) {
    int count = 0;
    for (int n = 0; n < r->rows * r->T; n++) { count += r->mask[n]; }
    return count;
}

// Into `gradient`: that of sum_n share (weight log p + value's part), by a plain backward. The weights of the rows in the batch are advantages.
static void policy_gradient(float* gradient, const Batch* b, const float* advantage, const float* returns, double share, double value_weight) {
    DrptOptions o = drpt_defaults;
    o.method = "full";
    Drpt plain = drpt_create(&o, b->n, 0, b->T, 48, 1, 1);
    size_t N = (size_t)(b->n * b->T);
    float *weight = calloc(N, sizeof(float)), *values = calloc(N, sizeof(float)), *dvalue = calloc(N, sizeof(float)), *ones = calloc((size_t)b->n, sizeof(float));
    check(weight && values && dvalue && ones, "out of memory");
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    drpt_begin(&plain, 0, NULL, NULL);
    gpt2_forward(run.model, b->inputs, b->n, b->T);
    gpt2_values(run.model, values, b->n, b->T);
    for (size_t n = 0; n < N; n++) {
        if (!b->mask[n]) { continue; }
        weight[n] = (float)(share * advantage[n]);
        dvalue[n] = (float)(share * value_weight * (values[n] - returns[n]));
    }
    for (int i = 0; i < b->n; i++) { ones[i] = 1.0f; }
    HeadGradient head = { dvalue, ones };
    gpt2_backward(run.model, b->inputs, b->targets, weight, &head, &plain, b->n, b->T);
    memcpy(gradient, run.model->grads, sizeof(float) * run.model->num_params);
    free(weight);
    free(values);
    free(dvalue);
    free(ones);
    drpt_free(&plain);
}

// Where the model has not moved the ratio is 1 and no value has moved: the policy gradient with whitened advantages, and the gradient of half
// the mean squared error of the values. The same in steps that come later in a round, as long as nothing is updated.
static void test_first_step(void) {
    static float want[20000];
    begin("--batch 6 --rollouts 12 --epochs 2 --value-weight 0.3 --kl 0.2 --reference L1,H2,C8,V17,T12"); // the KL is in the rewards
    size_t count = run.model->num_params;
    expect(run.model->config.head == 1 && run.drpt.plain && run.round->steps == 4 && run.round->group == 1);
    for (int step = 0; step < 4; step++) {
        memset(run.model->grads, 0, sizeof(float) * count);
        StepRow row = update(step);
        float* got = floats_of(run.model->grads, count);
        const RoundRows* r = &run.round->step;
        int tokens = sampled(r);
        for (int i = 0; i < 6; i++) { // what is known of a row goes with it
            size_t from = (size_t)run.round->order[6 * (step % 2) + i] * (size_t)r->T, bytes = sizeof(float) * (size_t)r->T;
            const RoundRows* all = &run.round->general;
            expect(memcmp(r->returns + i * r->T, all->returns + from, bytes) == 0 && memcmp(r->value + i * r->T, all->value + from, bytes) == 0);
            expect(memcmp(r->advantage + i * r->T, all->advantage + from, bytes) == 0 && memcmp(r->old + i * r->T, all->old + from, bytes) == 0);
        }
        policy_gradient(want, &run.batch, r->advantage, r->returns, 1.0 / tokens, 0.3);
        expect_close(got, want, count - 13, 2e-4f);
        expect_close(got + count - 13, want + count - 13, 13, 2e-4f);
        expect(row.round.kl_old < 1e-8 && row.round.clipped == 0.0 && row.round.value_loss > 0.0 && run.round->number == 1 && isnan(row.round.degenerate));
        double value_loss = 0.0;
        for (int n = 0; n < r->rows * r->T; n++) { if (r->mask[n]) { value_loss += 0.5 * (r->value[n] - r->returns[n]) * (r->value[n] - r->returns[n]) / tokens; } }
        expect(fabs(row.round.value_loss - value_loss) < 1e-4 * value_loss);
        free(got);
    }
    run_close(&run);
}

// Values are the head's, of the state before each token; with gamma = lambda = 1 what a value is to learn is all that follows, the KL to the
// reference on the way; advantages are that less the value, whitened over the round.
static void test_advantages(void) {
    begin("--batch 6 --rollouts 12 --gamma 1 --lambda 1 --kl 0.2 --reference L1,H2,C8,V17,T12");
    update(0);
    const RoundRows* r = &run.round->general;
    Round* round = run.round;
    int tokens = sampled(r), rewarded = 0;
    double sum = 0.0, squares = 0.0, divergence = 0.0;
    float* raw = calloc((size_t)(r->rows * r->T), sizeof(float));
    check(raw != NULL, "out of memory");
    for (int i = 0; i < r->rows; i++) {
        float values[WIDE], losses[WIDE], ones[WIDE];
        int targets[WIDE];
        unsigned char hits[WIDE];
        double after = 0.0;
        const int* row = r->tokens + i * r->T;
        for (int t = 0; t < r->T; t++) { ones[t] = 1.0f; targets[t] = t + 1 < r->T ? row[t + 1] : 0; }
        gpt2_forward(run.model, row, 1, r->T);
        gpt2_values(run.model, values, 1, r->T);
        gpt2_forward(round->reference, row, 1, r->T);
        gpt2_evaluate(round->reference, targets, ones, losses, hits, 1, r->T);
        int last = r->T - 1;
        while (!r->mask[i * r->T + last]) { last--; }
        expect(last == r->length[i] - 2); // its target is the row's last token
        for (int t = last; t >= 0; t--) {
            size_t n = (size_t)(i * r->T + t);
            if (!r->mask[n]) { continue; }
            expect(fabsf(r->value[n] - values[t]) < 1e-5f && fabsf(r->reference[n] + losses[t]) < 1e-5f);
            after += (t == last ? r->reward[i] : 0.0) - 0.2 * ((double)r->old[n] - r->reference[n]);
            expect(fabs(r->returns[n] - after) < 1e-4);
            raw[n] = (float)(after - r->value[n]);
            sum += raw[n] / tokens;
            divergence += ((double)r->old[n] - r->reference[n]) / r->rows;
        }
        rewarded += r->reward[i] > 0.0f;
    }
    expect(rewarded > 2 && rewarded < r->rows);
    expect(fabs(round->divergence - divergence) < 1e-4 && round->responses == 12.0 && divergence > 0.01);
    for (int n = 0; n < r->rows * r->T; n++) { if (r->mask[n]) { squares += (raw[n] - sum) * (raw[n] - sum); } }
    for (int n = 0; n < r->rows * r->T; n++) { if (r->mask[n]) { expect(fabs(r->advantage[n] - (raw[n] - sum) / sqrt(squares / (tokens - 1))) < 1e-3); } }
    free(raw);
    run_close(&run);
    begin("--batch 6 --gamma 0.9 --lambda 0"); // and with lambda = 0 it is the reward and the next state's value, less one tenth
    update(0);
    for (int i = 0; i < 6; i++) {
        double next = 0.0;
        for (int t = run.T - 1; t >= 0; t--) {
            int n = i * run.T + t, last = t == run.round->general.length[i] - 2;
            const RoundRows* rows = &run.round->general;
            if (!rows->mask[n]) { continue; }
            expect(fabs(rows->returns[n] - ((last ? rows->reward[i] : 0.0) + 0.9 * next)) < 1e-5);
            next = rows->value[n];
        }
    }
    run_close(&run);
}

// The coefficient of the KL follows its target from round to round, by what the last round measured.
static void test_adaptive_kl(void) {
    begin("--batch 6 --kl 0.2 --kl-target 0.01 --kl-horizon 12 --reference L1,H2,C8,V17,T12");
    double kl = 0.2;
    for (int step = 0; step < 3; step++) {
        StepRow row = update(step);
        expect(fabs(row.round.kl - kl) < 1e-12 && run.round->divergence > 0.02);
        kl = adapted_kl(kl, run.round->divergence, 0.01, 6.0, 12.0);
    }
    expect(fabs(kl - 0.2 * 1.1 * 1.1 * 1.1) < 1e-12);
    run_close(&run);
    begin("--batch 6 --kl 0.2 --reference L1,H2,C8,V17,T12");
    for (int step = 0; step < 2; step++) { expect(update(step).round.kl == 0.2); }
    run_close(&run);
    begin(with("--batch 6 --kl 0.2 --reference L1,H2,C8,V17,T12 --target %s --target-batch 3 --method subset --target-objective objective", target));
    update(0);
    expect(run.round->responses == 6.0); // the general ones
    run_close(&run);
}

// Micro-batches are one batch, with a target too; with `full` a target changes nothing but the head's mean; `target` trains on the target alone.
static void test_shares(void) {
    static float whole[20000], other[20000];
    begin("--batch 6");
    size_t count = run.model->num_params;
    run_close(&run);
    StepRow one = first_step(whole, "--batch 6"), micro = first_step(other, "--batch 2 --accumulate 3");
    for (size_t i = count - 13; i < count; i++) { expect(whole[i] != 0.0f); }
    expect_close(other, whole, count, 1e-5f);
    expect_close(other + count - 13, whole + count - 13, 13, 1e-5f);
    expect(fabs(one.round.value_loss - micro.round.value_loss) < 1e-5 && fabs(one.loss - micro.loss) < 1e-5);
    for (int i = 0; i < 3; i++) { // the target's gradient may carry values, but general responses are the head's
        static const char* const objectives[] = { "avg-reward", "pre-clip", "objective" };
        StepRow both = first_step(other, with("--batch 6 --target %s --target-batch 3 --method full --group global --target-objective %s", target, objectives[i]));
        expect(fabs(both.round.value_loss - one.round.value_loss) < 1e-5);
        expect_close(other, whole, count, 1e-4f); // rows weigh alike that had as many tokens
        expect_close(other + count - 13, whole + count - 13, 13, 1e-4f);
        first_step(other, with("--batch 6 --target %s --target-batch 3 --method cone --target-objective %s", target, objectives[i]));
        expect_close(other + count - 13, whole + count - 13, 13, 1e-4f);
        first_step(other, with("--batch 6 --target %s --target-batch 3 --method target --target-objective %s", target, objectives[i]));
        for (size_t k = count - 13; k < count; k++) { expect((other[k] != 0.0f) == (i == 2)); }
    }
    first_step(whole, with("--batch 3 --target %s --target-batch 3 --method cone --group block", target));
    first_step(other, with("--batch 1 --accumulate 3 --target %s --target-batch 1 --method cone --group block", target));
    expect_close(other, whole, count, 1e-4f);
    begin(with("--batch 3 --target %s --target-batch 3 --method inside --rank 2 --refresh 2", target));
    for (int step = 0; step < 2; step++) { // in the second there are no general rows, and avg-reward has nothing to say of values
        memset(run.model->grads, 0, sizeof(float) * count);
        StepRow row = update(step);
        for (size_t k = count - 13; k < count; k++) { expect((run.model->grads[k] != 0.0f) == (step == 0)); }
        expect(isnan(row.loss) == (step == 1) && isnan(row.round.value_loss) == (step == 1));
    }
    run_close(&run);
}

// A micro-batch that has values to learn and nothing to say of tokens, beside others.
static void test_values_of_a_micro_batch(void) {
    static float whole[20000];
    for (int parts = 1; parts <= 3; parts += 2) {
        begin(with("--batch %d --accumulate %d --epochs 2", 6 / parts, parts));
        Round* r = run.round;
        size_t count = run.model->num_params, length = (size_t)r->general.T;
        update(0);
        memset(run.model->grads, 0, sizeof(float) * count);
        for (int i = 0; i < 2; i++) { memset(r->general.advantage + r->order[i] * length, 0, sizeof(float) * length); }
        r->done = 0;
        update(1);
        if (parts == 1) { memcpy(whole, run.model->grads, sizeof(float) * count); }
        for (size_t i = count - 13; i < count; i++) { expect(run.model->grads[i] != 0.0f); }
        expect_close(run.model->grads, whole, count, 1e-5f);
        run_close(&run);
    }
}

// In self-reference general rows and their copies have their own weights, and the head learns once.
static void test_self_reference(void) {
    static float plain[20000], own[20000];
    begin("--batch 6 --method subset --target-objective objective");
    size_t count = run.model->num_params;
    update(0);
    const RoundRows* r = &run.round->step;
    expect(run.batch.n == 6 && run.batch.m == 6 && run.options.own_rows == 1);
    for (int i = 0; i < 6 * r->T; i++) { expect(r->tokens[i] == r->tokens[i + 6 * r->T] && r->advantage[i] == r->advantage[i + 6 * r->T]); }
    memcpy(own, run.model->grads, sizeof(float) * count);
    run_close(&run);
    first_step(plain, "--batch 6");
    expect_close(own + count - 13, plain + count - 13, 13, 1e-4f);
}

// A step whose policy has moved too far is not taken: the round ends, and the next one begins with the weights as they are.
static void test_kl_stop(void) {
    static float want[20000];
    begin("--batch 6 --rollouts 12 --epochs 3 --lr 1e-2 --kl-stop 1e-6 --value-weight 0.3");
    size_t count = run.model->num_params;
    StepRow row = update(0);
    expect(row.round_ended == 0 && run.round->number == 1 && run.round->done == 1); // a round's first step is always taken
    gpt2_update(run.model, &run.config, 1e-2, 1);
    float* before = floats_of(run.model->params, count);
    row = update(1);
    expect(row.round_ended == 1 && run.round->number == 2 && run.round->done == 1 && memcmp(before, run.model->params, sizeof(float) * count) == 0);
    float* got = floats_of(run.model->grads, count);
    const RoundRows* r = &run.round->step;
    policy_gradient(want, &run.batch, r->advantage, r->returns, 1.0 / sampled(r), 0.3);
    expect_close(got, want, count, 2e-4f); // of the new round alone
    expect(row.round.kl_old < 1e-8);
    free(before);
    free(got);
    run_close(&run);
    begin("--batch 6 --rollouts 12 --epochs 3 --lr 1e-2 --kl-stop 1e6");
    update(0);
    gpt2_update(run.model, &run.config, 1e-2, 1);
    row = update(1);
    expect(row.round_ended == 0 && run.round->number == 1 && run.round->done == 2 && row.round.kl_old > 1e-6);
    run_close(&run);
}

// In micro-batches parts of the gradient are there by the time it is known.
static void test_kl_stop_in_parts(void) {
    static float want[20000];
    begin("--batch 2 --accumulate 3 --epochs 3 --lr 1e-2 --kl-stop 1e-6");
    size_t count = run.model->num_params;
    update(0);
    gpt2_update(run.model, &run.config, 1e-2, 1);
    expect(update(1).round_ended == 1);
    float* got = floats_of(run.model->grads, count);
    memset(run.model->grads, 0, sizeof(float) * count);
    run.round->done = 0; // the same step again
    expect(update(1).round_ended == 0);
    memcpy(want, run.model->grads, sizeof(float) * count);
    expect(memcmp(got, want, sizeof(float) * count) == 0);
    free(got);
    run_close(&run);
}

// After an update ratios and values have moved: both losses are clipped as objective.h has it, the value at the old ones of the round's start.
static void test_later_steps(void) {
    begin("--batch 12 --epochs 3 --clip-ratio 0.01 --value-clip 0.01 --value-weight 0.3");
    update(0);
    gpt2_update(run.model, &run.config, 1e-2, 1);
    StepRow row = update(1);
    const RoundRows* r = &run.round->step;
    Responses rows = { run.batch.mask, run.batch.usable, r->rows, r->T };
    ObjectiveStats stats = {0};
    size_t N = (size_t)(r->rows * r->T);
    float *values = calloc(N, sizeof(float)), *dvalue = calloc(N, sizeof(float));
    check(values && dvalue, "out of memory");
    gpt2_forward(run.model, run.batch.inputs, r->rows, r->T);
    gpt2_values(run.model, values, r->rows, r->T);
    value_gradient(dvalue, &stats, rows, values, r->value, r->returns, 0.01, 1.0 / sampled(r));
    for (size_t n = 0; n < N; n++) { expect(fabsf(run.round->dvalue[n] - 0.3f * dvalue[n]) < 1e-6f); }
    expect(stats.value_clipped > 0.0 && fabs(stats.value_loss - row.round.value_loss) < 1e-5 && row.round.clipped > 0.0 && row.round.clipped < 1.0);
    free(values);
    free(dvalue);
    run_close(&run);
}

// The coefficient of the KL moves after a round with general responses, in which the divergence is measured.
static void test_kl_without_general(void) {
    double kl[6];
    char options[600];
    snprintf(options, sizeof(options), "--batch 4 --rollouts 4 --target %s --target-batch 2 --method inside --rank 2 --refresh 3 --kl 0.1 --kl-target 1e-4 --kl-horizon 40 --reference L1,H2,C8,V17,T12", target);
    begin(options);
    for (int step = 0; step < 6; step++) {
        kl[step] = update(step).round.kl;
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    }
    expect(kl[0] == 0.1 && kl[1] > kl[0] && kl[2] == kl[1] && kl[3] == kl[2] && kl[4] > kl[3] && kl[5] == kl[4]);
    run_close(&run);
}

// Values that are no numbers: there is nothing to learn from such responses, and nothing moves.
static void test_broken_values(void) {
    begin("--batch 6 --lr 1e-2");
    size_t count = run.model->num_params;
    run.model->params[count - 1] = NAN; // the head's bias
    update(0);
    for (size_t i = 0; i < count; i++) { expect(run.model->grads[i] == 0.0f); }
    for (int i = 0; i < 6; i++) { expect(run.round->general.usable[i] == 0); }
    run_close(&run);
    begin("--batch 6 --rollouts 6 --epochs 2"); // one response whose value is none in a later step
    update(0);
    memset(run.model->grads, 0, sizeof(float) * count);
    size_t broken = (size_t)run.round->order[0] * (size_t)run.T;
    size_t too = (size_t)run.round->order[1] * (size_t)run.T; // and one whose ratio is none
    for (int t = 0; t < run.T; t++) { run.round->general.value[broken + (size_t)t] = NAN; run.round->general.old[too + (size_t)t] = NAN; }
    StepRow row = update(1);
    expect(row.rows_left_out == 2);
    for (int n = 0; n < 6 * run.T; n++) {
        expect(run.batch.usable[n / run.T] == 1 || (run.round->dvalue[n] == 0.0f && run.batch.weight[n] == 0.0f));
        expect(run.batch.usable[n / run.T] == 0 || !run.batch.mask[n] || run.round->dvalue[n] != 0.0f);
    }
    float* found = floats_of(run.model->grads, count);
    memset(run.model->grads, 0, sizeof(float) * count);
    run.round->general.usable[broken / (size_t)run.T] = run.round->general.usable[too / (size_t)run.T] = 0; // as if they had never been there
    run.round->done = 1;
    StepRow without = update(1);
    expect(without.rows_left_out == 0 && row.loss == without.loss && row.round.value_loss == without.round.value_loss);
    for (size_t i = 0; i < count; i++) { expect(isfinite(found[i]) && found[i] == run.model->grads[i]); }
    free(found);
    run_close(&run);
}

// The same command, the same bits; and from a checkpoint in the middle of a round too.
static void test_resume(void) {
    static const char* const cases[] = {
        "--rollouts 6 --epochs 2 --kl 0.1 --kl-target 0.02 --kl-horizon 40 --reference L1,H2,C8,V17,T12",
        "--rollouts 6 --target-batch 3 --method cone --group block --target-refresh 2 --target-objective objective --target ",
        "--rollouts 12 --method subset --target-objective objective",
        "--rollouts 12 --epochs 3 --kl-stop 0.0005",
    };
    for (int i = 0; i < 4; i++) {
        float* kept = NULL;
        for (int pass = 0; pass < 3; pass++) { // whole; the same from its middle on; whole again
            run_begin(PPO "--batch 3 --steps 9 --lr 0.02 --save-every 5 --resume %d --out %s%d%s %s%s", judge, general, pass == 1,
                      scratch("ppo"), i, pass == 2 ? "_again" : "", cases[i], i == 1 ? target : "");
            expect(run.first_step == (pass == 1 ? 5 : 0));
            if (pass == 1 && i == 0) { expect(run.round->done == 1 && run.round->steps == 4 && run.round->kl != 0.1); }
            run_train();
            if (pass == 0) { kept = floats_of(run.model->params, run.model->num_params); }
            expect(memcmp(kept, run.model->params, sizeof(float) * run.model->num_params) == 0);
            run_close(&run);
        }
        free(kept);
    }
}

static void test_refused(void) {
    #define REFUSED(about, ...) expect_dies(about, omp_set_num_threads(1); begin(with(__VA_ARGS__)))
    REFUSED("--kl-target: needs --kl", "--kl-target 0.1");
    REFUSED("--group-size 4", "--batch 6 --group-size 4");
    REFUSED("--gamma: --objective grpo has no values", "--objective grpo --gamma 0.9");
    REFUSED("--group-size 1: in a group of one", "--objective grpo --group-size 1");
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "ppo/first_step", test_first_step },
        { "ppo/advantages", test_advantages },
        { "ppo/adaptive_kl", test_adaptive_kl },
        { "ppo/shares", test_shares },
        { "ppo/values_of_a_micro_batch", test_values_of_a_micro_batch },
        { "ppo/self_reference", test_self_reference },
        { "ppo/kl_stop", test_kl_stop },
        { "ppo/kl_stop_in_parts", test_kl_stop_in_parts },
        { "ppo/later_steps", test_later_steps },
        { "ppo/kl_without_general", test_kl_without_general },
        { "ppo/broken_values", test_broken_values },
        { "ppo/resume", test_resume },
        { "ppo/refused", test_refused },
    };
    omp_set_num_threads(1);
    snprintf(general, sizeof(general), "%s", scratch("general.bin"));
    snprintf(target, sizeof(target), "%s", scratch("target.bin"));
    snprintf(judge, sizeof(judge), "%s", scratch("judge.sh"));
    write_examples(general, GENERAL, T, V);
    write_examples(target, TARGET, T, V);
    write_judge();
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
