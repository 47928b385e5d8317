// test_policy.c -- runs on preference pairs, from the inside: which pairs, with which shares, against which reference, scored where. The slopes of
// the loss are test_gradient.c's.
#include "trainer.h"

enum { T = 9, V = 17, GENERAL = 20, TARGET = 4 }; // rows: two a pair

// The first ones are trained on an early position alone.
static void write_pairs(const char* path, int rows, int short_rows) {
    uint16_t tokens[GENERAL * (T + 1)];
    unsigned char mask[GENERAL * T];
    for (int i = 0; i < rows; i++) {
        random_row(tokens + i * (T + 1), mask + i * T, T, V);
        for (int t = 0; i < short_rows && t < T; t++) { mask[i * T + t] = t == i; }
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, KIND_PAIRS, TOKENIZER_NONE);
}

static void write_data(void) {
    write_pairs(scratch("general_a.bin"), GENERAL, 0);
    write_pairs(scratch("general_b.bin"), GENERAL, 4);
    write_pairs(scratch("target.bin"), TARGET, 0);
}

// Another reference than the model itself, or every weight would be the same.
#define MODEL "--init L2,H3,C12,V17,T9 --seed 5 --threads 1 --objective dpo --beta 0.6 --reference L1,H2,C8,V17,T9 "

static char general[300], target[300];

static void begin_model(const char* model, const char* options) {
    run_begin("%s%s", model, options);
    fill_params(run.model, 0.3f);
}

static void begin(const char* options) { begin_model(MODEL, options); }

// The gradient of the first step of a run with these options, on the same weights each time.
static StepRow first_step_of(const char* model, float* gradient, const char* options) {
    StepRow row = {0};
    test_rng = 9;
    begin_model(model, options);
    compute_update(&run, 0, &row); end_update(&run, &row);
    memcpy(gradient, run.model->grads, sizeof(float) * run.model->num_params);
    run_close(&run);
    return row;
}

static StepRow first_step(float* gradient, const char* options) { return first_step_of(MODEL, gradient, options); }

// Epochs visit every pair once, the better row first, in another order each; without shuffling, in the file's.
static void test_a_reader_keeps_pairs_together(void) {
    Dataset d = dataset_open(general, 0);
    Reader r = reader_open(&d, 3, 1), plain = reader_open(&d, 3, 0);
    size_t before[GENERAL], moved = 0;
    expect(d.rows == GENERAL && d.together == 2);
    for (int epoch = 0; epoch < 5; epoch++) {
        int seen[GENERAL] = {0};
        for (size_t i = 0; i < d.rows; i++) {
            size_t row = reader_next(&r);
            seen[row]++;
            expect(row % 2 == i % 2 && reader_next(&plain) == i);
            expect(i % 2 == 0 || row == before[i - 1] + 1);
            moved += epoch > 0 && row != before[i];
            before[i] = row;
        }
        for (size_t i = 0; i < d.rows; i++) { expect(seen[i] == 1); }
    }
    expect(moved > d.rows);
    reader_seek(&plain, 1, 5);
    reader_seek(&r, 4, 6);
    expect(reader_next(&plain) == 5 && reader_next(&r) == before[6]);
    reader_close(&r);
    reader_close(&plain);
    dataset_close(&d);
}

// The loss is the mean over the pairs, whether they come at once or in micro-batches, and whether there is a target or not.
static void test_shares(void) {
    static float whole[20000], other[20000];
    StepRow one = first_step(whole, with("--general %s --batch 6", general));
    size_t count = 0;
    begin(with("--general %s --batch 6", general));
    count = run.model->num_params;
    expect(run.per_item == 2 && run.batch.n == 12 && run.drpt.n == 6 && run.drpt.T == 2 * T && run.drpt.places == T);
    run_close(&run);
    StepRow micro = first_step(other, with("--general %s --batch 2 --accumulate 3", general));
    expect_close(other, whole, count, 2e-6f);
    expect(fabs(micro.loss - one.loss) < 1e-6 && fabs(micro.pairs[0].margin - one.pairs[0].margin) < 1e-6);
    expect(micro.pairs[0].accuracy == one.pairs[0].accuracy && micro.tokens == one.tokens && one.tokens == 12 * T);
    expect(isnan(one.target_loss) && isnan(one.pairs[1].margin) && one.rows_left_out == 0);
    StepRow both = first_step(other, with("--general %s --batch 6 --target %s --target-batch 2 --method full --group global", general, target));
    expect_close(other, whole, count, 2e-5f);
    expect(fabs(both.loss - one.loss) < 1e-6 && both.tokens == 16 * T);
    StepRow alone = first_step(whole, with("--general %s --batch 2", target));
    StepRow aimed = first_step(other, with("--general %s --batch 6 --target %s --target-batch 2 --method target", general, target));
    expect_close(other, whole, count, 2e-5f); // all of the target's pairs, in whatever order
    expect(fabs(aimed.target_loss - alone.loss) < 1e-6 && fabs(aimed.pairs[1].margin - alone.pairs[0].margin) < 1e-5);
    expect(fabs(aimed.loss - one.loss) < 1e-6 && fabs(alone.loss - one.loss) > 1e-5);
}

// As one batch in every sense: the same weights of the same pairs.
static void test_micro_batches_with_a_target(void) {
    static float whole[20000], other[20000];
    first_step(whole, with("--general %s --batch 4 --target %s --target-batch 2 --method cone --group block", general, target));
    first_step(other, with("--general %s --batch 2 --target %s --target-batch 1 --accumulate 2 --method cone --group block", general, target));
    begin(with("--general %s", general));
    expect_close(other, whole, run.model->num_params, 1e-5f);
    run_close(&run);
}

// The items of the regularizer are the pairs: where they come from, and which can be used.
static void test_items(void) {
    StepRow row = {0};
    char pattern[300];
    snprintf(pattern, sizeof(pattern), "%.*sgeneral_?.bin", (int)(strstr(general, "general_") - general), general);
    begin(with("--general %s --batch 20 --target %s --target-batch 2 --method subset", pattern, target));
    compute_update(&run, 0, &row); end_update(&run, &row);
    int of_second = 0;
    for (int i = 0; i < 20; i++) {
        of_second += run.policy.domain[i];
        expect(run.policy.domain[i] == run.batch.domain[2 * i] && run.policy.domain[i] == run.batch.domain[2 * i + 1]);
        expect(run.policy.usable[i] == 1);
    }
    expect(run.general.num_files == 2 && of_second == 10);
    run.policy.reference->params[run.policy.reference->num_params - 1] = NAN; // of the last layer normalisation: no log-probability is a number
    compute_update(&run, 1, &row); end_update(&run, &row);
    for (int i = 0; i < 20; i++) { expect(run.policy.usable[i] == 0); }
    expect(row.rows_left_out == 44 && isnan(row.loss) && isnan(row.target_loss));
    run_close(&run);
}

// Training moves the model and leaves the reference alone; without --reference it is what the run began with.
static void test_the_reference_stays(void) {
    static float before[20000];
    run_begin("--init L2,H3,C12,V17,T9 --seed 5 --threads 1 --objective dpo --general %s --batch 2 --lr 1e-2 --steps 3 --val-every 0", general);
    size_t bytes = sizeof(float) * run.model->num_params;
    memcpy(before, run.model->params, bytes);
    expect(memcmp(before, run.policy.reference->params, bytes) == 0);
    expect(run.policy.reference->grads == NULL && run.policy.reference->m == NULL && run.policy.reference->dx == NULL);
    run_train();
    expect(memcmp(before, run.policy.reference->params, bytes) == 0 && memcmp(before, run.model->params, bytes) != 0);
    run_close(&run);
}

// An evaluation sees each pair once, the last batch not being full; --val-batches counts pairs too.
static void test_evaluation(void) {
    begin(with("--general %s --val %s --batch 3 --val-batches -1", general, general));
    ObjectiveStats all = evaluate_pairs(&run, &run.val);
    expect(all.pairs == GENERAL / 2 && all.correct > 0.0 && all.correct < GENERAL / 2 && all.loss > 0.0);
    double loss = 0.0, margin = 0.0;
    for (int first = 0; first < GENERAL; first += 2) { // one by one
        static const double share[2] = { 1.0, 1.0 };
        ObjectiveStats one[2] = {{0}};
        for (int i = 0; i < 2; i++) { batch_row(&run.eval, (size_t)i, &run.val, (size_t)(first + i), V); }
        policy_weigh(&run.policy, run.model, &run.eval, 0, 2, 2, share, one);
        loss += one[0].loss;
        margin += one[0].margin;
    }
    expect(fabs(all.loss - loss) < 1e-5 && fabs(all.margin - margin) < 1e-5 && fabs(margin) > 0.01);
    expect(gpt2_config(run.policy.reference)->layers == 1);
    ObjectiveStats second[2] = {{0}};
    for (int i = 0; i < 4; i++) { batch_row(&run.eval, (size_t)i, &run.val, (size_t)i, V); }
    run.eval.usable[0] = 0; // of another pair
    policy_weigh(&run.policy, run.model, &run.eval, 2, 4, 2, (const double[2]){ 1.0, 1.0 }, second);
    expect(second[0].pairs == 1.0);
    run.config.val_batches = 2;
    expect(evaluate_pairs(&run, &run.val).pairs == 6);
    run_close(&run);
}

// A pair without a number in its log-probabilities is not passed over where it is to be judged.
static void test_broken_evaluation(void) {
    begin(with("--general %s --val %s --batch 3", general, scratch("general_b.bin")));
    run.policy.reference->weight.wpe[(T - 1) * 8] = NAN;
    ObjectiveStats some = evaluate_pairs(&run, &run.val);
    expect(some.pairs == 2 && some.broken == GENERAL - 4 && isfinite(some.loss));
    expect_dies("the val loss is not finite", train_step(&run, 0));
    run_close(&run);
}

// ---------------------------------------------------------------------------------------------
// Reward models.

#define REWARD "--init L2,H3,C12,V17,T10 --seed 5 --threads 1 --objective reward "

static void begin_reward(const char* options) { begin_model(REWARD, options); }

static StepRow first_reward_step(float* gradient, const char* options) { return first_step_of(REWARD, gradient, options); }

// A row's score is what the head says of its last token, after all that stands before it, and what comes behind does not matter.
static void test_scores(void) {
    static const double share[2] = { 1.0, 1.0 };
    begin_reward(with("--general %s --batch 4", scratch("general_b.bin")));
    Batch* b = &run.eval;
    int len = run.T, last[8];
    float before[8];
    expect(len == T + 1 && run.model->config.head == 1 && run.per_item == 2);
    for (int step = 0; step < 5; step++) {
        ObjectiveStats stats[2] = {{0}};
        if (step == 0) {
            for (int i = 0; i < 8; i++) { batch_row(b, (size_t)i, &run.general, (size_t)i, V); }
            for (int i = 0; i < 8; i++) { last[i] = len - 1; while (!b->mask[i * len + last[i]]) { last[i]--; } }
        }
        for (int i = 0; i < 8; i++) {
            int at = i * len + last[i];
            for (int t = last[i] + 2; step == 1 && t < len; t++) { b->inputs[i * len + t] = test_below(V); }
            for (int t = last[i] + 1; step == 1 && t < len; t++) { b->targets[i * len + t] = test_below(V); }
            if (step == 2) { b->targets[at] = (b->targets[at] + 1) % V; }
            if (step == 3) { b->targets[at] = (b->targets[at] + V - 1) % V; }
            if (step == 4) { b->inputs[at] = (b->inputs[at] + 1) % V; }
        }
        for (int n = 0; n < 8 * len; n++) { b->weight[n] = 1.0f; }
        policy_weigh(&run.policy, run.model, b, 0, 8, 8, share, stats);
        for (int i = 0; i < 8; i++) {
            int at = i * len + last[i] + 1;
            double score = run.model->weight.headb[0];
            for (int c = 0; c < 12; c++) { score += (double)run.model->weight.headw[c] * run.model->lnf[at * 12 + c]; }
            expect(fabs(run.policy.score[i] - score) < 1e-5 && b->inputs[at] == b->targets[at - 1]);
            if (step == 0) { before[i] = run.policy.score[i]; continue; }
            expect((step == 1 || step == 3) == (run.policy.score[i] == before[i]));
        }
        for (int n = 0; n < 8 * len; n++) { expect(b->weight[n] == 0.0f && (run.policy.dvalue[n] != 0.0f) == (n % len == last[n / len] + 1)); }
        expect(stats[0].pairs == 4.0);
    }
    for (int i = 0; i < 4; i++) { batch_row(b, (size_t)i, &run.general, (size_t)(8 + i), V); } // scored elsewhere
    policy_weigh(&run.policy, run.model, b, 0, 4, 4, share, (ObjectiveStats[2]){{0}});
    for (int n = 0; n < 4 * len; n++) { expect((run.policy.dvalue[n] != 0.0f) == (n % len == T)); }
    run_close(&run);
}

// As with dpo, and the head's gradient too: micro-batches are one batch, `full` is training without a target, `target` training on it.
static void test_reward_shares(void) {
    static float whole[20000], other[20000];
    StepRow one = first_reward_step(whole, with("--general %s --batch 6", general));
    begin_reward(with("--general %s --batch 6", general));
    size_t count = run.model->num_params;
    run_close(&run);
    for (size_t i = count - 13; i < count - 1; i++) { expect(whole[i] != 0.0f); }
    expect(whole[count - 1] == 0.0f); // both scores of a pair have the head's bias
    StepRow micro = first_reward_step(other, with("--general %s --batch 2 --accumulate 3", general));
    expect_close(other, whole, count, 2e-6f);
    expect(fabs(micro.loss - one.loss) < 1e-6 && micro.pairs[0].accuracy == one.pairs[0].accuracy && one.tokens == 12 * (T + 1));
    StepRow both = first_reward_step(other, with("--general %s --batch 6 --target %s --target-batch 2 --method full --group global", general, target));
    expect_close(other, whole, count, 2e-5f);
    expect_close(other + count - 13, whole + count - 13, 13, 2e-5f);
    expect(fabs(both.loss - one.loss) < 1e-6);
    first_reward_step(other, with("--general %s --batch 6 --target %s --target-batch 2 --method cone", general, target));
    expect_close(other + count - 13, whole + count - 13, 13, 2e-5f);
    StepRow alone = first_reward_step(whole, with("--general %s --batch 2", target));
    StepRow aimed = first_reward_step(other, with("--general %s --batch 6 --target %s --target-batch 2 --method target", general, target));
    expect_close(other, whole, count, 2e-5f);
    expect_close(other + count - 13, whole + count - 13, 13, 2e-5f);
    expect(fabs(aimed.target_loss - alone.loss) < 1e-6);
}

// A pair whose score is no number is left out, and the head does not hear of it; its mean is of the pairs that are left.
static void test_broken_scores(void) {
    static float all[20000];
    StepRow row = {0};
    begin_reward(with("--general %s --target %s --batch 4 --target-batch 2 --method subset", general, target));
    size_t count = run.model->num_params;
    run.model->weight.wpe[T * 12] = NAN; // rows that are trained on to the end have no score
    compute_update(&run, 0, &row); end_update(&run, &row);
    int left = 0;
    for (int i = 0; i < 4; i++) { left += run.policy.usable[i]; }
    expect(left == 0 && row.rows_left_out == 12 && isnan(row.loss) && isnan(row.target_loss));
    for (size_t i = count - 13; i < count; i++) { expect(run.model->grads[i] == 0.0f); }
    run_close(&run);
    begin_reward(with("--general %s --target %s --batch 4 --target-batch 2 --method full", scratch("general_b.bin"), target));
    run.batch.usable[0] = 1;
    batch_fill(&run.batch, &run.general_reader, &run.target_reader, 1, V);
    Batch* b = &run.batch;
    double share[2] = { 1.0, 0.5 };
    ObjectiveStats stats[2] = {{0}};
    b->usable[2] = 0;
    policy_weigh(&run.policy, run.model, b, 0, 12, 8, share, stats);
    policy_items(&run.policy, b);
    const HeadGradient* head = policy_head(&run.policy, &run.drpt, 12, 8);
    expect(stats[0].pairs == 3.0 && run.policy.usable[1] == 0);
    for (int i = 0; i < 12; i++) { expect(head->share[i] == (i < 8 ? (float)(1.0 / 3.0) : 0.0f)); }
    head = policy_head(&run.policy, &run.drpt, 4, 0); // a pass with target rows alone
    for (int i = 0; i < 4; i++) { expect(head->share[i] == 1.0f); }
    memcpy(all, run.policy.dvalue, sizeof(float) * 12 * (size_t)run.T);
    for (int n = 2 * run.T; n < 4 * run.T; n++) { expect(all[n] == 0.0f); }
    run_close(&run);
}

static void test_reward_evaluation(void) {
    static const double share[2] = { 1.0, 1.0 };
    begin_reward(with("--general %s --val %s --batch 3 --val-batches -1", general, general));
    ObjectiveStats all = evaluate_pairs(&run, &run.val);
    double loss = 0.0;
    for (int first = 0; first < GENERAL; first += 2) {
        ObjectiveStats one[2] = {{0}};
        for (int i = 0; i < 2; i++) { batch_row(&run.eval, (size_t)i, &run.val, (size_t)(first + i), V); }
        policy_weigh(&run.policy, run.model, &run.eval, 0, 2, 2, share, one);
        loss += one[0].loss;
        expect(fabs(one[0].margin - ((double)run.policy.score[0] - run.policy.score[1])) < 1e-6);
    }
    expect(all.pairs == GENERAL / 2 && fabs(all.loss - loss) < 1e-5 && all.correct > 0.0 && all.correct < GENERAL / 2);
    run_close(&run);
}

// A model that was written and is read again says of each row what it says of its tokens alone, however many rows it takes at a time.
static void test_reward_model(void) {
    enum { ROWS = 5 };
    static const int length[ROWS] = { 10, 1, 4, 7, 3 };
    int tokens[ROWS * 10];
    double rewards[ROWS];
    begin_reward(with("--general %s --batch 2", general));
    for (int n = 0; n < ROWS * 10; n++) { tokens[n] = test_below(V); }
    model_write(scratch("judge.bin"), gpt2_config(run.model), MODEL_FP32, run.model->params, run.model->num_params);
    RewardModel judge = reward_model_open(scratch("judge.bin"), 0, gpt2_config(run.model), 2, 10);
    reward_model_give(&judge, rewards, tokens, length, ROWS);
    for (int i = 0; i < ROWS; i++) {
        float values[10];
        gpt2_forward(run.model, tokens + i * 10, 1, length[i]);
        gpt2_values(run.model, values, 1, length[i]);
        expect(fabs(rewards[i] - values[length[i] - 1]) < 1e-5);
        for (int k = 0; k < i; k++) { expect(rewards[i] != rewards[k]); }
    }
    reward_model_close(&judge);
    GPT2Config larger = *gpt2_config(run.model), *same = &run.model->config;
    larger.vocab_size++;
    expect_dies("--reward-model", omp_set_num_threads(1); reward_model_open(scratch("judge.bin"), 0, &larger, 2, 10)); // a child has no other threads
    expect_dies("do not fit its context", omp_set_num_threads(1); reward_model_open(scratch("judge.bin"), 0, same, 2, same->max_seq_len + 1));
    run_close(&run);
}

static void test_default_steps(void) {
    begin(with("--general %s --batch 2 --accumulate 2", general));
    expect(run.steps == GENERAL / 8);
    run_close(&run);
    begin(with("--target %s --target-batch 1 --method target", target));
    expect(run.steps == TARGET / 2);
    run_close(&run);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "policy/a_reader_keeps_pairs_together", test_a_reader_keeps_pairs_together },
        { "policy/shares", test_shares },
        { "policy/micro_batches_with_a_target", test_micro_batches_with_a_target },
        { "policy/items", test_items },
        { "policy/the_reference_stays", test_the_reference_stays },
        { "policy/evaluation", test_evaluation },
        { "policy/broken_evaluation", test_broken_evaluation },
        { "policy/scores", test_scores },
        { "policy/reward_shares", test_reward_shares },
        { "policy/broken_scores", test_broken_scores },
        { "policy/reward_evaluation", test_reward_evaluation },
        { "policy/reward_model", test_reward_model },
        { "policy/default_steps", test_default_steps },
    };
    omp_set_num_threads(1);
    snprintf(general, sizeof(general), "%s", scratch("general_a.bin"));
    snprintf(target, sizeof(target), "%s", scratch("target.bin"));
    write_data();
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
