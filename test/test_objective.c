// test_objective.c -- the objectives: coefficients against central differences of the scalar losses, which are written here from their
// formulas in double precision; advantages against their closed forms; and what becomes of rows that cannot be used.
#include "../llmc/objective.h"
#include "test.h"

enum { B = 6, T = 7, N = B*T, GROUP = 3 };

// A step at hand. Where the mask is 0 the inputs are NaN, so that nothing that is compared can have read them.
static unsigned char mask[N], usable[B];
static float logp[N], old[N], reference[N], advantage[N], value[N], old_value[N], returns[N], reward[N];
static float score[B], after[B]; // a number a row
static const double beta = 0.7, clip = 0.2, kl = 0.3, share = 0.11, decay = 0.9, lambda = 0.8; // decay: gamma, taken by math.h

// What came out, NaN before.
static float out[N], also[N];
static ObjectiveStats stats;

static uint64_t rng = 7;

#define ROWS (Responses){ mask, usable, B, T }

static int trained(int b) {
    int count = 0;
    for (int t = 0; t < T; t++) { count += mask[b*T + t]; }
    return count;
}

static void fill(float* x, const float* base, float size) { // base + size * random, where trained
    for (int n = 0; n < N; n++) {
        float u = test_uniform(&rng);
        x[n] = mask[n] ? (base ? base[n] : 0.0f) + size * u : NAN;
    }
}

static void fresh(void) {
    for (int n = 0; n < N; n++) { out[n] = also[n] = NAN; }
    memset(usable, 1, sizeof(usable));
    memset(&stats, 0, sizeof(stats));
}

// Rows of 1 to 6 trained tokens, at the end, in the middle, with a gap; ratios from 0.6 to 1.6.
static void draw(void) {
    static const char* const responses[B] = { "..xxx..", ".xxxxxx", "...x...", "..xx.xx", "xx.....", ".xx.xxx" };
    for (int n = 0; n < N; n++) { mask[n] = responses[n / T][n % T] == 'x'; }
    fill(logp, NULL, 2.0f);
    for (int n = 0; n < N; n++) { logp[n] -= 2.0f; }
    fill(old, logp, 0.5f);
    fill(reference, logp, 0.8f);
    fill(advantage, NULL, 1.5f);
    fill(value, NULL, 1.0f);
    fill(old_value, value, 0.6f);
    fill(returns, NULL, 1.0f);
    fill(reward, NULL, 1.0f);
    test_fill(score, B, &rng);
    test_fill(after, B, &rng);
    fresh();
}

#define expect_near(got, want, tol) expect_near_at(__LINE__, #got, got, want, tol)
static void expect_near_at(int line, const char* what, double got, double want, double tol) {
    if (fabs(got - want) <= tol) { return; } // so phrased that a NaN fails
    fprintf(stderr, "test_objective.c:%d: %s is %.12g, not %.12g\n", line, what, got, want);
    test_failures++;
}

// out = sign dL/dx for a loss of `count` numbers x.
static void expect_gradient(double (*loss)(const double* x), const float* at, int count, double sign) {
    double x[N], scale = 0.0, want[N];
    const double h = 1e-6; // no ratio or value of these draws is so near to the end of its interval
    for (int i = 0; i < count; i++) { x[i] = at[i]; }
    for (int i = 0; i < count; i++) {
        x[i] = at[i] + h;
        double up = loss(x);
        x[i] = at[i] - h;
        want[i] = sign * (up - loss(x)) / (2.0 * h);
        x[i] = at[i];
        scale = fmax(scale, fabs(want[i]));
    }
    expect(scale > 1e-3);
    for (int i = 0; i < count; i++) { expect_near(out[i], want[i], 1e-6 * scale); }
    expect_near(loss(x), stats.loss + stats.value_loss, 1e-12);
}

// ---------------------------------------------------------------------------------------------
// The losses, from their formulas.

static double row_sum(const double* x, int b) {
    double sum = 0.0;
    for (int n = b*T; n < (b + 1)*T; n++) { if (mask[n]) { sum += x[n] - reference[n]; } }
    return sum;
}

static double dpo_loss(const double* x) {
    double loss = 0.0;
    for (int b = 0; b < B; b += 2) { loss -= log(1.0 / (1.0 + exp(-beta * (row_sum(x, b) - row_sum(x, b + 1))))); }
    return share * loss;
}

static double reward_loss(const double* x) {
    double loss = 0.0;
    for (int b = 0; b < B; b += 2) { loss -= log(1.0 / (1.0 + exp(x[b + 1] - x[b]))); }
    return share * loss;
}

static double held(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double clipped_loss(const double* x) {
    double loss = 0.0;
    for (int n = 0; n < N; n++) {
        if (!mask[n]) { continue; }
        double ratio = exp(x[n] - old[n]);
        loss -= fmin(ratio * advantage[n], held(ratio, 1.0 - clip, 1.0 + clip) * advantage[n]);
    }
    return share * loss;
}

static double clipped_kl_loss(const double* x) {
    double sum = 0.0;
    for (int n = 0; n < N; n++) { if (mask[n]) { sum += exp(reference[n] - x[n]) - (reference[n] - x[n]) - 1.0; } }
    return clipped_loss(x) + share * kl * sum;
}

static double value_loss(const double* x) {
    double loss = 0.0;
    for (int n = 0; n < N; n++) {
        if (!mask[n]) { continue; }
        double near = held(x[n], old_value[n] - clip, old_value[n] + clip);
        loss += 0.5 * fmax((x[n] - returns[n]) * (x[n] - returns[n]), (near - returns[n]) * (near - returns[n]));
    }
    return share * loss;
}

// ---------------------------------------------------------------------------------------------
// Every function, on the rows [first, first + rows), from and into the arrays above.

static Responses part(int first, int rows) { return (Responses){ mask + first*T, usable + first, rows, T }; }

static void run_dpo(int f, int rows) { dpo_weights(out + f*T, &stats, part(f, rows), logp + f*T, reference + f*T, beta, share); }

static void run_reward(int f, int rows) { // its numbers are written one a row
    float dscore[B];
    for (int b = 0; b < B; b++) { dscore[b] = NAN; }
    reward_gradient(dscore, &stats, part(f, rows), score + f, share);
    memset(out + f*T, 0, sizeof(float) * (size_t)(rows*T));
    for (int b = 0; b < rows; b++) { out[(f + b)*T] = dscore[b]; }
}

static void run_rewards(int f, int rows) { ppo_rewards(out + f*T, &stats, part(f, rows), score + f, old + f*T, reference + f*T, beta); }

static void run_gae(int f, int rows) {
    ppo_advantages(out + f*T, also + f*T, &stats, part(f, rows), reward + f*T, value + f*T, after + f, decay, lambda);
}

static void run_whiten(int f, int rows) {
    memcpy(out + f*T, advantage + f*T, sizeof(float) * (size_t)(rows*T));
    whiten_advantages(out + f*T, &stats, part(f, rows));
}

static void run_grpo(int f, int rows) { grpo_advantages(out + f*T, &stats, part(f, rows), score + f, GROUP); }

static void run_policy(int f, int rows) {
    policy_weights(out + f*T, &stats, part(f, rows), logp + f*T, old + f*T, reference + f*T, advantage + f*T, clip, kl, share);
}

static void run_value(int f, int rows) {
    value_gradient(out + f*T, &stats, part(f, rows), value + f*T, old_value + f*T, returns + f*T, clip, share);
}

typedef struct {
    void (*run)(int first, int rows);
    float* inputs[4]; // (B,T)
    float* number;    // (B), or NULL
    int unit;         // rows that belong together: a pair, a group
    int pairs;        // 1: they are left out together
    int whole;        // 1: wants all rows of a step
} Function;

static const Function functions[] = {
    { run_dpo,     { logp, reference },                 NULL,  2, 1, 0 },
    { run_reward,  { NULL },                            score, 2, 1, 0 },
    { run_rewards, { old, reference },                  score, 1, 0, 0 },
    { run_gae,     { reward, value },                   after, 1, 0, 0 },
    { run_whiten,  { advantage },                       NULL,  1, 0, 1 },
    { run_grpo,    { NULL },                            score, GROUP, 0, 0 },
    { run_policy,  { logp, old, reference, advantage }, NULL,  1, 0, 0 },
    { run_value,   { value, old_value, returns },       NULL,  1, 0, 0 },
};
enum { NUM_FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static void expect_masked(void) {
    for (int n = 0; n < N; n++) { expect(isfinite(out[n]) && (mask[n] || out[n] == 0.0f)); }
}

static void expect_close_stats(const ObjectiveStats* got, const ObjectiveStats* want) {
    const double *g = (const double*)got, *w = (const double*)want;
    for (size_t i = 0; i < sizeof(*got) / sizeof(double); i++) { expect_near(g[i], w[i], 1e-12); }
}

// ---------------------------------------------------------------------------------------------
// What holds of all functions.

static void test_table(void) {
    #define NAME(name, ...) "|" #name
    #define HELP(name, help) help,
    static const char* const help[] = { OBJECTIVES(HELP) };
    expect(strcmp(OBJECTIVES(NAME), "|sft|dpo|reward|grpo|ppo") == 0);
    for (int i = 0; i < NUM_OBJECTIVES; i++) { expect(strlen(help[i]) > 10); }
    expect(OBJECTIVE_sft == 0 && NUM_OBJECTIVES == 5);
}

static void test_masked_positions(void) {
    for (int k = 0; k < NUM_FUNCTIONS; k++) {
        draw();
        functions[k].run(0, B);
        if (functions[k].run != run_reward) { expect_masked(); }
        for (int b = 0; b < B; b++) { expect(usable[b] == 1); }
        expect(stats.empty == 0.0 && stats.broken == 0.0);
    }
}

// The outputs and statistics that the step has if the rows [first, end) are out of it from the beginning.
static float without_out[N], without_also[N];
static ObjectiveStats without_stats;

static void run_without(const Function* f, int first, int end) {
    fresh();
    memset(usable + first, 0, (size_t)(end - first));
    f->run(0, B);
    for (int b = first; b < end; b++) { for (int t = 0; t < T; t++) { expect(out[b*T + t] == 0.0f); } }
    memcpy(without_out, out, sizeof(out));
    memcpy(without_also, also, sizeof(also));
    without_stats = stats;
}

static void expect_left_out(const Function* f, int first, int end, double empty, double broken) {
    fresh();
    f->run(0, B);
    expect(memcmp(out, without_out, sizeof(out)) == 0 && memcmp(also, without_also, sizeof(also)) == 0);
    for (int b = 0; b < B; b++) { expect(usable[b] == (b < first || b >= end)); }
    expect(stats.empty == empty && stats.broken == broken);
    stats.empty = stats.broken = 0.0;
    expect(memcmp(&stats, &without_stats, sizeof(stats)) == 0);
}

static void test_broken_rows(void) {
    const float bad[] = { NAN, INFINITY, -INFINITY };
    for (int k = 0; k < NUM_FUNCTIONS; k++) {
        const Function* f = &functions[k];
        for (int b = 0; b < B; b++) {
            int first = f->pairs ? b - b % 2 : b, end = f->pairs ? first + 2 : b + 1;
            draw();
            run_without(f, first, end);
            for (int i = 0; i < 3; i++) {
                for (int a = 0; a < 4 && f->inputs[a]; a++) {
                    for (int n = b*T; n < (b + 1)*T; n++) {
                        if (!mask[n]) { continue; }
                        float kept = f->inputs[a][n];
                        f->inputs[a][n] = bad[i];
                        expect_left_out(f, first, end, 0.0, 1.0);
                        f->inputs[a][n] = kept;
                    }
                }
                if (f->number) {
                    float kept = f->number[b];
                    f->number[b] = bad[i];
                    expect_left_out(f, first, end, 0.0, 1.0);
                    f->number[b] = kept;
                }
            }
        }
    }
}

static void test_empty_rows(void) {
    for (int k = 0; k < NUM_FUNCTIONS; k++) {
        const Function* f = &functions[k];
        for (int b = 0; b < B; b++) {
            int first = f->pairs ? b - b % 2 : b, end = f->pairs ? first + 2 : b + 1;
            draw();
            run_without(f, first, end);
            memset(mask + b*T, 0, T);
            expect_left_out(f, first, end, 1.0, 0.0);
        }
        draw();
        memset(mask, 0, sizeof(mask));
        f->run(0, B);
        for (int n = 0; n < N; n++) { expect(out[n] == 0.0f); }
        expect(stats.empty == B && stats.loss == 0.0 && stats.value_loss == 0.0 && stats.pairs == 0.0);
    }
}

// Pairs and groups change places, and rows within a group.
static void test_order_of_rows(void) {
    static const int rows[] = { 3, 5, 0, 4, 2, 1 }, pairs[] = { 4, 5, 0, 1, 2, 3 }, groups[] = { 5, 3, 4, 1, 2, 0 };
    for (int k = 0; k < NUM_FUNCTIONS; k++) {
        const Function* f = &functions[k];
        const int* from = f->unit == 1 ? rows : f->unit == 2 ? pairs : groups;
        draw();
        mask[2*T + 3] = f->pairs; // an empty row, where it does not take another with it
        f->run(0, B);
        float want[N], want_also[N], kept[N], numbers[B];
        unsigned char masks[N], kept_usable[B];
        ObjectiveStats want_stats = stats;
        for (int n = 0; n < N; n++) {
            int at = from[n / T] * T + n % T;
            want[n] = out[at];
            want_also[n] = also[at];
            masks[n] = mask[at];
        }
        memcpy(kept_usable, usable, sizeof(usable));
        memcpy(mask, masks, sizeof(mask));
        for (int a = 0; a < 4 && f->inputs[a]; a++) {
            memcpy(kept, f->inputs[a], sizeof(kept));
            for (int n = 0; n < N; n++) { f->inputs[a][n] = kept[from[n / T] * T + n % T]; }
        }
        if (f->number) {
            memcpy(numbers, f->number, sizeof(numbers));
            for (int b = 0; b < B; b++) { f->number[b] = numbers[from[b]]; }
        }
        fresh();
        f->run(0, B);
        expect_close(out, want, N, 1e-6f);
        if (f->run == run_gae) { expect_close(also, want_also, N, 0.0f); }
        for (int b = 0; b < B; b++) { expect(usable[b] == kept_usable[from[b]]); }
        expect_close_stats(&stats, &want_stats);
    }
}

// share is of the step, so that its parts are those of the whole to the bit, and statistics add up.
static void test_micro_batches(void) {
    for (int k = 0; k < NUM_FUNCTIONS; k++) {
        const Function* f = &functions[k];
        if (f->whole) { continue; }
        draw();
        f->run(0, B);
        float want[N], want_also[N];
        ObjectiveStats want_stats = stats;
        memcpy(want, out, sizeof(out));
        memcpy(want_also, also, sizeof(also));
        fresh();
        for (int first = 0; first < B; first += f->unit) { f->run(first, f->unit); }
        expect(memcmp(out, want, sizeof(out)) == 0 && memcmp(also, want_also, sizeof(also)) == 0);
        expect_close_stats(&stats, &want_stats);
    }
}

static void test_trained_tokens(void) {
    draw();
    int count = 0;
    for (int b = 0; b < B; b++) { count += trained(b); }
    expect(count == 21 && trained_tokens(ROWS) == count);
    usable[3] = 0;
    expect(trained_tokens(ROWS) == count - trained(3));
}

// ---------------------------------------------------------------------------------------------
// Pairs.

static void test_dpo_gradient(void) {
    for (int trial = 0; trial < 20; trial++) {
        draw();
        run_dpo(0, B);
        expect_gradient(dpo_loss, logp, N, -1.0);
        double right = 0.0, margin = 0.0, x[N];
        for (int n = 0; n < N; n++) { x[n] = logp[n]; }
        for (int b = 0; b < B; b += 2) {
            double of_pair = beta * (row_sum(x, b) - row_sum(x, b + 1));
            right += of_pair > 0.0;
            margin += of_pair;
        }
        expect(stats.pairs == B / 2 && stats.correct == right);
        expect_near(stats.margin, margin, 1e-12);
    }
}

// At the reference nothing is preferred: log 2 a pair, all of them ties.
static void test_dpo_at_the_reference(void) {
    draw();
    memcpy(reference, logp, sizeof(logp));
    run_dpo(0, B);
    expect(stats.correct == B / 4.0 && stats.margin == 0.0);
    expect_near(stats.loss, share * log(2.0) * B / 2, 1e-15);
    for (int n = 0; n < N; n++) { expect(out[n] == (float)(mask[n] ? (n / T % 2 ? -0.5 : 0.5) * beta * share : 0.0)); }
}

static void test_huge_margins(void) {
    for (int worse = 0; worse < 2; worse++) {
        draw();
        for (int n = 0; n < N; n++) { if (n / T % 2 == worse) { logp[n] -= 3e4f; } }
        run_dpo(0, B);
        expect(stats.correct == (worse ? B / 2 : 0) && stats.broken == 0.0);
        expect(worse ? stats.loss == 0.0 : fabs(stats.loss + share * stats.margin) <= 1e-9);
        for (int n = 0; n < N; n++) { expect(out[n] == (float)(mask[n] && !worse ? (n / T % 2 ? -1 : 1) * beta * share : 0.0)); }
        fresh();
        for (int b = 0; b < B; b++) { score[b] = b % 2 == worse ? -1e38f : 3e38f; }
        run_reward(0, B);
        expect(isfinite(stats.loss) && stats.correct == (worse ? B / 2 : 0));
        for (int b = 0; b < B; b++) { expect(out[b*T] == (float)(worse ? 0.0 : (b % 2 ? share : -share))); }
    }
    // Where sigmoid(-margin) is small it is still right: exp(-margin).
    draw();
    for (int b = 0; b < B; b++) { score[b] = b % 2 ? -30.0f : 30.0f; }
    run_reward(0, B);
    expect_near(out[0] / (share * exp(-60.0)), -1.0, 1e-6);
    expect_near(stats.loss / (3.0 * share * exp(-60.0)), 1.0, 1e-6);
}

static void test_reward_gradient(void) {
    draw();
    run_reward(0, B);
    for (int b = 0; b < B; b++) { out[b] = out[b*T]; }
    expect_gradient(reward_loss, score, B, 1.0);
    fresh();
    for (int b = 0; b < B; b++) { score[b] = b < 2 ? 0.25f : (float)b; } // a tie, and two in the wrong order
    run_reward(0, B);
    expect(stats.pairs == 3.0 && stats.correct == 0.5 && stats.margin == -2.0);
}

// ---------------------------------------------------------------------------------------------
// The clipped ratio.

static void test_policy_gradient(void) {
    double clipped = 0.0;
    for (int trial = 0; trial < 20; trial++) {
        draw();
        run_policy(0, B);
        expect_gradient(clipped_kl_loss, logp, N, -1.0);
        fresh();
        policy_weights(out, &stats, ROWS, logp, old, NULL, advantage, clip, kl, share);
        expect_gradient(clipped_loss, logp, N, -1.0);
        double moved = 0.0, kl_old = 0.0;
        for (int n = 0; n < N; n++) {
            if (!mask[n]) { continue; }
            double d = (double)logp[n] - old[n], ratio = exp(d);
            moved += (advantage[n] > 0.0f && ratio > 1.0 + clip) || (advantage[n] < 0.0f && ratio < 1.0 - clip);
            kl_old += ratio - 1.0 - d;
        }
        expect(stats.tokens == 21.0 && stats.clipped == moved && stats.kl_reference == 0.0);
        expect_near(stats.kl_old, kl_old, 1e-12);
        clipped += moved;
    }
    expect(clipped > 40.0 && clipped < 300.0);
}

// [49] At ratio 1 it is the plain policy gradient, and with advantage 1 ordinary training; within the interval nothing is clipped.
static void test_ratio_one(void) {
    draw();
    policy_weights(out, &stats, ROWS, logp, logp, NULL, advantage, clip, kl, share);
    for (int n = 0; n < N; n++) { expect(out[n] == (mask[n] ? (float)(share * advantage[n]) : 0.0f)); }
    expect(stats.clipped == 0.0 && stats.kl_old == 0.0);
    fresh();
    for (int n = 0; n < N; n++) { advantage[n] = 1.0f; }
    policy_weights(out, &stats, ROWS, logp, logp, NULL, advantage, clip, kl, share);
    for (int n = 0; n < N; n++) { expect(out[n] == (mask[n] ? (float)share : 0.0f)); }
    draw();
    for (int n = 0; n < N; n++) { old[n] = logp[n] - (n % 2 ? 0.182f : -0.223f); } // log 1.2 = 0.1823, log 0.8 = -0.2231
    policy_weights(out, &stats, ROWS, logp, old, NULL, advantage, clip, kl, share);
    expect(stats.clipped == 0.0);
    for (int n = 0; n < N; n++) { if (mask[n]) { expect_near(out[n], share * exp((double)logp[n] - old[n]) * advantage[n], 1e-8); } }
}

// One token: the gradient is gone where the ratio has moved enough the way that the advantage wants, and there alone.
static void test_clip_by_cases(void) {
    static const struct { float ratio, A; int flat; double loss; } cases[] = {
        { 1.5f, 1.0f, 1, -1.2 }, { 0.5f, 1.0f, 0, -0.5 }, { 0.5f, -1.0f, 1, 0.8 }, { 1.5f, -1.0f, 0, 1.5 },
        { 1.1f, 1.0f, 0, -1.1 }, { 0.9f, -1.0f, 0, 0.9 }, { 1.5f, 0.0f, 0, 0.0 },  { 0.5f, 0.0f, 0, 0.0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char one = 1;
        float x = logf(cases[i].ratio), zero = 0.0f;
        fresh();
        policy_weights(out, &stats, (Responses){ &one, usable, 1, 1 }, &x, &zero, NULL, &cases[i].A, clip, 0.0, 1.0);
        expect(stats.clipped == cases[i].flat && stats.tokens == 1.0);
        expect_near(stats.loss, cases[i].loss, 1e-6);
        expect_near(out[0], cases[i].flat ? 0.0 : cases[i].ratio * cases[i].A, 1e-6);
    }
}

// [48] Zero for equal policies; never negative; and their expectation over the policy that draws is the divergence.
static void test_divergences(void) {
    enum { V = 5 };
    static const double p[V] = { 0.5, 0.2, 0.15, 0.1, 0.05 }, q[V] = { 0.1, 0.3, 0.15, 0.25, 0.2 };
    const unsigned char one = 1;
    const float nothing = 0.0f;
    double want = 0.0, k1 = 0.0, k3_old = 0.0, k3_reference = 0.0;
    for (int v = 0; v < V; v++) {
        float drawn = (float)log(p[v]), other = (float)log(q[v]);
        Responses r = { &one, usable, 1, 1 };
        fresh();
        ppo_rewards(out, &stats, r, &nothing, &drawn, &other, beta);
        expect_near(out[0], -beta * log(p[v] / q[v]), 1e-6);
        policy_weights(out, &stats, r, &other, &drawn, NULL, &nothing, clip, 0.0, 1.0); // the policy has become q
        ObjectiveStats old_stats = stats;
        policy_weights(out, &stats, r, &drawn, &drawn, &other, &nothing, clip, 1.0, 1.0); // q is the reference
        expect(old_stats.kl_old >= 0.0 && stats.kl_reference >= 0.0 && old_stats.kl_reference == 0.0 && stats.kl_old == old_stats.kl_old);
        expect_near(stats.loss, stats.kl_reference, 1e-15);
        want += p[v] * log(p[v] / q[v]);
        k1 += p[v] * stats.kl_penalty;
        k3_old += p[v] * stats.kl_old;
        k3_reference += p[v] * stats.kl_reference;
        fresh();
        ppo_rewards(out, &stats, r, &nothing, &drawn, &drawn, beta);
        policy_weights(out, &stats, r, &drawn, &drawn, &drawn, &nothing, clip, kl, 1.0);
        expect(stats.kl_penalty == 0.0 && stats.kl_old == 0.0 && stats.kl_reference == 0.0 && out[0] == 0.0f && stats.loss == 0.0);
    }
    expect_near(k1, want, 1e-6);
    expect_near(k3_old, want, 1e-6);
    expect_near(k3_reference, want, 1e-6);
}

// The limit is on the mean over all micro-batches, and unknown means too far.
static void test_too_far(void) {
    draw();
    expect(policy_too_far(&stats, 1e9)); // no token yet
    run_policy(0, 2);
    run_policy(2, 4);
    double mean = stats.kl_old / 21.0;
    expect(mean > 0.01 && !policy_too_far(&stats, mean * 1.001) && policy_too_far(&stats, mean * 0.999));
    fresh();
    policy_weights(out, &stats, ROWS, old, old, NULL, advantage, clip, kl, share);
    expect(!policy_too_far(&stats, 0.0));
    stats.kl_old = NAN;
    expect(policy_too_far(&stats, 1e9));
}

// Finite log-probabilities whose ratio is not: nothing of the row is trained on, and the divergence tells.
static void test_ratio_overflows(void) {
    for (int i = 0; i < 4; i++) {
        draw();
        int n = T + 5; // trained in row 1, and not in row 0
        float* x = i < 3 ? old : reference;
        x[n] = i == 0 ? -200.0f : i == 1 ? -2000.0f : 900.0f; // float's end, double's end; both as they may come from a broken file
        advantage[n] = i == 0 || i == 3 ? -1.0f : i == 1 ? 0.0f : 1.0f;
        logp[n] = -0.1f;
        run_policy(0, B);
        int sound = i == 2; // a ratio of 0 is no trouble
        for (int t = 0; t < T; t++) { expect(isfinite(out[T + t]) && (sound || out[T + t] == 0.0f)); }
        expect(usable[1] == sound && stats.broken == !sound && isfinite(stats.loss));
        expect(i == 3 || policy_too_far(&stats, 10.0));
        expect(out[1] == 0.0f && out[3] != 0.0f && usable[0]);
    }
    draw(); // the same of a value
    value[T + 5] = 3e38f;
    returns[T + 5] = old_value[T + 5] = -3e38f;
    value_gradient(out, &stats, ROWS, value, old_value, returns, clip, 1.0);
    for (int t = 0; t < T; t++) { expect(out[T + t] == 0.0f); }
    expect(usable[1] == 0 && stats.broken == 1.0 && stats.value_loss < 1e3);
}

// ---------------------------------------------------------------------------------------------
// Values.

static void test_value_gradient(void) {
    double clipped = 0.0;
    for (int trial = 0; trial < 20; trial++) {
        draw();
        run_value(0, B);
        expect_gradient(value_loss, value, N, 1.0);
        double flat = 0.0;
        for (int n = 0; n < N; n++) { flat += mask[n] && out[n] == 0.0f; }
        expect(stats.value_clipped == flat && stats.loss == 0.0);
        clipped += flat;
    }
    expect(clipped > 40.0 && clipped < 300.0);
}

// [50] Within the bounds it is the plain one, to the bit, however the held value is rounded.
static void test_value_within_bounds(void) {
    for (int trial = 0; trial < 100; trial++) {
        draw();
        fill(old_value, value, 0.199f);
        run_value(0, B);
        expect(stats.value_clipped == 0.0);
        double loss = 0.0;
        for (int n = 0; n < N; n++) {
            double error = (double)value[n] - returns[n];
            expect(out[n] == (mask[n] ? (float)(share * error) : 0.0f));
            loss += mask[n] ? 0.5 * error * error : 0.0;
        }
        expect_near(stats.value_loss, share * loss, 1e-12);
    }
}

// ---------------------------------------------------------------------------------------------
// Rewards and advantages.

static void test_ppo_rewards(void) {
    draw();
    run_rewards(0, B);
    double sum = 0.0;
    for (int b = 0; b < B; b++) {
        int last = 0;
        for (int t = 0; t < T; t++) { if (mask[b*T + t]) { last = t; } }
        for (int t = 0; t < T; t++) {
            int n = b*T + t;
            if (!mask[n]) { continue; }
            double gap = (double)old[n] - reference[n];
            expect_near(out[n], -beta * gap + (t == last ? score[b] : 0.0), 1e-6);
            sum += gap;
        }
    }
    expect(stats.responses == B);
    expect_near(stats.kl_penalty, sum, 1e-12);
}

// The decisions of a row, in order.
static int decisions(int b, int at[T]) {
    int count = 0;
    for (int t = 0; t < T; t++) { if (mask[b*T + t]) { at[count++] = b*T + t; } }
    return count;
}

// A_j = sum over l >= j of (gamma lambda)^(l-j) delta_l.
static void expect_advantages(double g, double l) {
    fresh();
    ppo_advantages(out, also, &stats, ROWS, reward, value, after, g, l);
    expect_masked();
    for (int b = 0; b < B; b++) {
        int at[T], count = decisions(b, at);
        for (int j = 0; j < count; j++) {
            double A = 0.0;
            for (int i = j; i < count; i++) {
                double next = i + 1 < count ? value[at[i + 1]] : after[b];
                A += pow(g * l, i - j) * (reward[at[i]] + g * next - value[at[i]]);
            }
            expect_near(out[at[j]], A, 2e-6);
            expect_near(also[at[j]], A + value[at[j]], 2e-6);
        }
    }
}

// [47]
static void test_closed_forms(void) {
    draw();
    expect_advantages(decay, lambda);
    expect_advantages(decay, 0.0);
    expect_advantages(1.0, 0.95);
    expect_advantages(1.0, 1.0);
    for (int b = 0; b < B; b++) { // what comes, less what was expected
        int at[T], count = decisions(b, at);
        double future = after[b];
        for (int j = count - 1; j >= 0; j--) {
            future += reward[at[j]];
            expect_near(out[at[j]], future - value[at[j]], 2e-6);
            expect_near(also[at[j]], future, 2e-6);
        }
    }
    ppo_advantages(out, also, &stats, ROWS, reward, value, after, decay, 0.0);
    for (int b = 0; b < B; b++) { // one step ahead
        int at[T], count = decisions(b, at);
        for (int j = 0; j < count; j++) {
            double next = j + 1 < count ? value[at[j + 1]] : after[b];
            expect_near(out[at[j]], reward[at[j]] + decay * next - value[at[j]], 1e-6);
        }
    }
    memset(after, 0, sizeof(after));
    for (int n = 0; n < N; n++) { reward[n] = 0.5f; value[n] = 0.0f; }
    ppo_advantages(out, also, &stats, ROWS, reward, value, after, decay, lambda);
    for (int b = 0; b < B; b++) { // a constant reward: a geometric series
        int at[T], count = decisions(b, at);
        for (int j = 0; j < count; j++) {
            expect_near(out[at[j]], 0.5 * (1.0 - pow(decay * lambda, count - j)) / (1.0 - decay * lambda), 1e-6);
        }
    }
}

// A response that was cut off goes on with its value; one that has ended, with nothing.
static void test_cut_responses(void) {
    draw();
    for (int n = 0; n < N; n++) { reward[n] = 0.0f; value[n] = 0.75f; }
    for (int b = 0; b < B; b++) { after[b] = b % 2 ? 0.75f : 0.0f; }
    ppo_advantages(out, also, &stats, ROWS, reward, value, after, 1.0, lambda);
    for (int b = 0; b < B; b++) {
        int at[T], count = decisions(b, at);
        for (int j = 0; j < count; j++) { expect_near(out[at[j]], b % 2 ? 0.0 : -0.75 * pow(lambda, count - 1 - j), 1e-6); }
    }
    draw();
    float whole[N];
    ppo_advantages(whole, also, &stats, ROWS, reward, value, after, decay, 0.0);
    mask[1*T + 5] = mask[1*T + 6] = 0; // row 1 is cut after its fourth token
    after[1] = value[1*T + 5];
    ppo_advantages(out, also, &stats, ROWS, reward, value, after, decay, 0.0);
    for (int t = 1; t <= 4; t++) { expect(out[T + t] == whole[T + t]); }
}

static void test_whitened(void) {
    for (int trial = 0; trial < 5; trial++) {
        const float size = trial < 3 ? 1.0f : 1e-4f; // at 1e-4 the 1e-8 counts
        draw();
        double sum = 0.0, squares = 0.0, mean = 0.0, variance = 0.0;
        for (int n = 0; n < N; n++) { if (mask[n]) { advantage[n] = size * (advantage[n] + 3.0f); mean += advantage[n] / 21.0; } }
        for (int n = 0; n < N; n++) { if (mask[n]) { variance += (advantage[n] - mean) * (advantage[n] - mean) / 20.0; } }
        run_whiten(0, B);
        for (int n = 0; n < N; n++) {
            if (!mask[n]) { continue; }
            expect_near(out[n], (advantage[n] - mean) / sqrt(variance + 1e-8), 1e-6);
            sum += out[n];
            squares += (double)out[n] * out[n];
        }
        expect_near(sum, 0.0, 1e-5);
        if (trial < 3) { expect_near(squares / 20.0, 1.0, 1e-5); }
    }
    draw();
    for (int n = 0; n < N; n++) { advantage[n] = 0.1f; }
    run_whiten(0, B);
    for (int n = 0; n < N; n++) { expect(out[n] == 0.0f); }
    draw();
    memset(mask, 0, sizeof(mask));
    mask[T + 3] = 1; // a single token has no variance
    run_whiten(0, B);
    for (int n = 0; n < N; n++) { expect(out[n] == 0.0f); }
}

// [51]
static void test_groups(void) {
    draw();
    score[2] = score[1]; // not all different
    run_grpo(0, B);
    expect(stats.groups == 2.0 && stats.degenerate == 0.0);
    float first[N];
    memcpy(first, out, sizeof(out));
    for (int g = 0; g < B; g += GROUP) {
        double mean = (score[g] + score[g + 1] + score[g + 2]) / 3.0, squares = 0.0, sum = 0.0;
        for (int b = g; b < g + GROUP; b++) { squares += (score[b] - mean) * (score[b] - mean); }
        for (int b = g; b < g + GROUP; b++) {
            int at[T], count = decisions(b, at);
            for (int j = 0; j < count; j++) { expect_near(out[at[j]], (score[b] - mean) / (sqrt(squares / 2.0) + 1e-6), 1e-6); }
            sum += out[at[0]];
        }
        expect_near(sum, 0.0, 1e-6);
    }
    fresh();
    for (int b = 0; b < B; b++) { score[b] = 3.0f * score[b] - 8.0f; } // all negative
    run_grpo(0, B);
    expect_close(out, first, N, 1e-4f);
    // So small that the 1e-6 is half of it.
    fresh();
    for (int b = 0; b < B; b++) { score[b] = b % 3 == 2 ? 1e-6f : 0.0f; }
    run_grpo(0, B);
    expect_near(out[2*T + 3], (1e-6 * 2.0 / 3.0) / (1e-6 / sqrt(3.0) + 1e-6), 1e-6);
}

static void test_degenerate_groups(void) {
    draw();
    for (int b = 0; b < GROUP; b++) { score[b] = 0.1f; }
    run_grpo(0, B);
    expect(stats.groups == 2.0 && stats.degenerate == 1.0 && stats.broken == 0.0);
    for (int n = 0; n < N; n++) { expect(n < GROUP*T || !mask[n] ? out[n] == 0.0f : out[n] != 0.0f); }
    for (int b = 0; b < B; b++) { expect(usable[b]); } // the divergence from the reference still trains them
    // Only rows that take part make a group what it is: one alone, none, two alike.
    for (int left = 0; left < GROUP; left++) {
        draw();
        for (int b = left; b < GROUP; b++) { score[b] = NAN; }
        if (left == 2) { score[1] = score[0]; }
        run_grpo(0, B);
        expect(stats.degenerate == 1.0 && stats.broken == GROUP - left);
        for (int n = 0; n < GROUP*T; n++) { expect(out[n] == 0.0f); }
        for (int b = GROUP; b < B; b++) { expect(usable[b]); }
    }
}

// [52] The weights of a target that raises the rewards, all rows one group: none if they are equal, unmoved by a constant; and their sum
// over rows is that of a baseline, 0.
static void test_reward_target(void) {
    draw();
    float first[N];
    for (int i = 0; i < 3; i++) {
        fresh();
        for (int b = 0; b < B; b++) { score[b] = i == 2 ? 0.3f : (float)(b * b % 5) + (i ? 64.0f : 0.0f); }
        grpo_advantages(also, &stats, ROWS, score, B);
        policy_weights(out, &stats, ROWS, logp, logp, NULL, also, clip, 0.0, 1.0 / B);
        double sum = 0.0;
        for (int b = 0; b < B; b++) { int at[T]; decisions(b, at); sum += out[at[0]]; }
        expect_near(sum, 0.0, 1e-6);
        if (i == 0) { memcpy(first, out, sizeof(out)); expect(fabsf(out[2]) > 0.01f); }
        if (i == 1) { expect_close(out, first, N, 1e-6f); }
        if (i == 2) { for (int n = 0; n < N; n++) { expect(out[n] == 0.0f); } }
    }
}

// [53]
static void test_adapted_kl(void) {
    expect(adapted_kl(0.02, 70.0, 70.0, 256.0, 10000.0) == 0.02);
    expect_near(adapted_kl(0.02, 77.0, 70.0, 256.0, 10000.0), 0.02 * (1.0 + 0.1 * 0.0256), 1e-15);
    expect_near(adapted_kl(0.02, 1e9, 70.0, 256.0, 10000.0), 0.02 * (1.0 + 0.2 * 0.0256), 1e-15);
    expect_near(adapted_kl(0.02, -1e9, 70.0, 256.0, 10000.0), 0.02 * (1.0 - 0.2 * 0.0256), 1e-15);
    expect_near(adapted_kl(0.02, 0.0, 70.0, 1e6, 10000.0), 0.02 * 0.8, 1e-15); // a round above the horizon does not turn it round
    expect(adapted_kl(0.02, NAN, 70.0, 256.0, 10000.0) == 0.02 && adapted_kl(0.02, INFINITY, 70.0, 256.0, 10000.0) == 0.02);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "objective/table", test_table },
        { "objective/masked_positions", test_masked_positions },
        { "objective/broken_rows", test_broken_rows },
        { "objective/empty_rows", test_empty_rows },
        { "objective/order_of_rows", test_order_of_rows },
        { "objective/micro_batches", test_micro_batches },
        { "objective/trained_tokens", test_trained_tokens },
        { "objective/dpo_gradient", test_dpo_gradient },
        { "objective/dpo_at_the_reference", test_dpo_at_the_reference },
        { "objective/huge_margins", test_huge_margins },
        { "objective/reward_gradient", test_reward_gradient },
        { "objective/policy_gradient", test_policy_gradient },
        { "objective/49_ratio_one", test_ratio_one },
        { "objective/clip_by_cases", test_clip_by_cases },
        { "objective/48_divergences", test_divergences },
        { "objective/too_far", test_too_far },
        { "objective/ratio_overflows", test_ratio_overflows },
        { "objective/value_gradient", test_value_gradient },
        { "objective/50_value_within_bounds", test_value_within_bounds },
        { "objective/ppo_rewards", test_ppo_rewards },
        { "objective/47_closed_forms", test_closed_forms },
        { "objective/cut_responses", test_cut_responses },
        { "objective/47_whitened", test_whitened },
        { "objective/51_groups", test_groups },
        { "objective/degenerate_groups", test_degenerate_groups },
        { "objective/52_reward_target", test_reward_target },
        { "objective/53_adapted_kl", test_adapted_kl },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
