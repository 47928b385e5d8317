// round_draw.c -- a round's responses: sampled, judged, compared with one another.
#include "round.h"
#include "run.h"
#include "../llmc/check.h"

#include <math.h>
#include <string.h>

// Of random numbers. Training data is shuffled by streams that count epochs from 0.
static const uint64_t GENERAL = (uint64_t)1 << 32, TARGET = (uint64_t)2 << 32, VAL = (uint64_t)3 << 32, VAL_GENERAL = (uint64_t)4 << 32;

// `rows` responses, `group` to each of the prompts in `source`; the first of them has the random numbers `first` of the stream.
static void roll_out(Run* run, const Dataset* data, int rows, int group, uint64_t stream, uint64_t first) {
    Round* r = run->round;
    rollouts_begin(&r->rollouts, (uint64_t)run->config.seed, stream, first);
    for (int i = 0; i < rows; i++) {
        Prompt p = prompts_row(&r->prompts, data, r->source[i / group]);
        rollouts_prompt(&r->rollouts, i, p.tokens, p.count);
    }
    while (rollouts_step(&r->rollouts, run->model) > 0) {}
}

// Their rewards, by the reward model or by the judge.
static void judge(Run* run, const Dataset* data, int rows, int group, int by_model) {
    Round* r = run->round;
    const Rollouts* drawn = &r->rollouts;
    if (by_model) { reward_model_give(&r->reward_model, r->rewards, drawn->tokens, drawn->length, rows); return; }
    prompts_begin(&r->prompts);
    for (int i = 0; i < rows; i++) {
        const int* response = drawn->tokens + (size_t)i * (size_t)drawn->T + drawn->prompt[i];
        prompts_add(&r->prompts, prompts_row(&r->prompts, data, r->source[i / group]), response, drawn->length[i] - drawn->prompt[i]);
    }
    if (!rewarder_give(&r->judge, r->rewards, prompts_cases(&r->prompts), (size_t)rows, &stop_requested)) { run_stop(run); }
}

// What was drawn, as rows to learn from: sampled tokens are targets, one position to the left.
static void take_rows(RoundRows* to, const Round* r, const Dataset* data) {
    const Rollouts* drawn = &r->rollouts;
    size_t T = (size_t)to->T;
    memcpy(to->tokens, drawn->tokens, sizeof(int) * T * (size_t)to->rows);
    memcpy(to->length, drawn->length, sizeof(int) * (size_t)to->rows);
    memset(to->usable, 1, (size_t)to->rows);
    for (int i = 0; i < to->rows; i++) {
        size_t at = (size_t)i * T;
        memcpy(to->mask + at, drawn->mask + at + 1, T - 1);
        memcpy(to->old + at, drawn->log_prob + at + 1, sizeof(float) * (T - 1));
        to->mask[at + T - 1] = 0;
        to->old[at + T - 1] = 0.0f;
        to->reward[i] = (float)r->rewards[i];
        check(isfinite(to->reward[i]), "response %d of the round got a reward of %g, which is not finite", i, r->rewards[i]);
        to->domain[i] = dataset_domain(data, r->source[i / r->group]);
    }
}

// Log-probabilities of the responses under a model.
static void evaluate_rows(Run* run, GPT2* model, float* logp, const RoundRows* rows) {
    Batch* b = &run->eval;
    size_t T = (size_t)b->T;
    for (int first = 0; first < rows->rows; first += b->n) {
        int count = rows->rows - first < b->n ? rows->rows - first : b->n;
        for (int i = 0; i < count; i++) { round_batch_row(b, (size_t)i, rows, first + i); }
        log_probabilities(logp + (size_t)first * T, run->hits, model, b, 0, count);
    }
}

// And their values, of the states in which the tokens were chosen.
static void evaluate_states(Run* run, RoundRows* rows) {
    Batch* b = &run->eval;
    for (int first = 0; first < rows->rows; first += b->n) {
        int count = rows->rows - first < b->n ? rows->rows - first : b->n;
        for (int i = 0; i < count; i++) { round_batch_row(b, (size_t)i, rows, first + i); }
        gpt2_hidden(run->model, b->inputs, count, b->T);
        gpt2_values(run->model, rows->value + (size_t)first * (size_t)b->T, count, b->T);
    }
}

void round_draw(Run* run, RoundRows* to, Reader* reader, uint64_t stream, int number) {
    Round* r = run->round;
    for (int i = 0; i < to->rows / r->group; i++) { r->source[i] = reader_next(reader); }
    roll_out(run, reader->data, to->rows, r->group, stream, (uint64_t)number * (uint64_t)to->rows);
    judge(run, reader->data, to->rows, r->group, r->reward_model.model != NULL);
    take_rows(to, r, reader->data);
    if (r->reference) { evaluate_rows(run, r->reference, to->reference, to); }
    if (r->objective == OBJECTIVE_ppo) { evaluate_states(run, to); }
}

// ---------------------------------------------------------------------------------------------
// Advantages. A row from which nothing is to be learnt is not usable from then on.

// Groups without any advantage: all their responses are worth the same. Returns how many.
static int drop_degenerate(RoundRows* rows, int group) {
    size_t T = (size_t)rows->T;
    int dropped = 0;
    for (int first = 0; first < rows->rows; first += group) {
        const float* advantage = rows->advantage + (size_t)first * T;
        size_t n = 0, N = (size_t)group * T;
        while (n < N && advantage[n] == 0.0f) { n++; }
        if (n < N) { continue; }
        memset(rows->usable + first, 0, (size_t)group);
        dropped++;
    }
    return dropped;
}

int round_compare(RoundRows* rows, int group) {
    ObjectiveStats stats = {0};
    if (rows->rows == 0) { return 0; }
    grpo_advantages(rows->advantage, &stats, round_responses(rows), rows->reward, group);
    return drop_degenerate(rows, group);
}

// With the values of its states. A response is judged as it stands, so that it ends with its last token even where it was cut (after = 0).
static void compare_with_values(Run* run, RoundRows* rows) {
    const RoundOptions* o = &run->round_options;
    Round* r = run->round;
    ObjectiveStats stats = {0};
    Responses all = round_responses(rows);
    ppo_rewards(r->token_reward, &stats, all, rows->reward, rows->old, r->reference ? rows->reference : rows->old, r->kl);
    ppo_advantages(rows->advantage, rows->returns, &stats, all, r->token_reward, rows->value, r->after, o->gamma, o->lambda);
    whiten_advantages(rows->advantage, &stats, all);
    if (rows != &r->general && r->general.rows > 0) { return; }
    r->divergence = stats.responses > 0.0 ? stats.kl_penalty / stats.responses : NAN;
    r->responses = stats.responses;
}

void round_compare_target(Run* run, RoundRows* rows) {
    Round* r = run->round;
    if (r->target_objective == TARGET_avg_reward) { round_compare(rows, rows->rows); }
    else if (r->objective == OBJECTIVE_ppo) { compare_with_values(run, rows); }
    else { round_compare(rows, r->group); }
}

void round_draw_target(Run* run) {
    Round* r = run->round;
    round_draw(run, &r->target, &run->target_reader, TARGET, r->target_draws++);
    round_compare_target(run, &r->target);
    r->target_age = 0;
}

void round_remember(Run* run) {
    Round* r = run->round;
    r->before = (RoundState){ r->number, r->done, r->target_age, r->target_draws, r->degenerate, r->kept, r->kl, r->divergence, r->responses, run_position(run) };
}

// Rows are replaced once they have been judged. If general ones were, the round that they belonged to had come to its end; the target's will be
// drawn again, the same.
void round_recall(Run* run) {
    Round* r = run->round;
    const RoundState* s = &r->before;
    r->done = r->number != s->number ? r->steps : s->done;
    r->number = s->number;
    r->target_age = s->target_age;
    r->target_draws = s->target_draws;
    r->degenerate = s->degenerate;
    r->kept = s->kept;
    r->kl = s->kl;
    r->divergence = s->divergence;
    r->responses = s->responses;
    run_seek(run, s->position);
}

// A round without general responses says nothing of how far the policy has gone, and its coefficient of the KL stays for the next one.
void round_begin(Run* run, int step) {
    const RoundOptions* o = &run->round_options;
    Round* r = run->round;
    int wants_general = round_wants_general(run, step);
    r->done = 0;
    if (o->kl_target > 0.0) { r->kl = adapted_kl(r->kl, r->divergence, o->kl_target, r->responses, o->kl_horizon); }
    if (wants_general) { round_draw(run, &r->general, &run->general_reader, GENERAL, r->number); }
    r->number++;
    if (r->general.rows > 0 && !wants_general) { r->divergence = NAN; return; }
    if (r->own_target) {
        for (int i = 0; i < r->general.rows; i++) { round_rows_copy(&r->target, i, &r->general, i); }
        round_compare_target(run, &r->target);
        r->target_age = 0;
    }
    if (r->objective == OBJECTIVE_grpo) { r->degenerate = round_compare(&r->general, r->group); }
    else if (r->general.rows > 0) { compare_with_values(run, &r->general); }
}

// ---------------------------------------------------------------------------------------------
// Evaluation.

typedef struct { double reward, right, length; } Judged; // sums

static double evaluate_prompts(Run* run, const Dataset* data, const char* name, int step, uint64_t stream) {
    const Config* c = &run->config;
    Round* r = run->round;
    Judged sum = {0};
    size_t most = c->val_batches < 0 ? data->rows : (size_t)c->val_batches * (size_t)c->batch, end = most < data->rows ? most : data->rows;
    for (size_t first = 0; first < end; first += (size_t)r->rollouts.rows) {
        int rows = end - first < (size_t)r->rollouts.rows ? (int)(end - first) : r->rollouts.rows;
        for (int i = 0; i < rows; i++) { r->source[i] = first + (size_t)i; }
        roll_out(run, data, rows, 1, stream, first);
        judge(run, data, rows, 1, !r->has_judge);
        for (int i = 0; i < rows; i++) {
            sum.reward += r->rewards[i];
            sum.right += r->rewards[i] >= 1.0;
            sum.length += r->rollouts.length[i] - r->rollouts.prompt[i];
        }
    }
    if (end == 0) { return NAN; }
    double n = (double)end;
    runlog_eval(&run->log, step, name, (const double[]){ sum.reward / n, r->has_judge ? sum.right / n : NAN, sum.length / n }); // a model's scores have no 1 that is right
    return sum.reward / n;
}

void round_evaluate(Run* run, StepRow* row) {
    row->round.val_reward = evaluate_prompts(run, &run->val, "val", row->step, VAL);
    row->round.val_general_reward = evaluate_prompts(run, &run->val_general, "val_general", row->step, VAL_GENERAL);
}
