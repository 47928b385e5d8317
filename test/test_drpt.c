// test_drpt.c -- the regularizer inside a small network that has every kind of site. The oracle gets the gradients of
// single rows one at a time, by plain backward passes, and knows nothing of sites, slabs and scaled factors.
#include "../drpt/drpt.h"
#include "../llmc/matmul.h"
#include "test.h"

#include <omp.h>
#include <stddef.h>

enum { n = 4, m = 2, B = n + m, T = 4, N = B*T, C = 5, H = 7, V = 11 }; // rows, tokens, widths

//     x = wte[token] + wpe[t]    normed = layernorm(x)    hidden = normed w1' + b1    act = hidden^2
//     y = act w2' + b2    logits = y wte'    loss of a row = sum of its logits * dlogits
// Gradients in the order in which a backward pass meets their sites.
typedef struct { float w2[C*H], b2[C], w1[H*C], b1[H], lnw[C], lnb[C], wte[V*C], wpe[T*C]; } Params;
enum { NUM_PARAMS = sizeof(Params) / sizeof(float) };

#define START(field) (int)(offsetof(Params, field) / sizeof(float))
enum { NUM_SITES = 5 };
static const int site_start[NUM_SITES + 1] = { START(w2), START(w1), START(lnw), START(wte), START(wpe), NUM_PARAMS };
static const char* const site_name[NUM_SITES] = { "h3.w2", "h3.w1", "h3.ln", "wte", "wpe" };

// Which group a site is in; the first two sites and the third are a block of two sublayers.
static const char* const group_name[] = { "matrix", "layer", "sublayer", "block", "global" };
enum { NUM_GROUPS = DRPT_GLOBAL + 1 };
static const int group_of[NUM_GROUPS][NUM_SITES] = { { 0, 1, 2, 3, 4 }, { 0, 1, 2, 3, 4 }, { 0, 1, 1, 2, 2 }, { 0, 0, 0, 1, 1 }, { 0, 0, 0, 0, 0 } };

#define NAME(name, ...) #name,
static const char* const method_name[] = { DRPT_METHODS(NAME) };
enum { NUM_SOLVED = METHOD_inside }; // the methods that solve.h knows; a basis has tests of its own

static Params w;
static int places = T;          // of a row's positions: T, or half of it, if a row is a pair
static float dlogits[N*V];
static int tokens[N];
static uint64_t rng = 7;

// The buffers of a pass. A test may break one between recording and projecting.
static float x[N*C], mean[N], rstd[N], normed[N*C], hidden[N*H], act[N*H], y[N*C];
static float dy[N*C], dact[N*H], dhidden[N*H], dnormed[N*C], dx[N*C];
static float* broken;          // NULL, or what is overwritten before anything is projected
static int poisoned = -1;      // the row whose dhidden turns NaN

// ---------------------------------------------------------------------------------------------
// the network

static void forward(void) {
    for (int i = 0; i < N; i++) {
        double sum = 0.0, square = 0.0;
        for (int c = 0; c < C; c++) {
            x[i*C + c] = w.wte[tokens[i]*C + c] + w.wpe[i % places * C + c];
            sum += x[i*C + c];
            square += (double)x[i*C + c] * x[i*C + c];
        }
        mean[i] = (float)(sum / C);
        rstd[i] = (float)(1.0 / sqrt(square / C - (sum / C) * (sum / C) + 1e-5));
        for (int c = 0; c < C; c++) { normed[i*C + c] = (x[i*C + c] - mean[i]) * rstd[i] * w.lnw[c] + w.lnb[c]; }
    }
    matmul_forward(hidden, normed, w.w1, w.b1, N, C, H);
    for (int i = 0; i < N*H; i++) { act[i] = hidden[i] * hidden[i]; }
    matmul_forward(y, act, w.w2, w.b2, N, H, C);
}

static double loss(void) {
    static float logits[N*V];
    double sum = 0.0;
    forward();
    matmul_forward(logits, y, w.wte, NULL, N, C, V);
    for (int i = 0; i < N*V; i++) { sum += (double)dlogits[i] * logits[i]; }
    return sum;
}

static void norm_backward(void) {
    for (int i = 0; i < N; i++) {
        double avg = 0.0, avg_xhat = 0.0;
        for (int c = 0; c < C; c++) {
            double d = (double)dnormed[i*C + c] * w.lnw[c];
            avg += d / C;
            avg_xhat += d * (x[i*C + c] - mean[i]) * rstd[i] / C;
        }
        for (int c = 0; c < C; c++) {
            double xhat = (double)(x[i*C + c] - mean[i]) * rstd[i];
            dx[i*C + c] = (float)(rstd[i] * (dnormed[i*C + c] * w.lnw[c] - avg - xhat * avg_xhat));
        }
    }
}

static void backward(Drpt* d, Params* grad) {
    forward();
    matmul_backward_input(dy, dlogits, w.wte, N, C, V);
    matmul_backward_input(dact, dy, w.w2, N, H, C);
    for (int i = 0; i < N*H; i++) { dhidden[i] = 2.0f * hidden[i] * dact[i]; }
    if (poisoned >= 0) { dhidden[poisoned*T*H + 4] = NAN; }
    matmul_backward_input(dnormed, dhidden, w.w1, N, C, H);
    norm_backward();
    d->block = 3;
    drpt_site(d, "w2", grad->w2, grad->b2, dy, act, H, C);
    drpt_project(d, DRPT_SUBLAYER);
    drpt_site(d, "w1", grad->w1, grad->b1, dhidden, normed, C, H);
    drpt_site_layernorm(d, "ln", grad->lnw, grad->lnb, dnormed, x, mean, rstd, C);
    drpt_project(d, DRPT_BLOCK);
    d->block = -1;
    drpt_site_token(d, "wte", grad->wte, dlogits, y, dx, tokens, C, V, V);
    drpt_site_position(d, "wpe", grad->wpe, dx, C);
    if (broken) { *broken += 1.0f; }
    drpt_project(d, DRPT_GLOBAL);
}

// ---------------------------------------------------------------------------------------------
// the regularizer, and the oracle

static Drpt plugin;
static const unsigned char all_usable[B] = { 1, 1, 1, 1, 1, 1 };
static Params got, single[B]; // the update; the gradients of single rows

static void draw(void) {
    test_fill((float*)&w, NUM_PARAMS, &rng);
    test_fill(dlogits, N*V, &rng);
    for (int i = 0; i < N; i++) { tokens[i] = i % 2 ? 3 : i * 7 % V; } // word 3 occurs in every row
}

static void create(const char* method, const char* group) {
    DrptOptions o = drpt_defaults;
    o.method = method;
    o.group = group;
    o.ridge = 0.05;
    o.mix = 0.3;
    plugin = drpt_create(&o, n, m, T, H, 1, 99);
    plugin.places = places;
    plugin.verify = 1;
}

static void step(uint64_t at, const unsigned char* usable) {
    memset(&got, 0, sizeof(got));
    drpt_begin(&plugin, at, usable, NULL);
    backward(&plugin, &got);
    drpt_end(&plugin);
}

static Drpt plain_pass(void) {
    DrptOptions o = drpt_defaults;
    Drpt d = drpt_create(&o, B, 0, T, H, 1, 0);
    d.places = places;
    return d;
}

// The gradients of the batch's rows, each alone in a plain pass: the losses of all others count nothing.
static void single_rows(void) {
    static float all[N*V];
    Drpt plain = plain_pass();
    memcpy(all, dlogits, sizeof(all));
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < N*V; i++) { dlogits[i] = i / (T*V) == b ? all[i] : 0.0f; }
        memset(&single[b], 0, sizeof(Params));
        drpt_begin(&plain, 0, all_usable, NULL);
        backward(&plain, &single[b]);
    }
    memcpy(dlogits, all, sizeof(all));
    drpt_free(&plain);
}

typedef struct { double t[NUM_PARAMS], K[n*n], s[n], q, alpha[n], beta; Verdict verdict; } Group;

// Inner products over the parameters of one group, everything else being zero: of so many general rows, which may be their own target; then their
// parts in it are out of their scores.
static Group products_of(int general, int own, int group, int member) {
    Group p = {0};
    for (int site = 0; site < NUM_SITES; site++) {
        for (int k = site_start[site]; k < site_start[site + 1] && group_of[group][site] == member; k++) {
            for (int b = general; b < B; b++) { p.t[k] += ((float*)&single[b])[k]; }
            p.q += p.t[k] * p.t[k];
            for (int i = 0; i < general; i++) {
                double g = ((float*)&single[i])[k];
                p.s[i] += g * (p.t[k] - (own ? ((float*)&single[general + i])[k] : 0.0));
                for (int j = 0; j < general; j++) { p.K[i*general + j] += g * ((float*)&single[j])[k]; }
            }
        }
    }
    return p;
}

static Group products(int group, int member) { return products_of(n, 0, group, member); }

static void solve(Group* p, Method method, const unsigned char* usable) {
    static double work[1000];
    static double unused[m*m + n*m];
    Statistics st = { p->K, p->s, &p->q, p->s, unused, unused, NULL };
    Rows rows = { n, m, usable, NULL, 1, 0 };
    expect(solve_work(n, m, 1) <= sizeof(work) / sizeof(work[0]));
    p->verdict = drpt_solve(p->alpha, &p->beta, method, &st, rows, solve_needs(method, plugin.knobs) | NEEDS_S, plugin.knobs, work);
}

static double update_at(const Group* p, int k) {
    double u = p->beta * p->t[k];
    for (int i = 0; i < n; i++) { u += p->alpha[i] * ((float*)&single[i])[k]; }
    return u;
}

// The parameters of a group have the update of its weights.
static void expect_update(const Group* p, int group, int member) {
    for (int site = 0; site < NUM_SITES; site++) {
        float want[NUM_PARAMS];
        if (group_of[group][site] != member) { continue; }
        for (int k = site_start[site]; k < site_start[site + 1]; k++) { want[k] = (float)update_at(p, k); }
        int start = site_start[site], end = site_start[site + 1];
        expect_close((float*)&got + start, want + start, (size_t)(end - start), 5e-5f);
    }
}

// ---------------------------------------------------------------------------------------------
// plain training

// Moves the parameters along a random direction v: the loss must change by <gradient, v>.
static void test_plain_is_the_gradient(void) {
    static Params v, kept;
    const float h = 3e-3f;
    draw();
    plugin = plain_pass();
    expect(plugin.method == METHOD_full && !drpt_keeps_blocks(&plugin));
    step(0, all_usable);
    kept = w;
    for (int site = 0; site < NUM_SITES; site++) { // one after the other, or the largest would hide the rest
        float slope = 0.0f, want;
        test_fill((float*)&v, NUM_PARAMS, &rng);
        for (int k = site_start[site]; k < site_start[site + 1]; k++) {
            slope += ((float*)&got)[k] * ((float*)&v)[k];
            ((float*)&w)[k] = ((float*)&kept)[k] + h * ((float*)&v)[k];
        }
        double up = loss();
        for (int k = site_start[site]; k < site_start[site + 1]; k++) { ((float*)&w)[k] = ((float*)&kept)[k] - h * ((float*)&v)[k]; }
        want = (float)((up - loss()) / (2 * h));
        w = kept;
        expect_close(&slope, &want, 1, 3e-3f);
    }
    drpt_free(&plugin);
}

static void test_plain_is_the_sum_of_the_rows(void) {
    draw();
    single_rows();
    DrptOptions o = drpt_defaults;
    plugin = drpt_create(&o, B, 0, T, H, 1, 0);
    step(0, all_usable);
    float want[NUM_PARAMS] = {0};
    for (int k = 0; k < NUM_PARAMS; k++) { for (int b = 0; b < B; b++) { want[k] += ((float*)&single[b])[k]; } }
    expect_close((float*)&got, want, NUM_PARAMS, 2e-6f);
    float dw[C*H] = {0}, db[C] = {0};
    matmul_backward_params(dw, db, dy, act, N, H, C);
    expect(memcmp(dw, got.w2, sizeof(dw)) == 0 && memcmp(db, got.b2, sizeof(db)) == 0);
    drpt_free(&plugin);
}

// ---------------------------------------------------------------------------------------------
// methods and groups

static void expect_method(Method method, int group) {
    double dot = 0.0, norm = 0.0;
    int groups = group_of[group][NUM_SITES - 1] + 1, skipped = 0;
    create(method_name[method], group_name[group]);
    expect(drpt_keeps_blocks(&plugin) == (group == DRPT_GLOBAL));
    step(5, all_usable);
    for (int member = 0; member < groups; member++) {
        Group p = products(group, member);
        solve(&p, method, all_usable);
        expect_update(&p, group, member);
        norm += p.q;
        skipped += p.verdict.skipped;
        dot += p.beta * p.q;
        for (int i = 0; i < n; i++) { dot += p.alpha[i] * p.s[i]; }
    }
    expect(fabs(plugin.dot_ut - dot) <= 1e-5 * (fabs(dot) + norm));
    expect(fabs(plugin.norm_t2 - norm) <= 1e-5 * norm);
    expect(plugin.num_groups == groups && plugin.num_sites == 0);
    expect(plugin.rows_dropped == 0 && plugin.groups_skipped == skipped);
    drpt_free(&plugin);
}

static void test_every_method_and_group(void) {
    draw();
    single_rows();
    for (int method = 0; method < NUM_SOLVED; method++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            if (method != METHOD_random) { expect_method((Method)method, group); } // its seed is the regularizer's own
        }
    }
    for (int threads = 5; threads >= 1; threads -= 2) {
        omp_set_num_threads(threads);
        expect_method(METHOD_cone, DRPT_BLOCK);
        expect_method(METHOD_subset, DRPT_LAYER);
    }
    omp_set_num_threads(1);
}

// Weights shared by the whole model turn the update into the gradient of the weighted loss sum_b weight_b loss_b, which a
// plain pass computes from scaled losses. The second step must not remember the first.
static void test_global_is_the_weighted_loss(void) {
    static Params want;
    static float all[N*V];
    for (int method = 0; method < NUM_SOLVED; method++) {
        create(method_name[method], "global");
        Drpt plain = plain_pass();
        for (int at = 0; at < 2; at++) {
            draw();
            step((uint64_t)at, all_usable);
            memcpy(all, dlogits, sizeof(all));
            for (int i = 0; i < N*V; i++) {
                int b = i / (T*V);
                dlogits[i] *= (float)(b < n ? plugin.alpha[b] : plugin.beta);
            }
            memset(&want, 0, sizeof(want));
            drpt_begin(&plain, 0, all_usable, NULL);
            backward(&plain, &want);
            expect_close((float*)&got, (float*)&want, NUM_PARAMS, 1e-5f);
        }
        drpt_free(&plugin);
        drpt_free(&plain);
    }
}

// Rows that are pairs: both halves of a row are at the same places, for every method, group and route of the rest.
static void test_rows_that_are_pairs(void) {
    places = T / 2;
    test_plain_is_the_gradient();
    test_every_method_and_group();
    test_global_is_the_weighted_loss();
    draw();
    create("subset", "layer");
    step(0, all_usable);
    for (int k = places * C; k < T * C; k++) { expect(got.wpe[k] == 0.0f); }
    drpt_free(&plugin);
    places = T;
}

static void test_a_step_repeats_itself(void) {
    static Params once;
    for (int method = 0; method < NUM_SOLVED; method++) {
        for (int group = 0; group < NUM_GROUPS; group += 1 + method % 2) {
            draw();
            omp_set_num_threads(1 + group);
            create(method_name[method], group_name[group]);
            step(3, all_usable);
            once = got;
            double dot = plugin.dot_ut, norm = plugin.norm_t2;
            step(4, all_usable);
            step(3, all_usable);
            expect(memcmp(&once, &got, sizeof(got)) == 0);
            expect(dot == plugin.dot_ut && norm == plugin.norm_t2);
            drpt_free(&plugin);
        }
    }
    omp_set_num_threads(1);
}

// ---------------------------------------------------------------------------------------------
// what the log says

// The geometry file of one step, split at its commas: rows[0] is the header.
enum { SCORES = 12, COLUMNS = SCORES + 2*n, MAX_LINES = 8 };
static char cells[MAX_LINES][COLUMNS + 1][32];

static int log_step(uint64_t at, const unsigned char* usable, int with_header) {
    char line[1 << 12];
    int lines = 0;
    FILE* f = tmpfile();
    if (f == NULL) { perror("tmpfile"); exit(1); }
    drpt_log_geometry(&plugin, f, with_header);
    step(at, usable);
    rewind(f);
    for (; lines < MAX_LINES && fgets(line, sizeof(line), f); lines++) {
        int c = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *rest = line, *cell; (cell = strsep(&rest, ",")) != NULL && c <= COLUMNS; ) {
            snprintf(cells[lines][c++], sizeof(cells[0][0]), "%s", cell);
        }
        expect(c == COLUMNS);
    }
    fclose(f);
    return lines;
}

static void group_title(char* title, size_t size, int group, int member) {
    int first = 0, last = NUM_SITES - 1;
    while (group_of[group][first] != member) { first++; }
    while (group_of[group][last] != member) { last--; }
    const char* end = strchr(site_name[last], '.') ? strchr(site_name[last], '.') + 1 : site_name[last];
    if (first == last) { snprintf(title, size, "%s", site_name[first]); }
    else { snprintf(title, size, "%s..%s", site_name[first], end); }
}

static double number(const char* cell) {
    char* end;
    double value = strtod(cell, &end);
    expect(end != cell && *end == '\0');
    return value;
}

static void expect_cell(const char* cell, double want, double unit) {
    if (fabs(number(cell) - want) <= 1e-5 * unit) { return; }
    fprintf(stderr, "%s: method %s, group %s: logged %s, not %g\n", __FILE__, method_name[plugin.method], group_name[plugin.group], cell, want);
    test_failures++;
}

static void expect_logged(const char row[][32], const Group* p) {
    double dot = p->beta * p->q, norm = p->beta * p->beta * p->q, largest = 0.0;
    for (int i = 0; i < n; i++) {
        dot += p->alpha[i] * p->s[i];
        norm += 2.0 * p->beta * p->alpha[i] * p->s[i];
        for (int j = 0; j < n; j++) { norm += p->alpha[i] * p->alpha[j] * p->K[i*n + j]; }
        largest = fmax(largest, sqrt(p->K[i*n + i] * p->q));
    }
    expect_cell(row[2], p->beta, 1.0);
    expect_cell(row[3], norm > 0.0 ? dot / sqrt(norm * p->q) : 0.0, 1.0);
    expect_cell(row[4], sqrt(norm / p->q), 1.0 + sqrt(norm / p->q));
    expect_cell(row[5], p->verdict.dropped, 1.0);
    expect_cell(row[6], p->verdict.skipped, 1.0);
    expect_cell(row[7], norm > 0.0 ? dot * dot / (norm * p->q) : 0.0, 1.0);
    double sum = 0.0, squares = 0.0, negative = 0.0;
    for (int i = 0; i < n; i++) {
        sum += p->alpha[i];
        squares += p->alpha[i] * p->alpha[i];
        negative += p->s[i] < 0.0;
    }
    expect_cell(row[8], squares > 0.0 ? sum * sum / squares : 0.0, n);
    expect_cell(row[9], negative, 1.0);
    expect(row[10][0] == '\0'); // strength: not asked for
    expect(strcmp(row[11], "direct") == 0 || strcmp(row[11], "pairs") == 0 || strcmp(row[11], "tokens") == 0);
    for (int i = 0; i < n; i++) {
        expect_cell(row[SCORES + i], p->s[i], largest);
        expect_cell(row[SCORES + n + i], p->alpha[i], 1.0);
    }
}

static void test_geometry(void) {
    draw();
    single_rows();
    for (int method = 0; method < NUM_SOLVED; method++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            char title[64];
            int groups = group_of[group][NUM_SITES - 1] + 1;
            create(method_name[method], group_name[group]);
            int lines = log_step(17, all_usable, group == 0);
            expect(lines == groups + (group == 0));
            if (group == 0) { expect(strcmp(cells[0][0], "step") == 0 && strcmp(cells[0][COLUMNS - 1], "alpha_3") == 0); }
            for (int member = 0; member < groups; member++) {
                const char (*row)[32] = (const char (*)[32])cells[member + (group == 0)];
                Group p = products(group, member);
                solve(&p, (Method)method, all_usable);
                for (int i = 0; i < n && method == METHOD_random; i++) { p.alpha[i] = number(row[SCORES + n + i]); }
                group_title(title, sizeof(title), group, member);
                expect(strcmp(row[0], "17") == 0 && strcmp(row[1], title) == 0);
                expect_logged(row, &p);
                expect_update(&p, group, member);
            }
            drpt_free(&plugin);
        }
    }
}

// With general rows of several domains: the share of each in sum |alpha|, behind the route.
static void test_geometry_of_domains(void) {
    static const int domain[n] = { 2, 0, 1, 1 };
    char line[1 << 12];
    DrptOptions o = drpt_defaults;
    FILE* f = tmpfile();
    if (f == NULL) { perror("tmpfile"); exit(1); }
    draw();
    o.method = "span";
    plugin = drpt_create(&o, n, m, T, H, 3, 99);
    drpt_log_geometry(&plugin, f, 1);
    memset(&got, 0, sizeof(got));
    drpt_begin(&plugin, 0, all_usable, domain);
    backward(&plugin, &got);
    drpt_end(&plugin);
    rewind(f);
    expect(fgets(line, sizeof(line), f) && strstr(line, ",route,mass_0,mass_1,mass_2,score_0,") != NULL);
    int lines = 0;
    for (; fgets(line, sizeof(line), f); lines++) {
        double value[SCORES + 3 + 2*n], mass[3] = {0}, all = 0.0;
        int c = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *rest = line, *cell; (cell = strsep(&rest, ",")) != NULL && c < SCORES + 3 + 2*n; c++) { value[c] = c >= SCORES ? number(cell) : 0.0; }
        expect(c == SCORES + 3 + 2*n);
        for (int i = 0; i < n; i++) {
            mass[domain[i]] += fabs(value[SCORES + 3 + n + i]);
            all += fabs(value[SCORES + 3 + n + i]);
        }
        for (int k = 0; k < 3; k++) { expect(fabs(value[SCORES + k] - mass[k] / all) <= 1e-6 && mass[k] > 0.0); }
    }
    expect(lines == NUM_SITES);
    fclose(f);
    drpt_free(&plugin);
}

// Every group of every step draws a set of its own: 60 draws of the 6 sets of two rows.
static void test_random_differs(void) {
    int count[16] = {0}, same_as_neighbour = 0, before = 0;
    draw();
    create("random", "layer");
    for (int at = 0; at < 12; at++) {
        expect(log_step((uint64_t)at, all_usable, 0) == NUM_SITES);
        for (int member = 0; member < NUM_SITES; member++) {
            int set = 0;
            for (int i = 0; i < n; i++) { set |= (number(cells[member][SCORES + n + i]) == 0.5) << i; }
            count[set]++;
            same_as_neighbour += set == before;
            before = set;
        }
    }
    drpt_free(&plugin);
    for (int set = 0; set < 16; set++) {
        int rows = (set & 1) + (set >> 1 & 1) + (set >> 2 & 1) + (set >> 3 & 1);
        expect(rows == 2 ? count[set] > 0 && count[set] < 25 : count[set] == 0);
    }
    expect(same_as_neighbour < 25);
    int same_as_other = 0;
    for (int at = 0; at < 60; at++) { // another seed, other sets
        DrptOptions o = drpt_defaults;
        double alpha[n];
        o.method = "random";
        o.group = "global";
        for (int seed = 7; seed < 9; seed++) {
            plugin = drpt_create(&o, n, m, T, H, 1, (uint64_t)seed);
            step((uint64_t)at, all_usable);
            if (seed == 8) { same_as_other += memcmp(alpha, plugin.alpha, sizeof(alpha)) == 0; }
            memcpy(alpha, plugin.alpha, sizeof(alpha));
            drpt_free(&plugin);
        }
    }
    expect(same_as_other < 25);
}

// ---------------------------------------------------------------------------------------------
// rows that cannot be used

// A NaN in the gradient of one row's hidden layer reaches all sites but the first. Its groups go on without the row,
// as if it had no trained token.
static void test_a_row_with_nan_is_dropped(void) {
    const unsigned char others[n] = { 1, 1, 0, 1 };
    draw();
    single_rows();
    for (int method = 0; method < NUM_SOLVED; method++) {
        if (method == METHOD_random) { continue; }
        for (int group = 0; group < NUM_GROUPS; group++) {
            int hit = 0, skipped = 0;
            create(method_name[method], group_name[group]);
            poisoned = 2;
            step(0, all_usable);
            poisoned = -1;
            for (int member = 0; member <= group_of[group][NUM_SITES - 1]; member++) {
                int untouched = group <= DRPT_SUBLAYER ? member == 0 : 0;
                Group p = products(group, member);
                solve(&p, (Method)method, untouched ? all_usable : others);
                expect_update(&p, group, member);
                hit += !untouched;
                skipped += p.verdict.skipped;
            }
            expect(plugin.rows_dropped == (method == METHOD_target ? 0 : hit));
            expect(plugin.groups_skipped == skipped && isfinite(plugin.dot_ut) && isfinite(plugin.norm_t2));
            drpt_free(&plugin);
        }
    }
}

static void test_a_target_with_nan_gives_no_update(void) {
    draw();
    single_rows();
    for (int method = 0; method < NUM_SOLVED; method++) {
        create(method_name[method], "layer");
        poisoned = n + 1;
        step(0, all_usable);
        poisoned = -1;
        expect(plugin.groups_skipped == NUM_SITES - 1 && plugin.rows_dropped == 0);
        expect(isfinite(plugin.dot_ut) && isfinite(plugin.norm_t2));
        float sum = 0.0f;
        for (int k = 0; k < site_start[1]; k++) { sum += fabsf(((float*)&got)[k]); }
        expect(sum > 0.0f && isfinite(sum));
        for (int k = site_start[1]; k < NUM_PARAMS; k++) { expect(((float*)&got)[k] == 0.0f); }
        drpt_free(&plugin);
    }
}

static void test_unusable_rows(void) {
    const unsigned char some[n] = { 1, 0, 0, 1 }, none[n] = {0};
    draw();
    single_rows();
    for (int method = 0; method < NUM_SOLVED; method++) {
        if (method == METHOD_random) { continue; }
        for (int i = 0; i < 2; i++) {
            create(method_name[method], "global");
            step(0, i ? none : some);
            Group p = products(DRPT_GLOBAL, 0);
            solve(&p, (Method)method, i ? none : some);
            if (i == 0) { expect(p.alpha[1] == 0.0 && p.alpha[2] == 0.0); }
            expect_update(&p, DRPT_GLOBAL, 0);
            expect(plugin.rows_dropped == 0 && plugin.groups_skipped == p.verdict.skipped);
            drpt_free(&plugin);
        }
    }
}

// The target goes against every row, at every site: a set that holds none of them, or only what does not help, gives zeros.
static void test_29_nothing_helps(void) {
    static const Method empty[] = { METHOD_filter, METHOD_cone };
    draw();
    for (int b = 1; b < B; b++) {
        memcpy(tokens + b*T, tokens, sizeof(int) * T);
        for (int i = 0; i < T*V; i++) { dlogits[b*T*V + i] = (b < n ? 1.0f : -0.7f) * dlogits[i]; }
    }
    for (int method = 0; method < 2; method++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            create(method_name[empty[method]], group_name[group]);
            int lines = log_step(0, all_usable, 0);
            for (int k = 0; k < NUM_PARAMS; k++) { expect(((float*)&got)[k] == 0.0f); }
            expect(plugin.groups_skipped == lines && plugin.rows_dropped == 0 && plugin.dot_ut == 0.0 && plugin.norm_t2 > 0.0);
            for (int member = 0; member < lines; member++) {
                expect_cell(cells[member][3], 0.0, 1e-9);
                expect_cell(cells[member][4], 0.0, 1e-9);
                expect_cell(cells[member][8], 0.0, 1e-9);
                expect_cell(cells[member][9], n, 1e-9);
            }
            drpt_free(&plugin);
        }
    }
}

// A basis goes on without the rows whose gradient is no number, and says so.
static void test_a_basis_drops_rows(void) {
    const unsigned char others[n] = { 1, 1, 0, 1 };
    static Params without;
    draw();
    for (int method = METHOD_inside; method <= METHOD_outside; method++) {
        for (int bad = 0; bad < 2; bad++) {
            DrptOptions o = drpt_defaults;
            o.method = method == METHOD_inside ? "inside" : "outside";
            o.rank = 2;
            plugin = drpt_create(&o, n, m, T, H, 1, 99);
            plugin.verify = 1;
            poisoned = bad ? 2 : -1;
            step(0, bad ? all_usable : others);
            poisoned = -1;
            expect(plugin.rows_dropped == (bad ? NUM_SITES - 1 : 0) && plugin.groups_skipped == 0);
            if (!bad) { without = got; }
            expect_close((float*)&got + site_start[1], (float*)&without + site_start[1], (size_t)(NUM_PARAMS - site_start[1]), 1e-6f);
            drpt_free(&plugin);
        }
    }
}

// What geometry.csv says of a basis: a row for each site and refresh, with the ranks that were asked for, or all there are of a side. The
// first has no past to overlap with.
static void test_geometry_of_bases(void) {
    static const struct { int rows, cols; } size[NUM_SITES] = { { C, H + 1 }, { H, C + 1 }, { C, 2 }, { V, C }, { T, C } }; // a bias is a column
    static const char* const sides[] = { "left", "right", "both" };
    draw();
    for (int i = 0; i < 6; i++) {
        static Params first;
        char line[1 << 10];
        int rank = 1 + i / 3, lines = 0;
        FILE* f = tmpfile();
        if (f == NULL) { perror("tmpfile"); exit(1); }
        DrptOptions o = drpt_defaults;
        o.method = "inside";
        o.sides = sides[i % 3];
        o.rank = rank;
        o.refresh = 5;
        plugin = drpt_create(&o, n, m, T, H, 1, 99);
        drpt_log_geometry(&plugin, f, 1);
        step(0, all_usable);
        expect(i == 0 || memcmp(&got, &first, sizeof(got)) != 0); // the options arrive
        first = got;
        step(10, all_usable);
        rewind(f);
        expect(fgets(line, sizeof(line), f) && strcmp(line, "step,group,rank_left,rank_right,overlap_left,overlap_right,energy\n") == 0);
        for (; fgets(line, sizeof(line), f); lines++) {
            int site = lines % NUM_SITES, step = -1, left = -1, right = -1, name = strchr(site_name[site], '\0') - site_name[site];
            char* at = strchr(line, ',') + 1;
            expect(sscanf(line, "%d", &step) == 1 && step == (lines < NUM_SITES ? 0 : 10));
            expect(strncmp(at, site_name[site], (size_t)name) == 0 && at[name] == ',');
            expect(sscanf(at + name, ",%d,%d", &left, &right) == 2);
            expect(left == (i % 3 == 1 || size[site].rows < rank ? size[site].rows : rank));
            expect(right == (i % 3 == 0 || size[site].cols < rank ? size[site].cols : rank));
            expect((strstr(at, ",,,") != NULL) == (step == 0));
        }
        expect(lines == 2 * NUM_SITES);
        fclose(f);
        drpt_free(&plugin);
    }
}

// ---------------------------------------------------------------------------------------------
// what must not be

// For a child process, in which the threads of its parent are missing.
static void step_over(float* buffer) {
    omp_set_num_threads(1);
    create("subset", "global");
    broken = buffer;
    step(0, all_usable);
}

static void test_buffers_that_move_on_are_noticed(void) {
    float* const buffers[] = { dlogits, &dlogits[N*V - 1], dy, act, dhidden, &dhidden[N*H - 1], normed, dnormed,
                               x, &x[N*C - 1], mean, &mean[N - 1], rstd, y, dx, &dx[N*C - 1], (float*)tokens, (float*)&tokens[N - 1] };
    draw();
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        expect_dies("a buffer changed between drpt_site() and drpt_project()", step_over(buffers[i]));
    }
}

static void create_with(const char* method, const char* group, int general, int target) {
    omp_set_num_threads(1);
    DrptOptions o = drpt_defaults;
    o.method = method;
    if (group) { o.group = group; }
    plugin = drpt_create(&o, general, target, T, H, 1, 0);
}

static void test_combinations_that_make_no_sense(void) {
    expect_dies("median", create_with("median", NULL, n, m));
    expect_dies("head", create_with("cone", "head", n, m));
    for (int method = 0; method < NUM_SOLVED; method++) {
        if (method != METHOD_full) { expect_dies("--target", create_with(method_name[method], NULL, n, 0)); }
        if (method != METHOD_target) { expect_dies("--general", create_with(method_name[method], NULL, 0, m)); }
    }
    create_with(NULL, NULL, n, m);
    expect(plugin.method == METHOD_subset && plugin.group == DRPT_LAYER && !plugin.plain);
    drpt_free(&plugin);
    create_with(NULL, "global", n, 0);
    expect(plugin.method == METHOD_full && plugin.plain && !drpt_keeps_blocks(&plugin));
    drpt_free(&plugin);
}

static void create_knob(const char* method, const char* group, const char* name, const char* value, int target) {
    omp_set_num_threads(1);
    DrptOptions o = drpt_defaults;
    char program[] = "train", option[64], text[64], *argv[3] = { program, option, text };
    OptionTable table = drpt_option_table(&o);
    snprintf(option, sizeof(option), "--%s", name);
    snprintf(text, sizeof(text), "%s", value);
    options_parse(&table, 1, 3, argv, "");
    o.method = method;
    o.group = group;
    plugin = drpt_create(&o, n, target, T, H, 1, 99);
}

// A knob that the method would ignore is refused, by its name.
static void test_knobs_that_make_no_sense(void) {
    static const struct { const char *method, *group, *name, *value; int target; } wrong[] = {
        { "full", "layer", "strength", "0.5", m },  { "target", "layer", "strength", "0.5", m }, { "mix", "layer", "strength", "0", m },
        { "inside", "layer", "strength", "0.5", m }, { "outside", "layer", "strength", "0.5", m }, { "cone", "layer", "strength", "1.5", m },
        { "cone", "layer", "strength", "-0.5", m }, { "cone", "layer", "strength", "half", m },  { "cone", "layer", "strength", "0.5x", m },
        { "cone", "layer", "strength", "nan", m },  { "subset", "layer", "strength", "auto", m }, { "agem", "layer", "strength", "auto", m },
        { "cone", "layer", "strength", "auto", 1 }, { "full", "layer", "rescale", "ray", 0 },    { "inside", "layer", "rescale", "ray", m },
        { "span", "layer", "tau", "0", m },         { "cone", "layer", "tau", "0", m },          { "cone", "layer", "metric", "adam", m },
        { "full", "layer", "metric", "adam", m },   { "greedy", "layer", "metric", "adam", m },  { "cone", "global", "normalise", "1", m },
        { "subset", "layer", "normalise", "1", m },
        { "inside", "block", "rank", "4", m },      { "outside", "global", "rank", "4", m },     { "inside", "sublayer", "rank", "4", m },
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char* culprit = strcmp(wrong[i].name, "rank") == 0 ? "--group" : wrong[i].name;
        expect_dies(culprit, create_knob(wrong[i].method, wrong[i].group, wrong[i].name, wrong[i].value, wrong[i].target));
    }
}

static void create_adam(const char* method, const char* strength, const char* rescale) {
    omp_set_num_threads(1);
    DrptOptions o = drpt_defaults;
    o.method = method;
    o.metric = "adam";
    o.strength = strength;
    o.rescale = rescale;
    plugin = drpt_create(&o, n, m, T, H, 1, 99);
}

// In Adam's metric there are no lengths and angles to go by.
static void test_adams_metric_alone(void) {
    expect_dies("--metric", create_adam("subset", "0.5", "none"));
    expect_dies("--metric", create_adam("filter", "1", "target"));
    create_adam("filter", "1", "none");
    drpt_free(&plugin);
}

// Knobs reach the solver: the update is that of the oracle with the same knobs.
static void test_knobs(void) {
    static const struct { const char *method, *name, *value; Knobs knobs; } right[] = {
        { "cone", "strength", "0.3",   { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 0.3 } },
        { "subset", "strength", "0.3", { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 0.3 } },
        { "full", "rescale", "target", { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 1, .rescale = RESCALE_target } },
        { "subset", "rescale", "ray",  { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 1, .rescale = RESCALE_ray } },
        { "span", "rescale", "cap",    { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 1, .rescale = RESCALE_cap } },
        { "simplex", "tau", "0.2",     { .tau = 0.2, .keep = 0.5, .radius = 0.5, .strength = 1 } },
        { "trust", "radius", "2",      { .tau = 1, .keep = 0.5, .radius = 2, .strength = 1 } },
        { "capped", "keep", "0.75",    { .tau = 1, .keep = 0.75, .radius = 0.5, .strength = 1 } },
        { "span", "ridge", "0.5",      { .tau = 1, .keep = 0.5, .radius = 0.5, .strength = 1, .ridge = 0.5 } },
    };
    draw();
    single_rows();
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            create_knob(right[i].method, group_name[group], right[i].name, right[i].value, m);
            step(0, all_usable);
            plugin.knobs = right[i].knobs;
            for (int member = 0; member <= group_of[group][NUM_SITES - 1]; member++) {
                Group p = products(group, member);
                solve(&p, plugin.method, all_usable);
                expect_update(&p, group, member);
            }
            drpt_free(&plugin);
        }
    }
}

// Auto finds its strength from the target rows one by one: here all that matters is that they reach the solver.
static void test_strength_auto(void) {
    draw();
    single_rows();
    for (int group = 0; group < NUM_GROUPS; group++) {
        create_knob("span", group_name[group], "strength", "auto", m);
        log_step(0, all_usable, 0);
        for (int member = 0; member <= group_of[group][NUM_SITES - 1]; member++) {
            static double work[1000];
            double S[n*m] = {0}, Q[m*m] = {0};
            Group p = products(group, member);
            for (int k = 0; k < NUM_PARAMS; k++) {
                int site = 0;
                while (k >= site_start[site + 1]) { site++; }
                if (group_of[group][site] != member) { continue; }
                for (int j = 0; j < m; j++) {
                    double t = ((float*)&single[n + j])[k];
                    for (int i = 0; i < n; i++) { S[i*m + j] += ((float*)&single[i])[k] * t; }
                    for (int l = 0; l < m; l++) { Q[j*m + l] += t * ((float*)&single[n + l])[k]; }
                }
            }
            Statistics st = { p.K, p.s, &p.q, p.s, S, Q, NULL };
            Rows rows = { n, m, all_usable, NULL, 1, 0 };
            expect(solve_work(n, m, 1) <= sizeof(work) / sizeof(work[0]));
            p.verdict = drpt_solve(p.alpha, &p.beta, METHOD_span, &st, rows, NEEDS_S | NEEDS_K | NEEDS_ROWS, plugin.knobs, work);
            expect_update(&p, group, member);
            expect_cell(cells[member][10], p.verdict.strength, 1.0);
        }
        drpt_free(&plugin);
    }
}

// ---------------------------------------------------------------------------------------------
// Target rows that are the general rows with other losses: OWN of each.

enum { OWN = B / 2 };

static void draw_own(void) {
    draw();
    for (int i = 0; i < OWN*T; i++) { tokens[OWN*T + i] = tokens[i]; }
    for (int i = 0; i < OWN*T*V; i++) { dlogits[OWN*T*V + i] = 0.5f * dlogits[OWN*T*V + i] + 0.7f * dlogits[i]; } // each in favour of itself
    single_rows();
}

static void create_own(const char* method, const char* group, const char* name, const char* value, int target) {
    omp_set_num_threads(1);
    DrptOptions o = drpt_defaults;
    char program[] = "train", option[64], text[64], *argv[3] = { program, option, text };
    OptionTable table = drpt_option_table(&o);
    snprintf(option, sizeof(option), "--%s", name);
    snprintf(text, sizeof(text), "%s", value);
    options_parse(&table, 1, 3, argv, "");
    o.method = method;
    o.group = group;
    o.mix = 0.3;
    o.own_rows = 1;
    plugin = drpt_create(&o, OWN, target, T, H, 1, 99);
    plugin.verify = 1;
}

static void expect_own_group(Group* p, Method method, int group, int member, double* dot) {
    static double work[1000];
    Statistics st = { p->K, p->s, &p->q, p->s, NULL, NULL, NULL };
    Rows rows = { OWN, OWN, all_usable, NULL, 1, 0 };
    Knobs knobs = plugin.knobs;
    knobs.seed = drpt_group_seed(knobs.seed, plugin.step, (uint64_t)member);
    drpt_solve(p->alpha, &p->beta, method, &st, rows, solve_needs(method, knobs) | NEEDS_S, knobs, work);
    for (int site = 0; site < NUM_SITES; site++) {
        float want[NUM_PARAMS];
        int start = site_start[site], end = site_start[site + 1];
        if (group_of[group][site] != member) { continue; }
        for (int k = start; k < end; k++) {
            double u = update_at(p, k);
            want[k] = (float)u;
            *dot += u * p->t[k];
        }
        expect_close((float*)&got + start, want + start, (size_t)(end - start), 1e-4f);
    }
}

// Every group's update is that of the scores without their rows' own parts, and is measured against the whole t.
static void test_own_rows(void) {
    static const char* const routes[] = { "auto", "direct", "pairs", "tokens" };
    int moved = 0;
    draw_own();
    for (int method = 0; method < NUM_SOLVED; method++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            double dot = 0.0, norm = 0.0, score[NUM_SITES*OWN];
            int groups = group_of[group][NUM_SITES - 1] + 1, reads = solve_needs((Method)method, (Knobs){ .strength = 1.0 }) & NEEDS_S;
            create_own(method_name[method], group_name[group], "score", routes[method % 4], OWN);
            expect(!reads == !plugin.rows.own_rows && !reads == !(plugin.needs & NEEDS_ROWS));
            step(5, all_usable);
            memcpy(score, plugin.scores, sizeof(double) * (size_t)(groups * OWN));
            for (int member = 0; member < groups; member++) {
                Group p = products_of(OWN, 1, group, member);
                expect_own_group(&p, (Method)method, group, member, &dot);
                norm += p.q;
                for (int i = 0; i < OWN && reads; i++) { expect(fabs(score[member*OWN + i] - p.s[i]) <= 1e-5 * sqrt(p.K[i*OWN + i] * p.q)); }
            }
            expect(fabs(plugin.dot_ut - dot) <= 1e-4 * (fabs(dot) + norm) && fabs(plugin.norm_t2 - norm) <= 1e-5 * norm);
            static Params once;
            once = got;
            plugin.rows.own_rows = 0;
            step(5, all_usable);
            moved += memcmp(&once, &got, sizeof(got)) != 0;
            drpt_free(&plugin);
        }
    }
    expect(moved > 20);
}

// Rows that are only scored, against whatever stands in `got`, which stays: with their own parts left out, or without target rows.
static void test_scores_only(void) {
    static Params given;
    draw_own();
    test_fill((float*)&given, NUM_PARAMS, &rng);
    for (int own = 0; own < 2; own++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            DrptOptions o = drpt_defaults;
            o.method = "filter";
            o.group = group_name[group];
            o.scores_only = 1;
            o.own_rows = own;
            plugin = drpt_create(&o, own ? OWN : B, own ? OWN : 0, T, H, 1, 0);
            plugin.verify = 1;
            for (int at = 0; at < 2; at++) { // the second time as the first
                got = given;
                drpt_begin(&plugin, 0, all_usable, NULL);
                backward(&plugin, &got);
                drpt_end(&plugin);
                expect(memcmp(&got, &given, sizeof(got)) == 0);
                for (int member = 0; member <= group_of[group][NUM_SITES - 1]; member++) {
                    for (int i = 0; i < plugin.n; i++) {
                        double want = 0.0, gg = 0.0, vv = 0.0;
                        for (int site = 0; site < NUM_SITES; site++) {
                            for (int k = site_start[site]; k < site_start[site + 1] && group_of[group][site] == member; k++) {
                                double g = ((float*)&single[i])[k], v = ((float*)&given)[k];
                                want += g * (own ? v - ((float*)&single[OWN + i])[k] : v);
                                gg += g * g;
                                vv += v * v + (own ? g * g : 0.0);
                            }
                        }
                        expect(fabs(plugin.scores[member * plugin.n + i] - want) <= 2e-5 * sqrt(gg * vv));
                    }
                }
            }
            drpt_free(&plugin);
        }
    }
}

static void test_own_rows_that_make_no_sense(void) {
    static const struct { const char *method, *name, *value; } wrong[] = {
        { "cone", "strength", "auto" }, { "subset", "metric", "adam" }, { "subset", "normalise", "1" }, { "filter", "score", "sketch" },
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_dies("--leave-one-out 0", create_own(wrong[i].method, "global", wrong[i].name, wrong[i].value, OWN));
    }
    expect_dies("2 target rows are not the 3 general rows", create_own("subset", "layer", "keep", "0.5", OWN - 1));
}

// Scores of a global group, each layer's by their mean magnitude.
static void test_normalised_scores(void) {
    double want[n] = {0};
    draw();
    single_rows();
    for (int site = 0; site < NUM_SITES; site++) {
        Group p = products(DRPT_LAYER, site);
        double mean_size = 0.0;
        for (int i = 0; i < n; i++) { mean_size += fabs(p.s[i]) / n; }
        for (int i = 0; i < n; i++) { want[i] += p.s[i] / mean_size; }
    }
    create_knob("subset", "global", "normalise", "1", m);
    log_step(0, all_usable, 0);
    for (int i = 0; i < n; i++) { expect_cell(cells[0][SCORES + i], want[i], NUM_SITES); }
    int best = want[0] > want[1] ? 0 : 1, second = -1;
    for (int i = 0; i < n; i++) { if (want[i] > want[best]) { best = i; } }
    for (int i = 0; i < n; i++) { if (i != best && (second < 0 || want[i] > want[second])) { second = i; } }
    for (int i = 0; i < n; i++) { expect(plugin.alpha[i] == (i == best || i == second ? 0.5 : 0.0)); }
    expect(fabs(plugin.dot_ut - 0.5 * (products(DRPT_GLOBAL, 0).s[best] + products(DRPT_GLOBAL, 0).s[second])) <= 1e-5 * plugin.norm_t2);
    drpt_free(&plugin);
}

// Rows that are not used, or whose gradient at a site is no number, are no part of its mean; nor is the step before part of a score.
static void test_normalised_scores_of_some_rows(void) {
    const unsigned char some[n] = { 1, 1, 0, 1 };
    draw();
    single_rows();
    for (int how = 0; how < 2; how++) {
        double want[n] = {0};
        for (int site = 0; site < NUM_SITES; site++) {
            Group p = products(DRPT_LAYER, site);
            double sum = 0.0, count = 0.0;
            for (int i = 0; i < n; i++) { if (some[i] || (how && site == 0)) { sum += fabs(p.s[i]); count++; } }
            for (int i = 0; i < n; i++) { want[i] += p.s[i] * count / sum; }
        }
        create_knob("subset", "global", "normalise", "1", m);
        for (int at = 0; at < 2; at++) {
            poisoned = how ? 2 : -1; // all sites but the first
            log_step((uint64_t)at, how ? all_usable : some, 0);
            poisoned = -1;
            for (int i = 0; i < n; i++) { if (some[i]) { expect_cell(cells[0][SCORES + i], want[i], NUM_SITES); } }
            expect(plugin.alpha[2] == 0.0 && plugin.rows_dropped == how);
        }
        drpt_free(&plugin);
    }
}

// Scores in the metric of moments that the test makes up; the gradients of a pass stand in `got`.
static void test_adams_metric(void) {
    static Params v;
    double want[n] = {0}, size = 0.0;
    draw();
    single_rows();
    test_fill((float*)&v, NUM_PARAMS, &rng);
    for (int k = 0; k < NUM_PARAMS; k++) { ((float*)&v)[k] *= ((float*)&v)[k]; }
    create_knob("subset", "global", "metric", "adam", m);
    int updates = 3;
    drpt_moments(&plugin, (float*)&got, (float*)&v, &updates, 0.9, 0.01);
    step(5, all_usable); // two of which were no updates of v
    for (int k = 0; k < NUM_PARAMS; k++) {
        double t = 0.0, d = sqrt(((float*)&v)[k] / (1.0 - 0.9 * 0.9 * 0.9)) + 0.01;
        for (int j = n; j < B; j++) { t += ((float*)&single[j])[k]; }
        for (int i = 0; i < n; i++) { want[i] += ((float*)&single[i])[k] * t / d; }
    }
    for (int i = 0; i < n; i++) { size = fmax(size, fabs(want[i])); }
    for (int i = 0; i < n; i++) { expect(fabs(plugin.groups.statistics.score[i] - want[i]) <= 1e-5 * size); }
    expect(isnan(plugin.dot_ut));
    drpt_free(&plugin);
}

static void record_many(int count) {
    static float one[B], weight[1];
    omp_set_num_threads(1); // for a child, as above
    DrptOptions o = drpt_defaults;
    plugin = drpt_create(&o, 1, 1, 1, 1, 1, 0);
    drpt_begin(&plugin, 0, all_usable, NULL);
    for (int i = 0; i < count; i++) { drpt_site(&plugin, "one", weight, NULL, one, one, 1, 1); }
    drpt_project(&plugin, DRPT_GLOBAL);
    drpt_free(&plugin);
}

static void test_too_many_sites(void) {
    record_many(DRPT_MAX_SITES);
    expect_dies("layers", record_many(DRPT_MAX_SITES + 1));
}

// Target rows alone: no general row is needed where none is used.
static void test_target_without_general_rows(void) {
    float want[NUM_PARAMS] = {0};
    draw();
    single_rows();
    DrptOptions o = drpt_defaults;
    o.method = "target";
    plugin = drpt_create(&o, 0, B, T, H, 1, 0);
    step(0, NULL);
    for (int k = 0; k < NUM_PARAMS; k++) { for (int b = 0; b < B; b++) { want[k] += ((float*)&single[b])[k]; } }
    expect_close((float*)&got, want, NUM_PARAMS, 2e-6f);
    drpt_free(&plugin);
}

static void parse(const char* name, const char* value, DrptOptions* o) {
    char program[] = "train", option[64], text[64], *argv[3] = { program, option, text };
    OptionTable table = drpt_option_table(o);
    snprintf(option, sizeof(option), "--%s", name);
    snprintf(text, sizeof(text), "%s", value);
    options_parse(&table, 1, 3, argv, "");
}

static void test_options(void) {
    static const char* const wrong[][2] = { // value by value
        { "method", "median" }, { "method", "" }, { "method", "full|cone" }, { "group", "head" }, { "weigh", "words" }, { "keep", "1.5" },
        { "keep", "-0.1" }, { "keep", "nan" }, { "ridge", "-1" }, { "ridge", "inf" }, { "mix", "2" }, { "log-geometry", "2" },
        { "tau", "-1" }, { "radius", "-1" }, { "rescale", "long" }, { "metric", "sgd" },
        { "score", "fast" }, { "sketch", "0" }, { "rank", "0" }, { "sides", "up" }, { "refresh", "0" }, { "forget", "1.1" }, { "normalise", "2" },
    };
    DrptOptions o = drpt_defaults;
    expect(o.method == NULL && strcmp(o.group, "layer") == 0 && strcmp(o.weigh, "rows") == 0 && o.ridge == 0.0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) { expect_dies(wrong[i][0], parse(wrong[i][0], wrong[i][1], &o)); }
    for (int method = 0; method < NUM_SOLVED; method++) { parse("method", method_name[method], &o); }
    for (int group = 0; group < NUM_GROUPS; group++) { parse("group", group_name[group], &o); }
    parse("keep", "0.25", &o);
    parse("ridge", "1e-3", &o);
    parse("mix", "0.75", &o);
    expect(o.keep == 0.25 && o.ridge == 1e-3 && o.mix == 0.75);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "drpt/plain_is_the_gradient", test_plain_is_the_gradient },
        { "drpt/plain_is_the_sum_of_the_rows", test_plain_is_the_sum_of_the_rows },
        { "drpt/every_method_and_group", test_every_method_and_group },
        { "drpt/global_is_the_weighted_loss", test_global_is_the_weighted_loss },
        { "drpt/rows_that_are_pairs", test_rows_that_are_pairs },
        { "drpt/a_step_repeats_itself", test_a_step_repeats_itself },
        { "drpt/geometry", test_geometry },
        { "drpt/geometry_of_domains", test_geometry_of_domains },
        { "drpt/random_differs", test_random_differs },
        { "drpt/a_row_with_nan_is_dropped", test_a_row_with_nan_is_dropped },
        { "drpt/a_target_with_nan_gives_no_update", test_a_target_with_nan_gives_no_update },
        { "drpt/unusable_rows", test_unusable_rows },
        { "drpt/29_nothing_helps", test_29_nothing_helps },
        { "drpt/a_basis_drops_rows", test_a_basis_drops_rows },
        { "drpt/geometry_of_bases", test_geometry_of_bases },
        { "drpt/buffers_that_move_on_are_noticed", test_buffers_that_move_on_are_noticed },
        { "drpt/combinations_that_make_no_sense", test_combinations_that_make_no_sense },
        { "drpt/knobs_that_make_no_sense", test_knobs_that_make_no_sense },
        { "drpt/adams_metric_alone", test_adams_metric_alone },
        { "drpt/knobs", test_knobs },
        { "drpt/strength_auto", test_strength_auto },
        { "drpt/own_rows", test_own_rows },
        { "drpt/scores_only", test_scores_only },
        { "drpt/own_rows_that_make_no_sense", test_own_rows_that_make_no_sense },
        { "drpt/normalised_scores", test_normalised_scores },
        { "drpt/normalised_scores_of_some_rows", test_normalised_scores_of_some_rows },
        { "drpt/adams_metric", test_adams_metric },
        { "drpt/too_many_sites", test_too_many_sites },
        { "drpt/target_without_general_rows", test_target_without_general_rows },
        { "drpt/options", test_options },
    };
    omp_set_num_threads(1); // so many small passes are quicker alone; what depends on threads sets them
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
