// test_grpo.c -- rounds of policy gradients from the inside: prompts and their texts, what is drawn and when, which rows a step has, and with
// which weights. What is learnt, and what is refused, is test_grpo.sh's.
#include "trainer.h"

#include <sys/stat.h>

enum { T = 9, V = 17, ROWS = 6, EOT = 256 };

// ---------------------------------------------------------------------------------------------
// Prompts.

static Dataset one_row(const uint16_t* tokens, const unsigned char* mask, size_t len, int vocab, ExamplesKind kind, TokenizerKind tokenizer) {
    examples_write(scratch("row.bin"), tokens, mask, 1, len, vocab, kind, tokenizer);
    return dataset_open(scratch("row.bin"), 0);
}

static Prompts open_one(const Dataset* d, int vocab) {
    GPT2Config model = { .max_seq_len = 64, .vocab_size = vocab };
    return prompts_open(&config_defaults, &model, &d, 1);
}

static void expect_text(RewardText t, const char* want, size_t bytes) { expect(t.bytes == bytes && memcmp(t.text, want, bytes) == 0); }
#define EXPECT_TEXT(t, want) expect_text(t, want, sizeof(want) - 1)

// What stands before the first position that is trained on is asked, what is trained on is the answer; the end of a text is no text.
static void test_texts(void) {
    const uint16_t tokens[9] = { EOT, 'a', '=', '7', '\n', '8', EOT, EOT, EOT };
    const unsigned char mask[8] = { 0, 0, 1, 0, 1, 1, 0, 0 };
    Dataset d = one_row(tokens, mask, 8, 257, KIND_EXAMPLES, TOKENIZER_BYTES);
    Prompts p = open_one(&d, 300);
    Prompt row = prompts_row(&p, &d, 0);
    expect(p.end == EOT && row.count == 3 && row.answer_count == 3 && row.tokens[0] == EOT && row.tokens[2] == '=');
    prompts_begin(&p);
    prompts_add(&p, row, (const int[]){ 'x', 0, 257, EOT }, 4);
    EXPECT_TEXT(prompts_cases(&p)[0].response, "x\0\xEF\xBF\xBD"); // 257: of the model, not of its tokenizer
    for (int i = 1; i < 200; i++) { prompts_add(&p, prompts_row(&p, &d, 0), (const int[]){ 'a' + i % 26, EOT }, i % 3); }
    const RewardCase* all = prompts_cases(&p);
    EXPECT_TEXT(all[0].prompt, "a=");
    EXPECT_TEXT(all[0].answer, "78");
    for (int i = 1; i < 200; i++) {
        expect(all[i].response.bytes == (i % 3 > 0) && (i % 3 == 0 || all[i].response.text[0] == 'a' + i % 26));
        EXPECT_TEXT(all[i].prompt, "a=");
        EXPECT_TEXT(all[i].answer, "78");
    }
    prompts_begin(&p); // anew
    prompts_add(&p, row, NULL, 0);
    EXPECT_TEXT(prompts_cases(&p)[0].prompt, "a=");
    expect(p.count == 1 && p.bytes == 4);
    prompts_close(&p);
    dataset_close(&d);
}

// Without an answer, all of a row is the prompt but what fills it up; a prompt has one token at least.
static void test_prompts_without_an_answer(void) {
    const uint16_t tokens[6] = { 'a', EOT, 'b', EOT, EOT, EOT }, empty[6] = { EOT, EOT, EOT, EOT, EOT, EOT };
    const unsigned char mask[5] = {0};
    Dataset d = one_row(tokens, mask, 5, 257, KIND_PROMPTS, TOKENIZER_BYTES);
    Prompts p = open_one(&d, 257);
    Prompt row = prompts_row(&p, &d, 0);
    expect(row.count == 3 && row.answer_count == 0);
    prompts_check(&p, &d, "it", 4, NULL);
    expect_dies("it: row 0 (from 0): its prompt of 3 tokens leaves no room", prompts_check(&p, &d, "it", 3, NULL));
    expect_dies("it: row 0 (from 0): the answer is empty", prompts_check(&p, &d, "it", 4, &(Rewarder){ .rule = REWARD_exact }));
    prompts_close(&p);
    dataset_close(&d);
    d = one_row(empty, mask, 5, 257, KIND_PROMPTS, TOKENIZER_BYTES);
    p = open_one(&d, 257);
    expect(prompts_row(&p, &d, 0).count == 1);
    prompts_close(&p);
    dataset_close(&d);
    d = one_row(tokens, mask, 5, 257, KIND_PROMPTS, TOKENIZER_NONE); // nothing is known to fill it up
    p = open_one(&d, 257);
    row = prompts_row(&p, &d, 0);
    expect(row.count == 6 && p.end == -1);
    prompts_begin(&p);
    prompts_add(&p, row, (const int[]){ 3, 0, 256 }, 3);
    EXPECT_TEXT(prompts_cases(&p)[0].prompt, "97 256 98 256 256 256");
    EXPECT_TEXT(prompts_cases(&p)[0].response, "3 0 256");
    prompts_close(&p);
    dataset_close(&d);
}

// ---------------------------------------------------------------------------------------------
// Rounds. Tokens stand for no text, and a response's first number is its reward.

static void write_prompts(const char* path, int rows, int shortest) {
    uint16_t tokens[ROWS * (T + 1)];
    unsigned char mask[ROWS * T];
    for (int i = 0; i < rows; i++) {
        int answer = shortest + i % 3;
        for (int k = 0; k <= T; k++) { tokens[i * (T + 1) + k] = (uint16_t)test_below(V); }
        for (int k = 0; k < T; k++) { mask[i * T + k] = k >= answer && k < answer + 2; }
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, KIND_PROMPTS, TOKENIZER_NONE);
}

static char general[300], target[300], two_files[300];
static const char* judge = "judge.sh";

static void write_data(void) {
    write_prompts(scratch("general.bin"), ROWS, 1);
    write_prompts(scratch("target.bin"), 3, 2);
    write_prompts(scratch("of1.bin"), ROWS, 1);
    write_prompts(scratch("of2.bin"), 3, 1);
    snprintf(general, sizeof(general), "%s", scratch("general.bin"));
    snprintf(target, sizeof(target), "%s", scratch("target.bin"));
    snprintf(two_files, sizeof(two_files), "%s", scratch("of[12].bin"));
}

__attribute__((format(printf, 1, 2)))
static void begin(const char* format, ...) {
    char options[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(options, sizeof(options), format, args);
    va_end(args);
    run_begin("--init L2,H3,C12,V17,T10 --seed 5 --threads 1 --objective grpo --group-size 4 --max-new 4 --schedule constant --reward-seconds 5 --reward-command %s %s", scratch(judge), options);
    test_rng = 9;
    fill_params(run.model, 0.3f);
    if (run.round->reference) { test_rng = 11; fill_params(run.round->reference, 0.3f); }
}

static void write_judge(const char* name, const char* commands) {
    FILE* f = fopen(scratch(name), "w");
    check(f != NULL, "no judge");
    fprintf(f, "#!/bin/sh\nexec sed -u -n '%s'\n", commands);
    fclose(f);
    check(chmod(scratch(name), 0700) == 0, "no judge");
}

static StepRow update(int step) {
    StepRow row = runlog_row(step);
    round_update(&run, step, &row);
    return row;
}

static int sampled(const RoundRows* r, int row) {
    int count = 0;
    for (int k = 0; k < r->T; k++) { count += r->mask[row * r->T + k]; }
    return count;
}

// The first token of a response.
static int answer(const RoundRows* r, int row) {
    int k = 0;
    while (!r->mask[row * r->T + k]) { k++; }
    return r->tokens[row * r->T + k + 1];
}

// Rows are prompts of the data and what the model sampled after them, with the log-probabilities that a forward gives.
static void test_rows(void) {
    begin("--general %s --batch 8 --rollouts 16 --kl 0.3", general);
    update(0);
    Round* r = run.round;
    const RoundRows* rows = &r->general;
    int len = run.T, seen[ROWS] = {0}, shortest = 99;
    expect(len == T + 1 && rows->rows == 16 && rows->T == len && r->steps == 2 && r->done == 1 && r->number == 1);
    float *logp = calloc((size_t)(16 * len), sizeof(float)), *of_reference = calloc((size_t)(16 * len), sizeof(float));
    Batch b = batch_create(16, 0, len, 1);
    unsigned char* hits = calloc((size_t)(16 * len), 1);
    for (int i = 0; i < 16; i++) {
        round_batch_row(&b, (size_t)i, rows, i);
        const int *x = rows->tokens + i * len, *first = rows->tokens + i / 4 * 4 * len;
        int count = sampled(rows, i), prompt = rows->length[i] - count;
        int from = -1;
        for (size_t d = 0; d < ROWS; d++) {
            Prompt p = prompts_row(&r->prompts, &run.general, d);
            if (p.count == prompt && memcmp(p.tokens, x, sizeof(int) * (size_t)prompt) == 0) { from = (int)d; }
        }
        expect(from >= 0 && memcmp(x, first, sizeof(int) * (size_t)prompt) == 0);
        seen[from >= 0 ? from : 0] += i % 4 == 0;
        expect(count == (4 < len - prompt ? 4 : len - prompt) && rows->domain[i] == 0);
        expect(rows->reward[i] == (float)answer(rows, i));
        shortest = prompt < shortest ? prompt : shortest;
        for (int k = 0; k < len; k++) {
            expect(rows->mask[i * len + k] == (k + 1 >= prompt && k + 1 < rows->length[i]));
            expect(b.inputs[i * len + k] == x[k] && b.targets[i * len + k] == (k + 1 < len ? x[k + 1] : 0));
            expect(b.mask[i * len + k] == rows->mask[i * len + k]);
        }
    }
    for (int d = 0; d < ROWS; d++) { expect(seen[d] <= 1); } // an epoch of the data has each prompt once
    expect(shortest >= 2);
    for (int i = 0; i < 16; i += 8) { log_probabilities(logp + i * len, hits, run.model, &b, i, i + 8); }
    int sum = 0;
    for (int n = 0; n < 16 * len; n++) { sum += b.mask[n]; expect(fabsf(rows->old[n] - logp[n]) < 1e-5f); }
    expect(sum > 40);
    for (int i = 0; i < 16; i += 8) { log_probabilities(of_reference + i * len, hits, r->reference, &b, i, i + 8); }
    expect_close(rows->reference, of_reference, (size_t)(16 * len), 1e-6f);
    double moved = 0.0;
    for (int n = 0; n < 16 * len; n++) { moved += fabsf(of_reference[n] - logp[n]); }
    expect(moved > 1.0);
    free(logp);
    free(of_reference);
    free(hits);
    batch_free(&b);
    run_close(&run);
}

// The prompt of the data that a response is to; -1: none, or more than one.
static int prompt_of(const Dataset* data, const RoundRows* rows, int row) {
    int found = -1, count = rows->length[row] - sampled(rows, row);
    for (int d = 0; d < (int)data->rows; d++) {
        Prompt p = prompts_row(&run.round->prompts, data, (size_t)d);
        if (p.count != count || memcmp(p.tokens, rows->tokens + row * rows->T, sizeof(int) * (size_t)count) != 0) { continue; }
        if (found >= 0) { return -1; }
        found = d;
    }
    return found;
}

// Each response is judged with its own prompt and that one's answer, and belongs to the file that they are from.
static void test_judged(void) {
    begin("--general %s --batch 8 --rollouts 24 --reward-command %s", two_files, scratch("three.sh"));
    const RoundRows* rows = &run.round->general;
    int of_file[2] = {0};
    for (int step = 0; step < 2; step++) {
        run.round->done = 3;
        update(step);
        for (int i = 0; i < rows->rows; i++) {
            int d = prompt_of(&run.general, rows, i);
            expect(d >= 0);
            if (d < 0) { continue; }
            Prompt p = prompts_row(&run.round->prompts, &run.general, (size_t)d);
            expect(rows->reward[i] == (float)(10000 * p.tokens[0] + 100 * answer(rows, i) + p.answer[0]));
            expect(rows->domain[i] == (d >= ROWS) && rows->usable[i] == 1);
            of_file[d >= ROWS]++;
        }
    }
    expect(of_file[0] > 0 && of_file[1] > 0);
    run_close(&run);
    begin("--general %s --batch 8 --reward-command %s", general, scratch("huge.sh"));
    expect_dies("response 0 of the round got a reward of 1e+300", update(0));
    run_close(&run);
}

// One response to each of the first prompts, in batches; by a judge that only looks at the prompt.
static void test_evaluations(void) {
    static const struct { int batches, rows; } cases[] = { { 1, 4 }, { 2, 6 }, { -1, 6 }, { 0, 0 } };
    for (int k = 0; k < 4; k++) {
        begin("--general %s --batch 4 --val %s --val-batches %d --reward-command %s --out %s%d", general, general, cases[k].batches, scratch("none_right_better.sh"), scratch("judged"), k);
        StepRow row = runlog_row(7);
        double sum = 0.0, right = 0.0, length = 0.0, ones = 0.0;
        for (int d = 0; d < cases[k].rows; d++) {
            Prompt p = prompts_row(&run.round->prompts, &run.val, (size_t)d);
            int reward = p.tokens[0] / 5 - 1 > 0 ? p.tokens[0] / 5 - 1 : 0;
            sum += reward;
            right += reward >= 1;
            ones += reward == 1;
            length += run.T - p.count < 4 ? run.T - p.count : 4;
        }
        expect(cases[k].rows < 6 || (right < 6.0 && ones > 0.0 && ones < right));
        round_evaluate(&run, &row);
        expect(isnan(row.round.val_general_reward) && (cases[k].rows > 0 ? fabs(row.round.val_reward - sum / cases[k].rows) < 1e-12 : isnan(row.round.val_reward)));
        run_close(&run);
        char* path = path_join(with("%s%d", scratch("judged"), k), "eval.csv");
        FILE* f = fopen(path, "r");
        double got[3] = { 0, 0, 0 };
        int step = -1;
        expect(f && fscanf(f, "%*s") == 0 && (fscanf(f, "%d,val,%lf,%lf,%lf", &step, &got[0], &got[1], &got[2]) == 4) == (cases[k].rows > 0));
        for (int i = 0; i < 3 && cases[k].rows > 0; i++) { expect(step == 7 && fabs(got[i] * cases[k].rows - (const double[]){ sum, right, length }[i]) < 1e-6); }
        if (f) { fclose(f); }
        free(path);
    }
}

// General responses are drawn where bases are renewed, with the next prompts and random numbers of that round; elsewhere nobody would look at them.
static void test_rounds_without_general(void) {
    begin("--general %s --batch 4 --rollouts 8 --target %s --target-batch 4 --method inside --rank 2 --refresh 5", general, target);
    Round* r = run.round;
    size_t bytes = sizeof(int) * (size_t)(8 * run.T);
    int* tokens = malloc(bytes);
    check(tokens != NULL, "out of memory");
    int drawn = 0;
    for (int step = 0; step < 12; step++) {
        int with = step < 2 || step == 4 || step == 5 || step >= 10; // rounds of two steps, one of which is 0, 5 or 10
        memcpy(tokens, r->general.tokens, bytes);
        StepRow row = update(step);
        end_update(&run, &row);
        int is_new = memcmp(tokens, r->general.tokens, bytes) != 0;
        drawn += is_new;
        expect(is_new == (with && step % 2 == 0) && r->number == 1 + step / 2);
        expect(run.general_reader.epoch * ROWS + run.general_reader.position == (uint64_t)(2 * drawn));
        expect(with ? row.round.reward > 0.0 && row.round.degenerate == r->degenerate : isnan(row.round.reward) && isnan(row.round.degenerate));
        expect(row.round.target_reward > 0.0 && row.round.length > 3.0 && isnan(row.loss) == (step % 5 != 0));
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    }
    expect(drawn == 3);
    free(tokens);
    run_close(&run);
    begin("--general %s --batch 4 --method inside --rank 2 --refresh 5", general); // their own target
    for (int step = 0; step < 3; step++) {
        StepRow row = update(step);
        end_update(&run, &row);
        expect(row.round.reward > 0.0 && row.round.target_reward == row.round.reward);
    }
    run_close(&run);
}

// Responses to one prompt, drawn again and again by the same policy, for the target as well: none like the others.
static void test_random_numbers(void) {
    uint16_t tokens[6 * (T + 1)];
    unsigned char mask[6 * T] = {0};
    for (int k = 0; k < 6 * (T + 1); k++) { tokens[k] = (uint16_t)(k % (T + 1)); }
    for (int i = 0; i < 6; i++) { mask[i * T + 1] = 1; }
    examples_write(scratch("same.bin"), tokens, mask, 6, T, V, KIND_PROMPTS, TOKENIZER_NONE);
    const char* same = scratch("same.bin");
    begin("--general %s --batch 4 --target %s --target-batch 4 --method cone --val %s --val-general %s", same, same, same, same);
    size_t len = (size_t)run.T, count = 0;
    int* drawn = calloc(28 * len, sizeof(int));
    for (int i = 0; i < 2; i++) {
        update(i);
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
        memcpy(drawn + len * count, run.round->general.tokens, sizeof(int) * 4 * len);
        memcpy(drawn + len * (count + 4), run.round->target.tokens, sizeof(int) * 4 * len);
        count += 8;
    }
    for (int i = 0; i < 4; i++) { // evaluations, of four prompts and of six, which are two batches: the last one is left to be looked at
        StepRow row = runlog_row(2);
        Dataset* other = i < 2 ? &run.val_general : &run.val;
        size_t rows = other->rows, left = i % 2 ? 2 : 4;
        run.config.val_batches = i % 2 ? 2 : 1;
        other->rows = 0;
        round_evaluate(&run, &row);
        other->rows = rows;
        memcpy(drawn + len * count, run.round->rollouts.tokens, sizeof(int) * left * len);
        count += left;
    }
    expect(count == 28);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) { expect(memcmp(drawn + i * len, drawn + j * len, sizeof(int) * len) != 0); }
    }
    free(drawn);
    run_close(&run);
}

// Which row of the round stands in the batch; -1: none.
static int row_of(const RoundRows* rows, int at) {
    for (int i = 0; i < rows->rows; i++) {
        size_t bytes = sizeof(int) * (size_t)rows->T;
        if (memcmp(run.batch.inputs + at * rows->T, rows->tokens + i * rows->T, bytes) == 0 && rows->reward[i] == run.round->step.reward[at]) { return i; }
    }
    return -1;
}

// An epoch takes each response once, and in another order than the last.
static void test_epochs(void) {
    begin("--general %s --batch 4 --accumulate 2 --rollouts 24 --epochs 3", general);
    Round* r = run.round;
    unsigned order[4][24];
    for (int step = 0; step < 12; step++) {
        StepRow row = update(step);
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
        int epoch = step / 3, part = step % 3;
        expect(r->number == 1 + step / 9 && r->done == 1 + step % 9 && r->steps == 9);
        if (epoch == 3 && part == 0) { for (int i = 0; i < 24; i++) { expect(row_of(&r->general, 0) >= 0); } }
        for (int i = 0; i < 8; i++) {
            order[epoch][8 * part + i] = r->order[8 * part + i];
            expect(memcmp(run.batch.inputs + i * run.T, r->general.tokens + (int)r->order[8 * part + i] * run.T, sizeof(int) * (size_t)run.T) == 0);
        }
        expect(isfinite(row.loss) && row.tokens == 8 * run.T && row.round.length > 3.0 && row.round.length <= 4.0);
    }
    for (int epoch = 0; epoch < 4; epoch++) {
        int seen[24] = {0};
        for (int i = 0; i < 24; i++) { seen[order[epoch][i]]++; }
        for (int i = 0; i < 24; i++) { expect(seen[i] == 1); }
        expect(epoch == 0 || memcmp(order[epoch], order[epoch - 1], sizeof(order[0])) != 0);
        expect(memcmp(order[epoch], order[(epoch + 1) % 4], sizeof(order[0])) != 0);
    }
    run_close(&run);
}

// ---------------------------------------------------------------------------------------------
// Weights.

static double mean_of_group(const RoundRows* r, int first, int count, double* deviation) {
    double sum = 0.0, squares = 0.0;
    for (int i = first; i < first + count; i++) { sum += r->reward[i]; }
    for (int i = first; i < first + count; i++) { squares += pow(r->reward[i] - sum / count, 2.0); }
    *deviation = sqrt(squares / (count - 1));
    return sum / count;
}

static double standardised(const RoundRows* r, int i, int group) {
    double deviation, mean = mean_of_group(r, i / group * group, group, &deviation);
    return (r->reward[i] - mean) / (deviation + 1e-6);
}

// On the policy the weight of a token is its share times the advantage of its group, and kl times how much likelier the reference finds it.
static void expect_general(int first, int count, double share, double kl) {
    const Round* r = run.round;
    for (int at = first; at < first + count; at++) {
        int i = row_of(&r->general, at);
        expect(i >= 0);
        for (int k = 0; i >= 0 && k < run.T; k++) {
            int n = i * run.T + k;
            double d = r->reference ? (double)r->general.reference[n] - r->general.old[n] : 0.0;
            double want = r->general.mask[n] ? share * (standardised(&r->general, i, 4) + kl * expm1(d)) : 0.0;
            expect(fabs(run.batch.weight[at * run.T + k] - want) < 1e-4 * share * (1.0 + fabs(want / share)));
        }
    }
}

static long all_tokens(const RoundRows* r) {
    long sum = 0;
    for (int i = 0; i < r->rows; i++) { sum += sampled(r, i); }
    return sum;
}

static void test_shares(void) {
    begin("--general %s --batch 4 --accumulate 2", general); // ordinary training: the mean over the tokens of all micro-batches
    StepRow row = update(0);
    expect(run.round->degenerate == 0 && run.batch.accumulate == 2);
    expect_general(0, 8, 1.0 / (double)all_tokens(&run.round->general), 0.0);
    expect(fabs(row.round.reward - (mean_of_group(&run.round->general, 0, 8, &(double){0}))) < 1e-6 && row.round.degenerate == 0.0);
    expect(isnan(row.round.target_reward) && isnan(row.round.kl_reference) && row.round.kl_old < 1e-9 && row.round.clipped == 0.0);
    for (int i = 0; i < 8; i++) { run.round->general.domain[i] = i; }
    run.round->done = 0;
    round_fill(&run);
    for (int i = 0; i < 8; i++) { expect(run.batch.domain[i] == (int)run.round->order[i]); }
    run_close(&run);
    begin("--general %s --batch 8 --kl 0.3", general);
    row = update(0);
    double divergence = 0.0;
    for (int n = 0; n < 8 * run.T; n++) {
        double d = (double)run.round->general.reference[n] - run.round->general.old[n];
        divergence += run.round->general.mask[n] ? expm1(d) - d : 0.0;
    }
    expect(fabs(row.round.kl_reference * (double)all_tokens(&run.round->general) / divergence - 1.0) < 1e-3);
    expect_general(0, 8, 1.0 / (double)all_tokens(&run.round->general), 0.3);
    expect(row.round.kl == 0.3 && row.round.kl_reference > 1e-3);
    run_close(&run);
    begin("--general %s --batch 8 --target %s --target-batch 8 --method cone", general, target); // each row for itself: g_i, whose mean is that
    row = update(0);
    expect(run.batch.n == 8 && run.batch.m == 8);
    expect_general(0, 8, 8.0 / (double)all_tokens(&run.round->general), 0.0);
    expect(fabs(row.round.target_reward - mean_of_group(&run.round->target, 0, 8, &(double){0})) < 1e-6 && row.round.target_age == 0.0);
    run_close(&run);
}

// Groups whose responses are all worth the same are no part of a step, and the others count as if they were alone.
static void test_degenerate(void) {
    begin("--general %s --batch 8 --target %s --target-batch 8 --method cone --group global --target-objective pre-clip", general, target);
    Round* r = run.round;
    update(0);
    for (int i = 4; i < 8; i++) { r->general.reward[i] = r->target.reward[i - 4] = 3.0f; }
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    round_compare(&r->general, r->group);
    round_compare(&r->target, r->group);
    r->done = 0;
    r->steps = 2; // the same round again
    StepRow row = update(1);
    long tokens = 0, of_target = 0;
    for (int i = 0; i < 4; i++) { tokens += sampled(&r->general, i); of_target += sampled(&r->target, i + 4); }
    int usable = 0;
    for (int at = 0; at < 8; at++) {
        int i = row_of(&r->general, at), j = row_of(&r->target, 8 + at);
        expect(run.batch.usable[at] == (i < 4) && run.batch.usable[8 + at] == (j >= 4));
        usable += run.batch.usable[at];
        for (int k = 0; k < run.T; k++) {
            double want = i < 4 && r->general.mask[i * run.T + k] ? 4.0 / (double)tokens * standardised(&r->general, i, 4) : 0.0;
            double want_target = j >= 4 && r->target.mask[j * run.T + k] ? standardised(&r->target, j, 4) / (double)of_target : 0.0;
            expect(fabs(run.batch.weight[at * run.T + k] - want) < 1e-4);
            expect(fabs(run.batch.weight[(8 + at) * run.T + k] - want_target) < 1e-5);
        }
    }
    expect(usable == 4 && isfinite(row.loss));
    run_close(&run);
    begin("--general %s --batch 8 --reward-command %s", general, scratch("first.sh")); // all responses to a prompt are worth the same
    row = update(0);
    expect(row.round.degenerate == 2.0 && isnan(row.loss) && isnan(row.round.kl_old) && isnan(row.round.clipped) && row.round.length > 3.0);
    for (size_t k = 0; k < run.model->num_params; k++) { expect(run.model->grads[k] == 0.0f); }
    run_close(&run);
}

// A step in which there is nothing to learn from, between others: bases stay what they are.
static void test_degenerate_bases(void) {
    for (int which = 0; which < 2; which++) { // first of all, or once there are bases
        begin("--general %s --batch 8 --target %s --target-batch 8 --method inside --rank 2 --refresh 1", general, target);
        Round* r = run.round;
        r->steps = 4; // of one round
        for (int step = 0; step < 3; step++) {
            if (step == 0) { round_begin(&run, step); round_draw_target(&run); }
            int learns = step != which;
            memset(r->general.usable, learns, 8);
            memset(r->target.usable, learns, 8);
            memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
            update(step);
            double sum = 0.0;
            for (size_t k = 0; k < run.model->num_params; k++) { sum += fabsf(run.model->grads[k]); }
            expect(learns ? isfinite(sum) && sum > 0.0 : sum == 0.0);
        }
        run_close(&run);
    }
}

// The mean reward, with its mean for a baseline: over all responses, whatever their prompts.
static void test_target_weights(void) {
    begin("--general %s --batch 8 --target %s --target-batch 8 --method mix", general, target);
    update(0);
    const RoundRows* t = &run.round->target;
    double share = 1.0 / (double)all_tokens(t);
    for (int j = 0; j < 8; j++) {
        for (int k = 0; k < run.T; k++) {
            double want = t->mask[j * run.T + k] ? share * standardised(t, j, 8) : 0.0;
            expect(fabs(run.batch.weight[(8 + j) * run.T + k] - want) < 1e-5);
        }
    }
    run_close(&run);
}

// Off the policy avg-reward and pre-clip have no ratios; the objective itself has ratio, clipping and divergence.
static void test_target_off_the_policy(void) {
    static const char* const names[3] = { "avg-reward", "pre-clip", "objective" };
    for (int which = 0; which < 3; which++) {
        begin("--general %s --batch 8 --target %s --target-batch 8 --method mix --kl 0.3 --epochs 2 --target-objective %s", general, target, names[which]);
        update(0);
        test_rng = 33;
        fill_params(run.model, 0.25f); // another policy
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
        StepRow row = update(1);
        const RoundRows* t = &run.round->target;
        double share = 1.0 / (double)all_tokens(t);
        int other = 0, clipped = 0;
        expect(run.round->done == 2 && row.round.kl_old > 0.01 && row.round.clipped > 0.0 && row.round.target_age == 1.0);
        for (int n = 0; n < 8 * run.T; n++) {
            double plain = t->mask[n] ? share * standardised(t, n / run.T, which == 0 ? 8 : 4) : 0.0, got = run.batch.weight[8 * run.T + n];
            if (which < 2) { expect(fabs(got - plain) < 1e-5); continue; }
            double logp = t->mask[n] ? run.losses[8 * run.T + n] : 0.0, A = plain / share, ratio = exp(logp - t->old[n]);
            if (!t->mask[n]) { expect(got == 0.0); continue; }
            int flat = A > 0.0 ? ratio > 1.2 : A < 0.0 && ratio < 0.8;
            double want = share * ((flat ? 0.0 : ratio * A) + 0.3 * expm1(t->reference[n] - logp));
            expect(fabs(got - want) < 1e-4 * (1.0 + fabs(want)));
            clipped += flat;
            other += fabs(got - plain) > 1e-3 * share;
        }
        expect(which < 2 || (other > 10 && clipped > 0));
        run_close(&run);
    }
}

// What the log says of a step of several micro-batches: means over the tokens that take part, of the policy as it is against that which sampled; and of
// the round, whatever takes part.
typedef struct { double loss, kl_old, kl_reference, clipped, tokens; } Means;
static Means means_of(const RoundRows* r, int has_ratio, double kl) {
    Batch b = batch_create(r->rows, 0, run.T, 1);
    size_t N = (size_t)(r->rows * run.T);
    float* logp = calloc(N, sizeof(float));
    unsigned char* hits = calloc(N, 1);
    Means sum = {0};
    for (int i = 0; i < r->rows; i++) { round_batch_row(&b, (size_t)i, r, i); }
    for (int i = 0; i < r->rows; i += 4) { log_probabilities(logp + i * run.T, hits, run.model, &b, i, i + 4); }
    for (size_t n = 0; n < N; n++) {
        if (!r->mask[n] || !r->usable[n / (size_t)run.T]) { continue; }
        double moved = (double)logp[n] - r->old[n], d = (double)r->reference[n] - logp[n], A = r->advantage[n], ratio = has_ratio ? exp(moved) : 1.0;
        int flat = A > 0.0 ? ratio > 1.2 : A < 0.0 && ratio < 0.8;
        sum.tokens += 1.0;
        sum.loss += (has_ratio ? kl * (expm1(d) - d) : 0.0) - (flat ? A > 0.0 ? 1.2 : 0.8 : ratio) * A;
        sum.kl_old += expm1(moved) - moved;
        sum.kl_reference += expm1(d) - d;
        sum.clipped += flat;
    }
    free(logp);
    free(hits);
    batch_free(&b);
    return (Means){ sum.loss / sum.tokens, sum.kl_old / sum.tokens, sum.kl_reference / sum.tokens, sum.clipped / sum.tokens, sum.tokens };
}

static int is_near(double got, double want) { return fabs(got - want) <= 1e-4 * (1.0 + fabs(want)); }

static void test_log(void) {
    static const char* const cases[] = { "avg-reward", "pre-clip", "objective", NULL };
    for (int which = 0; which < 4; which++) {
        const char* name = cases[which];
        if (name) { begin("--general %s --batch 4 --accumulate 2 --target %s --target-batch 2 --group-size 2 --max-new 8 --method cone --kl 0.3 --epochs 2 --target-objective %s", general, target, name); }
        else { begin("--general %s --batch 4 --accumulate 2 --group-size 2 --kl 0.3 --epochs 2", general); }
        Round* r = run.round;
        update(0);
        test_rng = 33;
        fill_params(run.model, 0.25f); // another policy
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
        r->general.reward[0] = r->general.reward[1] = 3.0f; // and one group less
        expect(round_compare(&r->general, 2) == 1 && r->general.usable[0] == 0 && r->general.usable[1] == 0 && r->general.usable[2] == 1);
        r->degenerate = 1;
        StepRow row = update(1);
        Means general_means = means_of(&r->general, 1, 0.3);
        expect(is_near(row.loss, general_means.loss) && is_near(row.round.kl_old, general_means.kl_old) && is_near(row.round.kl_reference, general_means.kl_reference));
        expect(is_near(row.round.clipped, general_means.clipped) && general_means.clipped > 0.0 && general_means.clipped < 1.0 && fabs(general_means.loss) > 0.05);
        expect(row.round.kl == 0.3 && row.rows_left_out == 0 && isnan(row.round.value_loss) && isnan(row.round.kept) && row.round.degenerate == 1.0 && row.round_ended == 0);
        expect(is_near(row.round.reward, mean_of_group(&r->general, 0, 8, &(double){0})) && is_near(row.round.length, (double)all_tokens(&r->general) / 8.0));
        expect(row.tokens == (name ? 12 : 8) * run.T);
        if (name) {
            Means target_means = means_of(&r->target, which == 2, 0.3);
            expect(is_near(row.target_loss, target_means.loss) && (which == 1 || fabs(target_means.loss) > 0.01) && target_means.tokens > 8.0);
            expect(is_near(row.round.target_reward, mean_of_group(&r->target, 0, 4, &(double){0})) && row.round.target_age == 1.0);
        } else {
            expect(isnan(row.target_loss) && isnan(row.round.target_reward) && isnan(row.round.target_age));
        }
        run_close(&run);
    }
}

// Self-reference: the target's rows are the step's own, in the same order, with weights of their own.
static void test_own_target(void) {
    begin("--general %s --batch 4 --rollouts 16 --accumulate 2 --method subset", general);
    expect(run.batch.n == 8 && run.batch.m == 8 && run.batch.accumulate == 1 && run.drpt.rows.own_rows == 1);
    Round* r = run.round;
    for (int step = 0; step < 4; step++) {
        StepRow row = update(step);
        double share = 0.0;
        memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
        for (int j = 0; j < 8; j++) { share += sampled(&r->general, (int)r->order[8 * (step % 2) + j]); }
        for (int j = 0; j < 8; j++) {
            int i = (int)r->order[8 * (step % 2) + j];
            expect(memcmp(run.batch.inputs + j * run.T, run.batch.inputs + (8 + j) * run.T, sizeof(int) * (size_t)run.T) == 0);
            for (int k = 0; k < run.T; k++) {
                double want = r->general.mask[i * run.T + k] ? standardised(&r->general, i, 16) / share : 0.0;
                expect(fabs(run.batch.weight[(8 + j) * run.T + k] - want) < 1e-5);
            }
        }
        expect(row.round.target_reward == row.round.reward && row.round.target_age == step % 2 && row.tokens == 16 * run.T);
    }
    run_close(&run);
    begin("--general %s --batch 4 --method subset --leave-one-out 0", general);
    expect(run.drpt.rows.own_rows == 0);
    run_close(&run);
}

// How many rows and steps a round has, and a pass over the prompts; rows fit the prompts with one token more than they have, or the context.
static void test_sizes(void) {
    static const struct { const char* options; int with_target, general, target, steps, pass, T; } cases[] = {
        { "--batch 4 --seq 8", 0, 4, 0, 1, 6, 8 },
        { "--batch 4 --init L1,H2,C8,V17,T16", 0, 4, 0, 1, 6, 10 },
        { "--batch 4 --accumulate 2 --rollouts 16 --epochs 3", 0, 16, 0, 6, 6, 10 },   // 6 prompts, 4 to a round
        { "--batch 2 --accumulate 2 --rollouts 8 --epochs 2", 0, 8, 0, 4, 12, 10 },
        { "--batch 24 --rollouts 24 --epochs 2", 0, 24, 0, 2, 2, 10 },
        { "--batch 48", 0, 48, 0, 1, 1, 10 },                                          // more than there are
        { "--batch 4 --rollouts 8 --method subset", 0, 8, 8, 2, 6, 10 },
        { "--batch 4 --rollouts 8 --method full", 0, 8, 0, 2, 6, 10 },
        { "--batch 4 --rollouts 8 --iif 1", 0, 8, 8, 2, 6, 10 },
        { "--batch 4 --rollouts 8 --target-batch 2 --accumulate 2 --method mix", 1, 8, 4, 1, 3, 10 },
    };
    for (int i = 0; i < (int)(sizeof(cases) / sizeof(cases[0])); i++) {
        const char* held_out = cases[i].with_target ? with("--target %s", target) : "";
        begin("--general %s %s %s", general, held_out, cases[i].options);
        const Round* r = run.round;
        expect(r->general.rows == cases[i].general && r->target.rows == cases[i].target && r->steps == cases[i].steps && run.T == cases[i].T);
        expect(round_steps_of_a_pass(&run) == cases[i].pass && r->kept == -1 && r->done == r->steps);
        run_close(&run);
    }
    begin("--target %s --target-batch 8 --accumulate 2 --method target --epochs 3", target); // without general rows
    expect(run.round->general.rows == 0 && run.round->target.rows == 16 && run.round->steps == 3 && round_steps_of_a_pass(&run) == 3);
    StepRow row = update(0);
    expect(isnan(row.round.reward) && fabs(row.round.target_reward - mean_of_group(&run.round->target, 0, 16, &(double){0})) < 1e-5);
    expect(fabs(row.round.length - (double)all_tokens(&run.round->target) / 16.0) < 1e-9 && row.tokens == 16 * run.T);
    run_close(&run);
}

// A round that is ended: nothing is left of its gradients, and the next one's responses are others.
static void test_kl_stop(void) {
    begin("--general %s --batch 4 --accumulate 2 --epochs 4 --kl-stop 0.05", general);
    size_t bytes = sizeof(float) * run.model->num_params;
    float *ended = malloc(bytes), *fresh = malloc(bytes);
    StepRow row = update(0);
    double first = row.round.reward;
    expect(row.round_ended == 0 && run.round->number == 1 && run.round->done == 1);
    memset(run.model->grads, 0, bytes);
    row = update(1); // nothing has moved
    expect(row.round_ended == 0 && run.round->number == 1 && run.round->done == 2 && row.round.reward == first);
    memset(run.model->grads, 0, bytes);
    test_rng = 33;
    fill_params(run.model, 0.25f);
    row = update(2);
    expect(row.round_ended == 1 && run.round->number == 2 && run.round->done == 1 && row.round.kl_old < 1e-9 && row.round.reward != first);
    memcpy(ended, run.model->grads, bytes);
    memset(run.model->grads, 0, bytes);
    run.round->done = 0;
    update(3); // the same step of the same round
    memcpy(fresh, run.model->grads, bytes);
    expect_close(ended, fresh, run.model->num_params, 1e-6f);
    free(ended);
    free(fresh);
    run_close(&run);
    begin("--target %s --target-batch 8 --method target --target-objective objective --epochs 4 --kl-stop 0.05", target); // without general rows
    update(0);
    memset(run.model->grads, 0, bytes);
    test_rng = 33;
    fill_params(run.model, 0.25f);
    row = update(1);
    expect(row.round_ended == 1 && run.round->number == 2 && run.round->done == 1 && run.round->target_draws == 2);
    run_close(&run);
    begin("--general %s --batch 4 --epochs 2 --kl-stop 1e-30", general); // below what rounding moves: every round has its first step
    for (int step = 0; step < 3; step++) {
        update(step);
        expect(run.round->number == step + 1 && run.round->done == 1);
        memset(run.model->grads, 0, bytes);
    }
    run_close(&run);
}

// A round without anything to learn is no update, and AdamW's moments are not corrected for it, after an interruption neither: a first update
// moves the weights by the learning rate, whatever their gradients.
static void test_idle_rounds(void) {
    const char *folder = scratch("idle"), *options = "--general %s --batch 8 --lr 1e-3 --clip 0 --weight-decay 0 --eps 1e-12 --out %s --save-every 3 --resume 1 --steps %d";
    judge = "equal.sh";
    begin(options, general, folder, 3);
    run_train();
    expect(run.updates == 0);
    run_close(&run);
    judge = "judge.sh";
    begin(options, general, folder, 4);
    size_t count = run.model->num_params, moved = 0;
    float* before = malloc(sizeof(float) * count);
    check(before != NULL, "out of memory");
    memcpy(before, run.model->params, sizeof(float) * count);
    expect(run.first_step == 3 && run.updates == 0);
    run_train();
    expect(run.updates == 1);
    for (size_t k = 0; k < count; k++) {
        double by = fabs((double)run.model->params[k] - before[k]);
        expect(by < 1.001e-3);
        moved += by > 0.999e-3;
    }
    expect(moved > count / 4);
    free(before);
    run_close(&run);
}

// Micro-batches without a response that teaches anything have no gradient by way of the classifier, and those beside them have theirs.
static void test_idle_micro_batches(void) {
    float* whole = NULL;
    double loss = 0.0;
    for (int parts = 1; parts <= 8; parts *= 2) {
        begin("--general %s --batch %d --accumulate %d --epochs 2", general, 8 / parts, parts);
        Round* r = run.round;
        size_t count = run.model->num_params, bytes = sizeof(float) * count;
        update(0);
        memset(run.model->grads, 0, bytes);
        for (int i = 0; i < 4; i++) { r->general.usable[r->order[i]] = 0; }
        r->done = 0;
        StepRow row = update(1);
        if (!whole) {
            whole = malloc(bytes);
            check(whole != NULL, "out of memory");
            memcpy(whole, run.model->grads, bytes);
            loss = row.loss;
        }
        expect(gpt2_gradient_norm(run.model) > 0.0 && fabs(row.loss - loss) < 1e-6);
        expect_close(run.model->grads, whole, count, 1e-5f);
        run_close(&run);
    }
    free(whole);
}

// A step that is given up while responses are drawn, of one kind or of both, has not been begun: it comes as it would have come.
static void test_recall(void) {
    static const char* const cases[] = { "--rollouts 8", "--rollouts 8 --epochs 2 --target-refresh 2", "--rollouts 4 --epochs 3 --kl-stop 1e-30",
                                         "--rollouts 8 --epochs 2 --kl-stop 0.05" };
    for (int i = 0; i < 4; i++) {
        float* want = NULL;
        double loss = 0.0;
        for (int given_up = 0; given_up < 4; given_up++) { // 1: general responses, 2: the target's
            if (i == 1 && given_up & 1) { continue; } // in the middle of a round
            begin("--general %s --batch 4 --target %s --target-batch 4 --method mix %s", general, target, cases[i]);
            size_t bytes = sizeof(float) * run.model->num_params;
            for (int step = 0; step < 2; step++) {
                update(step);
                memset(run.model->grads, 0, bytes);
            }
            if (i == 3) { // by far enough to end the round, but not the next one
                test_rng = 33;
                fill_params(run.model, 0.25f);
            }
            round_remember(&run);
            if (given_up & 1) { round_begin(&run, 2); }
            if (given_up & 2) { round_draw_target(&run); }
            if (given_up) { round_recall(&run); }
            if (given_up == 2 && i == 0) { expect(run.round->number == 1 && run.round->done == 2 && run.round->target_draws == 1 && run.round->target_age == 2); }
            StepRow row = update(2);
            if (want) {
                expect(row.loss == loss && memcmp(want, run.model->grads, bytes) == 0);
            } else {
                want = malloc(bytes);
                check(want != NULL, "out of memory");
                memcpy(want, run.model->grads, bytes);
                loss = row.loss;
            }
            run_close(&run);
        }
        free(want);
    }
}

// Log-probabilities that are no numbers: such rows are left out, said so, and end a round only where there is one.
static void test_broken_rows(void) {
    begin("--general %s --batch 8 --epochs 2 --kl-stop 0.05", general);
    Round* r = run.round;
    update(0);
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    for (int n = 0; n < 3 * run.T; n++) { r->general.old[n] = NAN; }
    StepRow row = update(1);
    expect(row.rows_left_out == 3 && row.round_ended == 0 && isfinite(row.loss));
    r->done = 1;
    for (int n = 0; n < 8 * run.T; n++) { r->general.old[n] = NAN; }
    row = update(2);
    expect(row.round_ended == 1 && r->number == 2);
    run_close(&run);
    begin("--general %s --batch 4 --epochs 2 --target %s --target-batch 4 --method mix --target-objective objective", general, target);
    update(0);
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    for (int n = 0; n < run.T; n++) { run.round->target.old[n] = NAN; }
    row = update(1);
    expect(row.rows_left_out == 1 && isfinite(row.target_loss));
    run_close(&run);
}

// What is left counts as if such rows had never been part of the step, whatever micro-batch they are found in: for the mean over tokens too.
static void test_tokens_of_broken_rows(void) {
    static const char* const cases[] = { "--batch 8", "--batch 4 --accumulate 2", "--batch 8 --method subset", "--batch 8 --method mix --target-batch 8 --target " };
    for (int i = 0; i < 4; i++) {
        begin("--general %s --epochs 2 %s%s", general, cases[i], i == 3 ? target : "");
        RoundRows *g = &run.round->general, *t = &run.round->target;
        size_t bytes = sizeof(float) * run.model->num_params;
        float* found = malloc(bytes);
        check(found != NULL, "out of memory");
        update(0);
        memset(run.model->grads, 0, bytes);
        g->old[5 * run.T + g->length[5] - 2] = NAN; // of its last token
        g->advantage[2 * run.T + g->length[2] - 2] = NAN;
        if (t->rows > 0) { t->advantage[run.T + t->length[1] - 2] = NAN; }
        StepRow with = update(1);
        expect(with.rows_left_out == 2 + (t->rows > 0) && with.loss != 0.0);
        long tokens = all_tokens(g) - sampled(g, 2) - sampled(g, 5);
        double share = (i < 2 ? 1.0 : 6.0) / (double)tokens;
        for (int at = 0; at < 8; at++) {
            int row = row_of(g, at);
            expect(run.batch.usable[at] == (row != 2 && row != 5));
            for (int k = 0; k < run.T; k++) {
                double want = run.batch.usable[at] ? share * g->advantage[row * run.T + k] : 0.0;
                expect(fabs(run.batch.weight[at * run.T + k] - want) < 1e-5 * share);
            }
        }
        memcpy(found, run.model->grads, bytes);
        memset(run.model->grads, 0, bytes);
        g->usable[2] = g->usable[5] = 0;
        if (t->rows > 0) { t->usable[1] = 0; }
        run.round->done = 1;
        StepRow without = update(1);
        expect(without.rows_left_out == 0 && with.loss == without.loss && (t->rows == 0 || with.target_loss == without.target_loss));
        expect(memcmp(found, run.model->grads, bytes) == 0);
        free(found);
        run_close(&run);
    }
}

// ---------------------------------------------------------------------------------------------
// The file.

static void spoil(const char* path, long at, int32_t value) {
    FILE* f = fopen(path, "r+b");
    check(f && fseek(f, at, SEEK_SET) == 0 && fwrite(&value, sizeof(value), 1, f) == 1, "%s: cannot be spoilt", path);
    fclose(f);
}

static void expect_refused(const char* about, long at, int32_t value) {
    const char* path = scratch("round.bin");
    round_save(&run, path);
    spoil(path, at, value);
    expect_dies(about, round_load(&run, path));
}

// Of the run's file: what must not be in it, place by place.
static void expect_refusals(const char* path) {
    long tokens = 1024 + 8 * 8, masks = tokens + (long)(sizeof(int) * (size_t)(8 * run.T));
    expect_refused("not a round", 0, 20260507);
    expect_refused("not a round", 4, 2);
    expect_refused("holds 9 and 4 responses", 8, 9);
    expect_refused("holds 8 and 3 responses", 12, 3);
    expect_refused("holds 8 and 4 responses of 11 tokens", 16, 11);
    expect_refused("in groups of 2, not", 20, 2);
    for (int i = 6; i < 11; i++) {
        expect_refused(with("header entry %d is -1", i), 4 * i, -1);
        expect_refused(with("header entry %d is 1073741823", i), 4 * i, INT32_MAX / 2);
    }
    expect_refused("5 steps of a round of 4", 28, 5);
    expect_refused("another --epochs", 4 * 12, 3);
    expect_refused("another --objective", 4 * 13, OBJECTIVE_ppo);
    expect_refused("another --target-objective", 4 * 14, TARGET_objective);
    expect_refused("another --iif", 4 * 15, 1);
    expect_refused("another --kl (or none)", 4 * 16, 0);
    expect_refused("another --refresh", 4 * 17, 20);
    round_save(&run, path); // of a time when such files did not say so
    for (int entry = 12; entry <= 17; entry++) { spoil(path, 4 * entry, 0); }
    round_load(&run, path);
    expect_refused("token 17 is not of", tokens, 17);
    expect_refused("token -1 is not of", tokens, -1);
    expect_refused("a mask is 2", masks, 2);
    expect_refused("response 0 makes no sense", tokens + (long)(8 * run.T * (4 + 1 + 5 * 4) + 8 * 4), run.T + 1);
    expect_refused("response 0 makes no sense", tokens + (long)(8 * run.T * (4 + 1 + 5 * 4) + 8 * 8), 1);
    expect_refused("response 0 makes no sense", tokens + (long)(8 * run.T * (4 + 1 + 5 * 4) + 8 * 4), -1);
    expect_refused("response 0 makes no sense", tokens + (long)(8 * run.T * (4 + 1 + 5 * 4) + 8 * 8), -1);
    expect_refused("response 0 makes no sense", tokens + (long)(8 * run.T * (4 + 1 + 5 * 4) + 8 * 12), 2); // usable
    int32_t upper_half_of[] = { 0x7ff80000, (int32_t)0xbff00000, 0x7ff00000 }; // nan, -1, inf
    for (int i = 0; i < 3; i++) {
        expect_refused("a coefficient of", 1024 + 4, upper_half_of[i]);
        expect_refused("responses", 1024 + 2 * 8 + 4, upper_half_of[i]);
    }
}

static void test_file(void) {
    begin("--general %s --batch 4 --rollouts 8 --epochs 2 --target %s --target-batch 4 --method cone --target-refresh 3 --kl 0.1", general, target);
    Round* r = run.round;
    const char* path = scratch("saved.bin");
    update(0);
    update(1);
    r->degenerate = 3;
    r->kept = 5;
    round_save(&run, path);
    size_t values = (size_t)(8 * run.T);
    RoundRows kept = round_rows_create(8, run.T), of_target = round_rows_create(4, run.T);
    for (int i = 0; i < 8; i++) { round_rows_copy(&kept, i, &r->general, i); }
    for (int i = 0; i < 4; i++) { round_rows_copy(&of_target, i, &r->target, i); }
    update(2);
    update(3);
    update(4);
    update(5);
    expect(r->number == 2 && r->done == 2 && r->target_draws == 2 && r->target_age == 3);
    r->kept = -1;
    r->kl = 0.25; // as another --kl would have it
    round_load(&run, path);
    expect(r->number == 1 && r->done == 2 && r->target_draws == 1 && r->target_age == 2 && r->kl == 0.25 && r->degenerate == 3 && r->kept == 5);
    expect(memcmp(kept.tokens, r->general.tokens, sizeof(int) * values) == 0 && memcmp(kept.mask, r->general.mask, values) == 0);
    expect(memcmp(kept.old, r->general.old, sizeof(float) * values) == 0 && memcmp(kept.reference, r->general.reference, sizeof(float) * values) == 0);
    expect(memcmp(kept.advantage, r->general.advantage, sizeof(float) * values) == 0 && memcmp(kept.reward, r->general.reward, sizeof(float) * 8) == 0);
    expect(memcmp(kept.length, r->general.length, sizeof(int) * 8) == 0 && memcmp(kept.usable, r->general.usable, 8) == 0);
    expect(memcmp(of_target.tokens, r->target.tokens, sizeof(int) * values / 2) == 0 && memcmp(of_target.reward, r->target.reward, sizeof(float) * 4) == 0);
    round_rows_free(&kept);
    round_rows_free(&of_target);
    expect_refusals(path);
    r->done = r->steps; // between two rounds
    round_save(&run, path);
    r->done = 0;
    round_load(&run, path);
    expect(r->done == 4);
    r->done = 2;
    round_save(&run, path);
    check(truncate(path, 3000) == 0, "cannot be cut");
    expect_dies("its header asks for", round_load(&run, path));
    check(truncate(path, 100) == 0, "cannot be cut");
    expect_dies("100 bytes are no round", round_load(&run, path));
    run_close(&run);
}

// A response is of one of the files that its prompts are from: the target's, or the general ones where they are their own target.
static void expect_domains(int of_general, int of_target, int fits) {
    Round* r = run.round;
    const char* path = scratch("domains.bin");
    int rows = r->general.rows;
    update(0);
    for (int i = 0; i < rows; i++) { r->general.domain[i] = of_general; }
    for (int i = 0; i < r->target.rows; i++) { r->target.domain[i] = of_target; }
    round_save(&run, path);
    memset(r->general.domain, 7, sizeof(int) * (size_t)rows);
    if (!fits) { expect_dies("makes no sense", round_load(&run, path)); }
    else { round_load(&run, path); expect(r->general.domain[rows - 1] == of_general && r->target.domain[r->target.rows - 1] == of_target); }
    run_close(&run);
}

static void test_file_of_domains(void) {
    for (int domain = 0; domain < 3; domain++) {
        begin("--general %s --batch 4 --method subset", two_files);
        expect_domains(1, domain, domain < 2);
        begin("--general %s --batch 4 --target %s --target-batch 4 --method mix", two_files, target);
        expect_domains(domain, 0, domain < 2);
        begin("--general %s --batch 4 --target %s --target-batch 4 --method mix", general, two_files);
        expect_domains(0, domain, domain < 2);
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "grpo/texts", test_texts },
        { "grpo/prompts_without_an_answer", test_prompts_without_an_answer },
        { "grpo/rows", test_rows },
        { "grpo/judged", test_judged },
        { "grpo/evaluations", test_evaluations },
        { "grpo/rounds_without_general", test_rounds_without_general },
        { "grpo/random_numbers", test_random_numbers },
        { "grpo/epochs", test_epochs },
        { "grpo/shares", test_shares },
        { "grpo/degenerate", test_degenerate },
        { "grpo/degenerate_bases", test_degenerate_bases },
        { "grpo/target_weights", test_target_weights },
        { "grpo/target_off_the_policy", test_target_off_the_policy },
        { "grpo/log", test_log },
        { "grpo/own_target", test_own_target },
        { "grpo/sizes", test_sizes },
        { "grpo/kl_stop", test_kl_stop },
        { "grpo/idle_rounds", test_idle_rounds },
        { "grpo/idle_micro_batches", test_idle_micro_batches },
        { "grpo/recall", test_recall },
        { "grpo/broken_rows", test_broken_rows },
        { "grpo/tokens_of_broken_rows", test_tokens_of_broken_rows },
        { "grpo/file", test_file },
        { "grpo/file_of_domains", test_file_of_domains },
    };
    write_judge("judge.sh", "s/.*response\": \"\\([0-9]*\\).*/\\1/p");
    write_judge("equal.sh", "s/.*/0.5/p");
    write_judge("first.sh", "s/.*prompt\": \"\\([0-9]*\\).*/\\1/p");
    write_judge("none_right_better.sh", "s/.*prompt\": \"1[0-4] .*/1/p;t;s/.*prompt\": \"1[5-9] .*/2/p;t;s/.*/0/p");
    write_judge("three.sh", "s/: \"\\([0-9]\\)\\([ \"]\\)/: \"0\\1\\2/g;s/[^:]*: \"\\(..\\)[^:]*: \"\\(..\\)[^:]*: \"\\(..\\).*/\\1\\2\\3/p");
    write_judge("huge.sh", "s/.*/1e300/p");
    write_data();
    return test_main(argc, argv, tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
