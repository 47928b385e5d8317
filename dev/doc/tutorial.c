// tutorial.c -- the program of tutorial.md: one update of a model of 24 weights, worked out by hand and by drpt/.
//
// The model sees a letter and guesses the next one: hidden = tanh(first x) with x one-hot, p = softmax(head hidden). A row is a
// word; its loss is the mean over its T pairs of neighbours. `tutorial METHOD` adds a line to step 6.
#include "../../drpt/drpt.h"
#include "../../llmc/matmul.h"
#include "../../llmc/rng.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { V = 4, H = 3, T = 4, N = 4, M = 2, B = N + M, SIZE = V * H }; // letters, hidden, pairs, general and target rows

typedef char Word[T + 1];

static float first[SIZE], head[SIZE];                // the weights (H,V) and (V,H)
static float x[B*T*V], hidden[B*T*H], dlogits[B*T*V], dhidden[B*T*H];
static float update[2 * SIZE];                       // what the optimizer would read: head, then first

static float g[N + 1][SIZE];                         // gradients of head: g_0 .. g_3, then t
static double K[N * N], s[N], q, alpha[N], beta;
static float u[SIZE];
static unsigned char all[N];                         // 1: a general row that has something to train on

// ---------------------------------------------------------------------------------------------
// The model. General rows come first; the M target rows weigh 1/M, so that their gradients add up to t.

// Leaves hidden and dlogits; returns the loss of row 0.
static double forward(const Word* word) {
    double loss = 0.0;
    memset(x, 0, sizeof(x));
    for (int at = 0; at < B*T; at++) { x[at*V + word[at / T][at % T] - 'a'] = 1.0f; }
    matmul_forward(hidden, x, first, NULL, B*T, V, H);
    for (int k = 0; k < B*T*H; k++) { hidden[k] = tanhf(hidden[k]); }
    matmul_forward(dlogits, hidden, head, NULL, B*T, H, V);
    for (int at = 0; at < B*T; at++) {
        float *p = dlogits + at*V, sum = 0.0f, weight = (at < N*T ? 1.0f : 1.0f / M) / T;
        int next = word[at / T][at % T + 1] - 'a';
        for (int v = 0; v < V; v++) { p[v] = expf(p[v]); sum += p[v]; }
        if (at < T) { loss -= log(p[next] / sum) / T; }
        for (int v = 0; v < V; v++) { p[v] = weight * (p[v] / sum - (v == next)); }
    }
    return loss;
}

// An ordinary backward pass, but for the weight gradients, which are left to drpt.
static void backward(Drpt* drpt) {
    drpt_site(drpt, "head", update, NULL, dlogits, hidden, H, V);
    matmul_backward_input(dhidden, dlogits, head, B*T, H, V);
    for (int k = 0; k < B*T*H; k++) { dhidden[k] *= 1.0f - hidden[k] * hidden[k]; }
    drpt_site(drpt, "first", update + SIZE, NULL, dhidden, x, V, H);
    drpt_project(drpt, DRPT_GLOBAL);
}

static Drpt create(const char* method, const char* group, const char* strength) {
    DrptOptions o = drpt_defaults;
    o.method = method;
    o.group = group;
    o.strength = strength;
    return drpt_create(&o, N, M, T, V, 1, 0);
}

static void find_update(Drpt* drpt, const Word* word) {
    memset(update, 0, sizeof(update));
    forward(word);
    drpt_begin(drpt, 0, all, NULL);
    backward(drpt);
    drpt_end(drpt);
}

// Words [begin, end) of the batch. From each letter one forwards in the alphabet, by a chance that tells the languages apart, or one
// backwards; 'd' and 'a' are neighbours. Half of the general words are of the target's language.
static void draw(Word* word, int begin, int end, Rng* rng) {
    for (int i = begin; i < end; i++) {
        double forwards = i >= N || rng_below(rng, 2) ? 0.75 : 0.1;
        int letter = (int)rng_below(rng, V);
        for (int t = 0; t <= T; t++) {
            word[i][t] = (char)('a' + letter);
            letter = (letter + (rng_uniform(rng) < forwards ? 1 : V - 1)) % V;
        }
    }
}

// The base model: ordinary training on general words.
static void pretrain(void) {
    Drpt drpt = create("full", "layer", "1");
    Rng rng = rng_seed(4, 0, 0);
    Word word[B];
    rng_normal(&rng, first, SIZE, 1.0f);
    rng_normal(&rng, head, SIZE, 0.5f);
    for (int step = 0; step < 100; step++) {
        draw(word, 0, B, &rng);
        find_update(&drpt, word);
        for (int k = 0; k < SIZE; k++) { head[k] -= 0.3f * update[k]; first[k] -= 0.3f * update[SIZE + k]; }
    }
    drpt_free(&drpt);
}

// ---------------------------------------------------------------------------------------------
// 1. The gradient of a row.

// to = that of head, of rows [begin, end).
static void form(float* to, int begin, int end) {
    memset(to, 0, sizeof(float) * SIZE);
    for (int at = begin*T; at < end*T; at++) {
        for (int k = 0; k < SIZE; k++) { to[k] += dlogits[at*V + k / H] * hidden[at*H + k % H]; }
    }
}

static void print_matrix(const float* w) {
    for (int v = 0; v < V; v++) { printf("%8.3f%8.3f%8.3f\n", w[v*H], w[v*H + 1], w[v*H + 2]); }
}

static void step1(const Word* word) {
    printf("1. gradient of \"%.5s\", loss %.3f\n", word[0], forward(word));
    form(g[0], 0, 1);
    print_matrix(g[0]);
    head[0] += 0.01f;
    double up = forward(word);
    head[0] -= 0.02f;
    double down = forward(word);
    head[0] += 0.01f;
    printf("slope of the loss along the first weight: %.3f\n", (up - down) / 0.02);
}

// ---------------------------------------------------------------------------------------------
// 2. Gather.

static double dot(const float* a, const float* b, int n) {
    double sum = 0.0;
    for (int k = 0; k < n; k++) { sum += (double)a[k] * b[k]; }
    return sum;
}

// <gradient of rows [i, i_end), gradient of rows [j, j_end)> from pairs of positions.
static double product(int i, int i_end, int j, int j_end) {
    double sum = 0.0;
    for (int a = i*T; a < i_end*T; a++) {
        for (int b = j*T; b < j_end*T; b++) { sum += dot(dlogits + a*V, dlogits + b*V, V) * dot(hidden + a*H, hidden + b*H, H); }
    }
    return sum;
}

static void step2(const Word* word) {
    double most = 0.0;
    forward(word);
    for (int i = 0; i <= N; i++) { form(g[i], i, i < N ? i + 1 : B); }
    printf("\n2. K | s\n");
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            K[i*N + j] = product(i, i + 1, j, j + 1);
            most = fmax(most, fabs(K[i*N + j] - dot(g[i], g[j], SIZE)));
            printf("%8.3f", K[i*N + j]);
        }
        s[i] = product(i, i + 1, N, B);
        most = fmax(most, fabs(s[i] - dot(g[i], g[N], SIZE)));
        printf("  |%8.3f\n", s[i]);
    }
    q = product(N, B, N, B);
    printf("q = %.3f; the formed gradients' products differ by %.5f\n", q, most);
}

// ---------------------------------------------------------------------------------------------
// 3. Solve.

// The nearest point of the cone of rows i and j to t: inside, on an edge, or 0.
static void cone_of_two(int i, int j) {
    double a = K[i*N + i], b = K[i*N + j], c = K[j*N + j], det = a*c - b*b;
    alpha[i] = (c * s[i] - b * s[j]) / det;
    alpha[j] = (a * s[j] - b * s[i]) / det;
    if (alpha[i] >= 0.0 && alpha[j] >= 0.0) { return; }
    double along_i = fmax(0.0, s[i] / sqrt(a)), along_j = fmax(0.0, s[j] / sqrt(c)); // t's length along either edge
    alpha[i] = along_i >= along_j ? along_i / sqrt(a) : 0.0;
    alpha[j] = along_i >= along_j ? 0.0 : along_j / sqrt(c);
}

// And |t - u|^2 / q, by K, s and q alone.
static void print_weights(const char* name) {
    double left = (1.0 - beta) * (1.0 - beta) * q;
    printf("%-12s", name);
    for (int i = 0; i < N; i++) {
        left -= 2.0 * (1.0 - beta) * alpha[i] * s[i];
        for (int j = 0; j < N; j++) { left += alpha[i] * alpha[j] * K[i*N + j]; }
        printf("%9.2f", alpha[i]);
    }
    printf("%9.2f%11.2f\n", beta, left / q);
}

static void solve(const char* name, Method method, const unsigned char* usable) {
    double work[1024];
    Statistics st = { .K = K, .s = s, .score = s, .q = &q };
    Knobs knobs = { .keep = 0.5, .tau = 1.0, .strength = 1.0 };
    drpt_solve(alpha, &beta, method, &st, (Rows){ .n = N, .m = M, .usable = usable, .domains = 1 }, NEEDS_S | NEEDS_K, knobs, work);
    print_weights(name);
}

static void step3(void) {
    static const unsigned char first_two[N] = { 1, 1 };
    printf("\n3.            alpha_0  alpha_1  alpha_2  alpha_3     beta  |t-u|^2/q\n");
    solve("full", METHOD_full, all);
    solve("target", METHOD_target, all);
    solve("subset", METHOD_subset, all);
    memset(alpha, 0, sizeof(alpha));
    beta = 0.0;
    cone_of_two(0, 1);
    print_weights("by hand");
    solve("cone of two", METHOD_cone, first_two);
    solve("cone", METHOD_cone, all);
}

// ---------------------------------------------------------------------------------------------
// 4. Assemble.

static void step4(void) {
    float scaled[B*T*V], most = 0.0f;
    for (int k = 0; k < B*T*V; k++) { scaled[k] = (float)(k < N*T*V ? alpha[k / (T*V)] : beta) * dlogits[k]; }
    matmul_backward_params(u, NULL, scaled, hidden, B*T, H, V);
    printf("\n4. u\n");
    print_matrix(u);
    for (int k = 0; k < SIZE; k++) {
        double sum = beta * g[N][k];
        for (int i = 0; i < N; i++) { sum += alpha[i] * g[i][k]; }
        most = fmaxf(most, fabsf(u[k] - (float)sum));
    }
    printf("beta t + sum alpha_i g_i differs by %.5f\n", most);
}

// ---------------------------------------------------------------------------------------------
// 5. The same in a backward pass.

static void step5(const Word* word) {
    static const char* const group[] = { "layer", "global" };
    printf("\n5. cone in a backward pass\n");
    for (int k = 0; k < 2; k++) {
        double most = 0.0;
        Drpt drpt = create("cone", group[k], "1");
        find_update(&drpt, word);
        for (int i = 0; i < SIZE; i++) { most = fmax(most, fabs((double)update[i] - u[i])); }
        printf("%-8sweights of the last group", group[k]);
        for (int i = 0; i < N; i++) { printf("%6.2f", drpt.alpha[i]); }
        printf("; head differs from 4 by %.3f\n", most);
        drpt_free(&drpt);
    }
}

// ---------------------------------------------------------------------------------------------
// 6. Bias and variance.

static void spectrum(const char* method, const char* strength, const float* truth) {
    enum { R = 2000, Q = 4 };
    double sum[2*SIZE] = { 0.0 }, within = 0.0, between = 0.0, bias = 0.0, norm = dot(truth, truth, 2*SIZE);
    Drpt drpt = create(method, "layer", strength);
    Rng rng = rng_seed(20, 0, 0); // the same draws for every method
    Word word[B];
    for (int a = 0; a < R; a++) {
        float mean[2*SIZE] = { 0.0f };
        draw(word, N, B, &rng);
        for (int b = 0; b < Q; b++) {
            draw(word, 0, N, &rng);
            find_update(&drpt, word);
            for (int k = 0; k < 2*SIZE; k++) { mean[k] += update[k] / Q; }
            within += dot(update, update, 2*SIZE);
        }
        for (int k = 0; k < 2*SIZE; k++) { sum[k] += mean[k]; }
        within -= Q * dot(mean, mean, 2*SIZE);
        between += dot(mean, mean, 2*SIZE);
    }
    for (int k = 0; k < 2*SIZE; k++) {
        between -= sum[k] * sum[k] / R;
        bias += (sum[k] / R - truth[k]) * (sum[k] / R - truth[k]);
    }
    double v_gen = within / (R * (Q - 1)), v_tgt = between / (R - 1) - v_gen / Q;
    bias -= (v_tgt + v_gen / Q) / R; // what chance adds to the square
    double one = bias + v_tgt + v_gen, ten = bias + v_tgt + v_gen / 10.0;
    printf("%-9s%8s%9.2f%9.2f%9.2f%9.2f%9.2f\n", method, strength, bias / norm, v_tgt / norm, v_gen / norm, one / norm, ten / norm);
    drpt_free(&drpt);
}

static void step6(const char* own) {
    static const char* const method[][2] = { { "target", "1" }, { "span", "1" }, { "cone", "0.5" }, { "cone", "1" }, { "mix", "1" },
                                             { "subset", "1" }, { "full", "1" } };
    float truth[2*SIZE];
    Word circle[B];
    Drpt drpt = create("full", "layer", "1");
    // Three of four words go once round the alphabet forwards, one backwards: all pairs as often as in the language.
    for (int i = 0; i < B; i++) { memcpy(circle[i], i % 4 < 3 ? "abcda" : "adcba", sizeof(Word)); }
    find_update(&drpt, circle);
    memcpy(truth, update, sizeof(truth));
    drpt_free(&drpt);
    printf("\n6.       strength   bias^2    v_tgt    v_gen    error    of ten\n");
    for (size_t k = 0; k < sizeof(method) / sizeof(method[0]); k++) { spectrum(method[k][0], method[k][1], truth); }
    if (own) { spectrum(own, "1", truth); }
}

int main(int argc, char** argv) {
    static const Word word[B] = { "abcdc", "bcbab", "dcbad", "cdada", "abcba", "bcdab" };
    omp_set_num_threads(1);
    memset(all, 1, sizeof(all));
    pretrain();
    step1(word);
    step2(word);
    step3();
    step4();
    step5(word);
    step6(argc > 1 ? argv[1] : NULL);
    return 0;
}
