// objective.c -- the objectives of post-training, each as coefficients on the tokens' log-probabilities.
#include "objective.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// Which rows take part.

static int finite_where(const unsigned char* mask, const float* x, int T) {
    for (int t = 0; t < T; t++) { if (mask[t] && !isfinite(x[t])) { return 0; } }
    return 1;
}

static int trained_in(const unsigned char* mask, int T) {
    int count = 0;
    for (int t = 0; t < T; t++) { count += mask[t] != 0; }
    return count;
}

static int leave_out(double* counter, Responses r, int b) {
    *counter += 1.0;
    r.usable[b] = 0;
    return 0;
}

// Row b with the inputs that it needs: number (B) and inputs (B,T), any of them NULL.
static int takes_part(ObjectiveStats* stats, Responses r, int b, const float* number, const float* const inputs[4]) {
    size_t row = (size_t)b * (size_t)r.T;
    if (!r.usable[b]) { return 0; }
    if (trained_in(r.mask + row, r.T) == 0) { return leave_out(&stats->empty, r, b); }
    if (number && !isfinite(number[b])) { return leave_out(&stats->broken, r, b); }
    for (int i = 0; i < 4; i++) {
        if (inputs[i] && !finite_where(r.mask + row, inputs[i] + row, r.T)) { return leave_out(&stats->broken, r, b); }
    }
    return 1;
}
#define INPUTS(...) ((const float* const[4]){ __VA_ARGS__ })

// The rows b and b + 1, both or neither.
static int pair_takes_part(ObjectiveStats* stats, Responses r, int b, const float* number, const float* const inputs[4]) {
    int better = takes_part(stats, r, b, number, inputs), worse = takes_part(stats, r, b + 1, number, inputs);
    if (better && worse) { return 1; }
    r.usable[b] = r.usable[b + 1] = 0;
    return 0;
}

// What came out for a row that took part: all of it, or nothing.
static int comes_out(ObjectiveStats* stats, Responses r, int b, float* out) {
    float* x = out + (size_t)b * (size_t)r.T;
    if (finite_where(r.mask + (size_t)b * (size_t)r.T, x, r.T)) { return 1; }
    memset(x, 0, sizeof(float) * (size_t)r.T);
    return leave_out(&stats->broken, r, b);
}

static void clear(float* x, Responses r) { memset(x, 0, sizeof(float) * (size_t)r.B * (size_t)r.T); }

long trained_tokens(Responses r) {
    long count = 0;
    for (int b = 0; b < r.B; b++) { if (r.usable[b]) { count += trained_in(r.mask + (size_t)b * (size_t)r.T, r.T); } }
    return count;
}

// ---------------------------------------------------------------------------------------------
// Pairs.

// Counts a pair and returns -dL/dmargin. Neither exp can overflow: -log sigmoid(x) = log(1 + exp(-x)) = log(1 + exp(-|x|)) + max(-x, 0).
static double add_pair(ObjectiveStats* stats, double margin, double share) {
    double e = exp(-fabs(margin));
    stats->pairs += 1.0;
    stats->correct += margin > 0.0 ? 1.0 : margin == 0.0 ? 0.5 : 0.0;
    stats->margin += margin;
    stats->loss += share * (log1p(e) + fmax(-margin, 0.0));
    return share * (margin > 0.0 ? e : 1.0) / (1.0 + e);
}

static void fill_trained(float* x, Responses r, int b, double value) {
    size_t row = (size_t)b * (size_t)r.T;
    for (int t = 0; t < r.T; t++) { x[row + (size_t)t] = r.mask[row + (size_t)t] ? (float)value : 0.0f; }
}

static double log_ratio(Responses r, int b, const float* logp, const float* reference) {
    double sum = 0.0;
    for (size_t n = (size_t)b * (size_t)r.T, end = n + (size_t)r.T; n < end; n++) {
        if (r.mask[n]) { sum += (double)logp[n] - reference[n]; }
    }
    return sum;
}

void dpo_weights(float* weight, ObjectiveStats* stats,
                 Responses r, const float* logp, const float* reference,
                 double beta, double share) {
    assert(r.B % 2 == 0);
    clear(weight, r);
    for (int b = 0; b < r.B; b += 2) {
        if (!pair_takes_part(stats, r, b, NULL, INPUTS(logp, reference))) { continue; }
        double margin = beta * (log_ratio(r, b, logp, reference) - log_ratio(r, b + 1, logp, reference));
        double slope = beta * add_pair(stats, margin, share);
        fill_trained(weight, r, b, slope);
        fill_trained(weight, r, b + 1, -slope);
    }
}

void reward_gradient(float* dscore, ObjectiveStats* stats,
                     Responses r, const float* score,
                     double share) {
    assert(r.B % 2 == 0);
    memset(dscore, 0, sizeof(float) * (size_t)r.B);
    for (int b = 0; b < r.B; b += 2) {
        if (!pair_takes_part(stats, r, b, score, INPUTS(NULL))) { continue; }
        double slope = add_pair(stats, (double)score[b] - score[b + 1], share);
        dscore[b] = (float)-slope;
        dscore[b + 1] = (float)slope;
    }
}

// ---------------------------------------------------------------------------------------------
// Advantages.

void ppo_rewards(float* reward, ObjectiveStats* stats,
                 Responses r, const float* score, const float* logp, const float* reference,
                 double beta) {
    clear(reward, r);
    for (int b = 0; b < r.B; b++) {
        if (!takes_part(stats, r, b, score, INPUTS(logp, reference))) { continue; }
        size_t first = (size_t)b * (size_t)r.T, last = first;
        for (size_t n = first; n < first + (size_t)r.T; n++) {
            if (!r.mask[n]) { continue; }
            reward[n] = (float)(-beta * ((double)logp[n] - reference[n]));
            last = n;
        }
        reward[last] += score[b];
        stats->responses += 1.0;
        stats->kl_penalty += log_ratio(r, b, logp, reference);
    }
}

// From the last decision to the first, with V' and A' of the next one:
//     delta = reward + gamma V' - V        A = delta + gamma lambda A'
void ppo_advantages(float* advantage, float* returns, ObjectiveStats* stats,
                    Responses r, const float* reward, const float* value, const float* after,
                    double gamma, double lambda) {
    clear(advantage, r);
    clear(returns, r);
    for (int b = 0; b < r.B; b++) {
        if (!takes_part(stats, r, b, after, INPUTS(reward, value))) { continue; }
        double next_value = after[b], next_advantage = 0.0;
        for (size_t first = (size_t)b * (size_t)r.T, n = first + (size_t)r.T; n-- > first; ) {
            if (!r.mask[n]) { continue; }
            double delta = reward[n] + gamma * next_value - value[n];
            next_value = value[n];
            next_advantage = delta + gamma * lambda * next_advantage;
            advantage[n] = (float)next_advantage;
            returns[n] = (float)(next_advantage + value[n]);
        }
    }
}

static int taken(Responses r, size_t n) { return r.mask[n] && r.usable[n / (size_t)r.T]; }

void whiten_advantages(float* advantage, ObjectiveStats* stats, Responses r) {
    for (int b = 0; b < r.B; b++) { takes_part(stats, r, b, NULL, INPUTS(advantage)); }
    double count = (double)trained_tokens(r), sum = 0.0, squares = 0.0;
    size_t N = (size_t)r.B * (size_t)r.T;
    for (size_t n = 0; n < N; n++) { if (taken(r, n)) { sum += advantage[n]; } }
    double mean = sum / count;
    for (size_t n = 0; n < N; n++) { if (taken(r, n)) { squares += (advantage[n] - mean) * (advantage[n] - mean); } }
    double scale = count > 1.0 ? 1.0 / sqrt(squares / (count - 1.0) + 1e-8) : 0.0;
    for (size_t n = 0; n < N; n++) { advantage[n] = taken(r, n) ? (float)(scale * (advantage[n] - mean)) : 0.0f; }
}

// Of the rows of a group that take part. In double the mean of equal floats is exact, so that their squares are 0.
typedef struct { double mean, squares, deviation; } Group;

static Group measure_group(Responses r, const float* reward, int first, int end) {
    double count = 0.0, sum = 0.0, squares = 0.0;
    for (int b = first; b < end; b++) { if (r.usable[b]) { count += 1.0; sum += reward[b]; } }
    double mean = sum / count;
    for (int b = first; b < end; b++) { if (r.usable[b]) { squares += (reward[b] - mean) * (reward[b] - mean); } }
    return (Group){ mean, squares, sqrt(squares / (count - 1.0)) };
}

void grpo_advantages(float* advantage, ObjectiveStats* stats,
                     Responses r, const float* reward,
                     int group) {
    assert(group > 0 && r.B % group == 0);
    clear(advantage, r);
    for (int first = 0; first < r.B; first += group) {
        for (int b = first; b < first + group; b++) { takes_part(stats, r, b, reward, INPUTS(NULL)); }
        Group g = measure_group(r, reward, first, first + group);
        stats->groups += 1.0;
        stats->degenerate += g.squares == 0.0;
        for (int b = first; b < first + group && g.squares > 0.0; b++) {
            if (r.usable[b]) { fill_trained(advantage, r, b, (reward[b] - g.mean) / (g.deviation + 1e-6)); }
        }
    }
}

// ---------------------------------------------------------------------------------------------
// From advantages to gradients.

// With d = log(q/p), E_p of exp(d) - 1 - d is KL(p,q), and it is never negative.
static double k3(double d) { return expm1(d) - d; }

// The minimum of ratio A and clip(ratio) A is constant where the ratio has left the interval to the side where A pushes it.
// As dratio/dlogp = ratio, and dk3/dlogp = 1 - exp(d) for d = log(reference / pi):
//     weight = share (ratio A, or 0 where clipped, + kl (exp(d) - 1))
void policy_weights(float* weight, ObjectiveStats* stats,
                    Responses r, const float* logp, const float* old, const float* reference, const float* advantage,
                    double clip, double kl, double share) {
    clear(weight, r);
    for (int b = 0; b < r.B; b++) {
        if (!takes_part(stats, r, b, NULL, INPUTS(logp, old, advantage, reference))) { continue; }
        double loss = 0.0, clipped = 0.0;
        for (size_t n = (size_t)b * (size_t)r.T, end = n + (size_t)r.T; n < end; n++) {
            if (!r.mask[n]) { continue; }
            double moved = (double)logp[n] - old[n], d = reference ? (double)reference[n] - logp[n] : 0.0;
            double A = advantage[n], ratio = exp(moved), bound = A > 0.0 ? 1.0 + clip : 1.0 - clip;
            int flat = A > 0.0 ? ratio > bound : A < 0.0 && ratio < bound;
            weight[n] = (float)(share * ((flat ? 0.0 : ratio * A) + kl * expm1(d)));
            loss += kl * k3(d) - (flat ? bound : ratio) * A;
            clipped += flat;
            stats->tokens += 1.0;
            stats->kl_old += k3(moved);
            stats->kl_reference += k3(d);
        }
        if (!comes_out(stats, r, b, weight)) { continue; }
        stats->loss += share * loss;
        stats->clipped += clipped;
    }
}

int policy_too_far(const ObjectiveStats* stats, double limit) {
    return !(stats->tokens > 0.0 && stats->kl_old <= limit * stats->tokens); // so phrased that a NaN is too far
}

void value_gradient(float* dvalue, ObjectiveStats* stats,
                    Responses r, const float* value, const float* old, const float* returns,
                    double clip, double share) {
    clear(dvalue, r);
    for (int b = 0; b < r.B; b++) {
        if (!takes_part(stats, r, b, NULL, INPUTS(value, old, returns))) { continue; }
        double loss = 0.0, clipped = 0.0;
        for (size_t n = (size_t)b * (size_t)r.T, end = n + (size_t)r.T; n < end; n++) {
            if (!r.mask[n]) { continue; }
            double error = (double)value[n] - returns[n];
            double near = fmin(fmax(value[n], old[n] - clip), old[n] + clip) - returns[n]; // within the interval it is the error, to the bit
            int flat = fabs(near) > fabs(error);
            dvalue[n] = flat ? 0.0f : (float)(share * error);
            loss += 0.5 * (flat ? near * near : error * error);
            clipped += flat;
        }
        if (!comes_out(stats, r, b, dvalue)) { continue; }
        stats->value_loss += share * loss;
        stats->value_clipped += clipped;
    }
}

double adapted_kl(double beta, double kl, double target, double responses, double horizon) {
    if (!isfinite(kl)) { return beta; } // no response took part
    return beta * (1.0 + fmin(fmax(kl / target - 1.0, -0.2), 0.2) * fmin(responses / horizon, 1.0));
}
