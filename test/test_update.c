// test_update.c -- the keystone: the update direction of a whole run, as --dump-update writes it, against an oracle that takes the
// gradient of one row at a time from plain backward passes and does each method's mathematics by itself: full enumeration
// of supports for the cone, elimination for the span. It knows neither sites nor statistics nor solve.h.
#include "trainer.h"

#include <sys/mman.h>

enum { ROWS = 6, TARGETS = 3, T = 7, BLANK = 4 }; // BLANK: a general row of the file that has no trained token

static const char* const methods[] = { "full", "target", "mix", "random", "subset", "filter", "span", "cone" };
enum { FULL, TARGET, MIX, RANDOM, SUBSET, FILTER, SPAN, CONE, METHODS };
static const char* const groups[] = { "layer", "sublayer", "block", "global", "matrix" };
enum { MATRIX = 4, GROUPS };

// ---------------------------------------------------------------------------------------------
// Which parameters share an update.

enum { MAX_GROUPS = 64 };

// wte, wpe, ln1, qkv, attproj, ln2, fc, fcproj, lnf
static const int site_of[TENSOR_headw] = { 0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8 };
static const char* const site_names[] = { "wte", "wpe", "ln1", "qkv", "attproj", "ln2", "fc", "fcproj", "lnf", "q", "k", "v" };
enum { SITE_QKV = 3, SITE_Q = 9, NAMES = 12 };

static int group_id(int group, int site, int block) {
    static const int sublayer[] = { 0, 0, 1, 1, 1, 2, 2, 2, 3 }, whole[] = { 0, 0, 1, 1, 1, 1, 1, 1, 3 };
    if (group == 3) { return 0; }
    return block * 16 + (group == 0 || group == MATRIX ? site : group == 1 ? sublayer[site] : whole[site]);
}

// Calls body with the range [begin, end) of each tensor of each block, or of each third of it: the first of qkv's makes the queries.
#define EACH_RANGE(body) \
    for (int tensor_ = 0; tensor_ < TENSOR_headw; tensor_++) { \
        const Tensor* x_ = &run.model->tensor[tensor_]; \
        int site_ = site_of[tensor_], thirds_ = group == MATRIX && site_ == SITE_QKV ? 3 : 1; \
        size_t size_ = x_->rows * x_->cols / (size_t)thirds_; \
        for (size_t part_ = 0; part_ < x_->blocks * (size_t)thirds_; part_++) { \
            size_t begin = x_->begin + part_ * size_, end = begin + size_; \
            int third_ = (int)part_ % thirds_, id = group_id(group, thirds_ > 1 ? SITE_Q + third_ : site_, (int)part_ / thirds_); \
            body \
        } \
    }

// ---------------------------------------------------------------------------------------------
// The gradients, row by row.

static float* g[ROWS];                     // of general row i of the batch; a row without trained tokens has none (zero)
static double* t;                          // of the target rows together
static float* u;                           // what the trainer made of them
static int usable[ROWS];
static double K[MAX_GROUPS][ROWS][ROWS], s[MAX_GROUPS][ROWS], q[MAX_GROUPS];

static int tokens_trained(int row) {
    int count = 0;
    for (int k = 0; k < T; k++) { count += run.batch.mask[row * T + k]; }
    return count;
}

// to = the gradient of one row of the batch whose trained tokens weigh `each`.
static void row_gradient(float* to, int row, double each) {
    Drpt plain = drpt_create(&drpt_defaults, 1, 0, T, 4 * gpt2_config(run.model)->channels, 1, 1);
    float weight[T];
    unsigned char one = 1;
    size_t size = sizeof(float) * run.model->num_params;
    for (int k = 0; k < T; k++) { weight[k] = run.batch.mask[row * T + k] ? (float)each : 0.0f; }
    memset(run.model->grads, 0, size);
    drpt_begin(&plain, 0, &one, NULL);
    gpt2_forward(run.model, run.batch.inputs + row * T, 1, T);
    gpt2_backward(run.model, run.batch.inputs + row * T, run.batch.targets + row * T, weight, NULL, &plain, 1, T);
    memcpy(to, run.model->grads, size);
    memset(run.model->grads, 0, size);
    drpt_free(&plain);
}

// The rows stand in the batch as micro-batches of `n` general and `m` target rows; row i of all those of a kind.
static int general_at(int i) { int n = run.batch.n; return i / n * (n + run.batch.m) + i % n; }
static int target_at(int j) { int m = run.batch.m; return j / m * (run.batch.n + m) + run.batch.n + j % m; }

static void take_gradients(int by_tokens) {
    double rows = 0.0, tokens = 0.0, target_tokens = 0.0;
    float* one = malloc(sizeof(float) * run.model->num_params);
    check(one != NULL, "out of memory");
    for (int i = 0; i < ROWS; i++) {
        usable[i] = tokens_trained(general_at(i)) > 0;
        rows += usable[i];
        tokens += tokens_trained(general_at(i));
    }
    for (int j = 0; run.batch.m > 0 && j < TARGETS; j++) { target_tokens += tokens_trained(target_at(j)); }
    for (int i = 0; i < ROWS; i++) {
        int count = tokens_trained(general_at(i));
        row_gradient(g[i], general_at(i), by_tokens ? rows / tokens : count > 0 ? 1.0 / count : 0.0);
    }
    memset(t, 0, sizeof(double) * run.model->num_params);
    for (int j = 0; run.batch.m > 0 && j < TARGETS; j++) {
        row_gradient(one, target_at(j), by_tokens ? 1.0 / target_tokens : 1.0 / tokens_trained(target_at(j)) / TARGETS);
        for (size_t k = 0; k < run.model->num_params; k++) { t[k] += one[k]; }
    }
    free(one);
}

static void take_products(int group) {
    memset(K, 0, sizeof(K));
    memset(s, 0, sizeof(s));
    memset(q, 0, sizeof(q));
    EACH_RANGE(
        for (size_t k = begin; k < end; k++) {
            q[id] += t[k] * t[k];
            for (int i = 0; i < ROWS; i++) {
                s[id][i] += g[i][k] * t[k];
                for (int j = 0; j < ROWS; j++) { K[id][i][j] += (double)g[i][k] * g[j][k]; }
            }
        }
    )
}

// ---------------------------------------------------------------------------------------------
// The methods. support: the rows that may have a weight, one bit each.

static int has(int support, int i) { return support >> i & 1; }

static int all_usable(void) {
    int support = 0;
    for (int i = 0; i < ROWS; i++) { support |= usable[i] << i; }
    return support;
}

static int members(int support) { return __builtin_popcount((unsigned)support); }

// alpha solves (K + mu) alpha = s on the support: Gauss and Jordan, the largest pivot first. Returns 0 if it is singular.
static int eliminate(double alpha[ROWS], int id, int support, double mu) {
    double A[ROWS][ROWS + 1];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < ROWS; j++) { A[i][j] = has(support, i) && has(support, j) ? K[id][i][j] + (i == j) * mu : i == j; }
        A[i][ROWS] = has(support, i) ? s[id][i] : 0.0;
    }
    for (int k = 0; k < ROWS; k++) {
        int pivot = k;
        for (int i = k + 1; i < ROWS; i++) { if (fabs(A[i][k]) > fabs(A[pivot][k])) { pivot = i; } }
        if (A[pivot][k] == 0.0) { return 0; }
        for (int j = 0; j <= ROWS; j++) { double x = A[k][j]; A[k][j] = A[pivot][j]; A[pivot][j] = x; }
        for (int i = 0; i < ROWS; i++) {
            double factor = i == k ? 0.0 : A[i][k] / A[k][k];
            for (int j = k; j <= ROWS; j++) { A[i][j] -= factor * A[k][j]; }
        }
    }
    for (int i = 0; i < ROWS; i++) { alpha[i] = A[i][ROWS] / A[i][i]; }
    return 1;
}

static double ridge_of(int id, double ridge) {
    double trace = 0.0;
    for (int i = 0; i < ROWS; i++) { trace += usable[i] ? K[id][i][i] : 0.0; }
    return ridge * trace / members(all_usable());
}

// Of all supports whose free solution is not negative, the one with the best objective.
static void enumerate_cone(double alpha[ROWS], int id, double mu) {
    double best = 0.0;
    for (int support = 1; support < 1 << ROWS; support++) {
        double x[ROWS], objective = 0.0;
        int feasible = (support & ~all_usable()) == 0 && eliminate(x, id, support, mu);
        for (int i = 0; feasible && i < ROWS; i++) {
            feasible = x[i] >= 0.0;
            objective += x[i] * s[id][i] - 0.5 * mu * x[i] * x[i];
            for (int j = 0; j < ROWS; j++) { objective -= 0.5 * x[i] * x[j] * K[id][i][j]; }
        }
        if (feasible && objective > best) { best = objective; memcpy(alpha, x, sizeof(x)); }
    }
}

// The k usable rows that have fewer than k better ones; equal scores are better in front.
static void choose_best(double alpha[ROWS], int id, int k) {
    for (int i = 0; i < ROWS; i++) {
        int better = 0;
        for (int j = 0; j < ROWS; j++) { better += usable[j] && (s[id][j] > s[id][i] || (s[id][j] == s[id][i] && j < i)); }
        alpha[i] = usable[i] && better < k ? 1.0 / k : 0.0;
    }
}

static void choose(double alpha[ROWS], int support) {
    for (int i = 0; i < ROWS; i++) { alpha[i] = has(support, i) ? 1.0 / members(support) : 0.0; }
}

static void solve_oracle(double alpha[ROWS], double* beta, int method, int id, const DrptOptions* o) {
    int rows = members(all_usable()), agree = 0, k = (int)(o->keep * rows);
    memset(alpha, 0, sizeof(double) * ROWS);
    *beta = method == TARGET ? 1.0 : method == MIX ? o->mix : 0.0;
    for (int i = 0; i < ROWS; i++) { agree |= (usable[i] && s[id][i] >= 0.0) << i; }
    switch (method) {
        case FULL:   choose(alpha, all_usable()); break;
        case MIX:    choose(alpha, all_usable()); for (int i = 0; i < ROWS; i++) { alpha[i] *= 1.0 - o->mix; } break;
        case SUBSET: choose_best(alpha, id, k > 0 ? k : 1); break;
        case FILTER: if (agree) { choose(alpha, agree); } break;
        case SPAN:   expect(eliminate(alpha, id, all_usable(), ridge_of(id, o->ridge))); break;
        case CONE:   enumerate_cone(alpha, id, ridge_of(id, o->ridge)); break;
        default:     break;
    }
}

// ---------------------------------------------------------------------------------------------
// The comparison.

// Worst error of a group's update, in units of its largest entry.
static double group_error(int group, int of, const double alpha[ROWS], double beta) {
    double worst = 0.0, scale = 0.0;
    EACH_RANGE(
        for (size_t k = begin; id == of && k < end; k++) {
            double want = beta * t[k];
            for (int i = 0; i < ROWS; i++) { want += alpha[i] * g[i][k]; }
            if (!(fabs(u[k] - want) <= worst)) { worst = fabs(u[k] - want); } // a NaN stays
            scale = fmax(scale, fabs(want));
        }
    )
    return worst == 0.0 ? 0.0 : worst / scale;
}

static double oracle_alpha[MAX_GROUPS][ROWS], oracle_beta[MAX_GROUPS];

// A random choice is not known to the oracle: some choice of k rows must have been made.
static double find_choice(int group, int id, const DrptOptions* o) {
    double best = INFINITY;
    int k = (int)(o->keep * members(all_usable()));
    for (int support = 1; support < 1 << ROWS; support++) {
        double alpha[ROWS];
        if (members(support) != k || (support & ~all_usable())) { continue; }
        choose(alpha, support);
        double error = group_error(group, id, alpha, 0.0);
        if (error < best) { best = error; memcpy(oracle_alpha[id], alpha, sizeof(alpha)); }
    }
    return best;
}

static void expect_update(int method, int group, const char* what) {
    int seen[MAX_GROUPS] = {0};
    EACH_RANGE(
        double error;
        (void)begin;
        (void)end;
        if (seen[id]++) { continue; }
        solve_oracle(oracle_alpha[id], &oracle_beta[id], method, id, &run.options);
        if (method == RANDOM) { error = find_choice(group, id, &run.options); }
        else { error = group_error(group, id, oracle_alpha[id], oracle_beta[id]); }
        if (!(error <= 1e-5)) {
            fprintf(stderr, "%s: %s, group %s %d: the update is off by %.1e\n", __FILE__, what, groups[group], id, error);
            test_failures++;
        }
    )
}

// ---------------------------------------------------------------------------------------------
// Runs of one step that changes nothing (--lr 0).

static void blank_row(Dataset* data, size_t row) {
    DataFile* f = &data->file[0];
    unsigned char* map = (unsigned char*)(uintptr_t)f->map; // mapped for this process alone
    expect(mprotect(map, f->bytes, PROT_READ | PROT_WRITE) == 0);
    memset(map + 4 * HEADER_INTS + f->rows * (data->T + 1) * sizeof(uint16_t) + row * data->T, 0, data->T);
}

static void read_dump(void) {
    ModelFile f = model_open(scratch("update.bin"));
    expect(memcmp(&f.config, &run.model->config, sizeof(f.config)) == 0);
    model_read(&f, u, run.model->num_params);
}

// m = 0: without target rows.
static void run_step(const char* options, int n, int m, int by_tokens, int blank) {
    run_begin("--init %s --general %s --target-batch %d %s %s --batch %d --steps 1 --lr 0 --clip 1e-3 --seed 9"
              " --weigh %s --dump-update %s %s",
              scratch("model.bin"), scratch("general.bin"), m > 0 ? m : 1, m > 0 ? "--target" : "", m > 0 ? scratch("target.bin") : "",
              n, by_tokens ? "tokens" : "rows", scratch("update.bin"), options);
    if (blank) { blank_row(&run.general, BLANK); }
    run_train();
    read_dump();
    take_gradients(by_tokens);
}

static void test_every_method(void) {
    for (int method = 0; method < METHODS; method++) {
        for (int group = 0; group < GROUPS; group++) {
            for (int variant = 0; variant < 4; variant++) {
                char options[256];
                omp_set_num_threads(variant == 3 ? 2 : 1);
                snprintf(options, sizeof(options), "--method %s --group %s --keep %g --mix 0.3 --ridge %g", methods[method], groups[group],
                         variant < 2 ? 0.5 : 0.2, variant < 2 ? 0.0 : 0.1);
                run_step(options, ROWS, TARGETS, variant % 2, variant > 0);
                take_products(group);
                expect_update(method, group, options);
                run_close(&run);
            }
        }
    }
}

// Without target rows, and in micro-batches of whatever size.
static void test_plain_and_accumulated(void) {
    omp_set_num_threads(2);
    static const struct { int n, m; const char* options; int method; } cases[] = {
        { 6, 0, "", FULL },
        { 2, 0, "--accumulate 3", FULL },
        { 1, 0, "--accumulate 6", FULL }, // one of them has no trained token
        { 3, 0, "--accumulate 2", FULL },
        { 2, 1, "--accumulate 3 --method full", FULL },
        { 2, 1, "--accumulate 3 --method full --group global", FULL },
        { 2, 1, "--accumulate 3 --method target", TARGET },
        { 2, 1, "--accumulate 3 --method target --group block", TARGET },
    };
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        run_step(cases[i / 2].options, cases[i / 2].n, cases[i / 2].m, i % 2, 1);
        take_products(3);
        expect_update(cases[i / 2].method, 3, cases[i / 2].options);
        run_close(&run);
    }
}

// Micro-batches with a target make one feasible set: the update is that of one batch of all rows, bit for bit where
// no block is computed again in another way.
static void test_accumulated_methods(void) {
    omp_set_num_threads(2);
    for (int method = 0; method < METHODS; method++) {
        for (int group = 0; group < GROUPS; group++) {
            char options[256];
            snprintf(options, sizeof(options), "--method %s --group %s --mix 0.3 --ridge 0.1 --accumulate 3", methods[method], groups[group]);
            run_step(options, ROWS / 3, TARGETS / 3, method % 2, 1);
            take_products(group);
            expect_update(method, group, options);
            run_close(&run);
        }
    }
}

// Activations that are computed again are the same ones.
static void test_recompute(void) {
    static const char* const options[] = { "--method cone", "--method cone --recompute 1", "--method cone --group block", "--method cone --group block --recompute 1" };
    size_t size = 0;
    float* kept = NULL;
    for (int i = 0; i < 4; i++) {
        run_step(options[i], ROWS, TARGETS, 0, 1);
        size = sizeof(float) * run.model->num_params;
        if (!kept) { kept = malloc(size); check(kept != NULL, "out of memory"); }
        if (i % 2 == 0) { memcpy(kept, u, size); } else { expect(memcmp(kept, u, size) == 0); }
        run_close(&run);
    }
    free(kept);
    expect_dies("--recompute", run_step("--method cone --group global --recompute 1", ROWS, TARGETS, 0, 0));
}

// ---------------------------------------------------------------------------------------------
// What a step says of itself.

// Field `index` of the last but `from_end` line of a file in the run's folder; NAN if it is empty.
static double last_field(const char* name, int index, int from_end) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", scratch("run"), name);
    char* text = input_text(path);
    char* at = text + strlen(text) - 1;
    for (int i = 0; i <= from_end; i++) { for (*at = '\0'; at > text && at[-1] != '\n'; at--) { } at--; }
    for (at++; index > 0; index--) { at = strchr(at, ',') + 1; }
    double value = *at == ',' || *at == '\0' ? NAN : strtod(at, NULL);
    free(text);
    return value;
}

static int near(double got, double want, double scale) {
    if (fabs(got - want) <= 2e-5 * scale) { return 1; }
    fprintf(stderr, "    %.9g, not %.9g\n", got, want);
    return 0;
}

// Of the whole update, from the oracle's gradients.
static void expect_log(void) {
    double uu = 0.0, ut = 0.0, tt = 0.0;
    for (size_t k = 0; k < run.model->num_params; k++) {
        uu += (double)u[k] * u[k];
        ut += u[k] * t[k];
        tt += t[k] * t[k];
    }
    expect(near(last_field("log.csv", 6, 1), sqrt(uu), sqrt(uu)));
    expect(near(last_field("log.csv", 7, 1), uu > 0.0 ? ut / sqrt(uu * tt) : 0.0, 1.0));
    expect(near(last_field("log.csv", 8, 1), sqrt(uu / tt), sqrt(uu / tt)));
}

// The group that a row of geometry.csv is about, by the name of its first site.
static int named_group(int group, const char* name) {
    int block = 0;
    if (name[0] == 'h') { block = (int)strtol(name + 1, NULL, 10); name = strchr(name, '.') + 1; }
    for (int site = 0; site < NAMES; site++) {
        size_t n = strlen(site_names[site]);
        if (strncmp(name, site_names[site], n) == 0 && (name[n] == '.' || name[n] == ',')) { return group_id(group, site, block); }
    }
    fprintf(stderr, "    no group is named %s\n", name);
    test_failures++;
    return 0;
}

static double norm2_of(int id) {
    double sum = oracle_beta[id] * oracle_beta[id] * q[id];
    for (int i = 0; i < ROWS; i++) {
        sum += 2.0 * oracle_beta[id] * oracle_alpha[id][i] * s[id][i];
        for (int j = 0; j < ROWS; j++) { sum += oracle_alpha[id][i] * oracle_alpha[id][j] * K[id][i][j]; }
    }
    return sum;
}

static void expect_geometry_row(const char* line, int group, double* sum_uu) {
    enum { SCORES = 10 };
    double field[SCORES + 2 * ROWS];
    const char* at = strchr(line, ',') + 1;
    int id = named_group(group, at);
    for (int i = 0; i < SCORES + 2 * ROWS; i++) { at = strchr(at, ',') + 1; field[i] = *at == ',' ? NAN : strtod(at, NULL); }
    double uu = norm2_of(id), ut = oracle_beta[id] * q[id], largest = 0.0;
    for (int i = 0; i < ROWS; i++) {
        ut += oracle_alpha[id][i] * s[id][i];
        largest = fmax(largest, fabs(oracle_alpha[id][i]));
    }
    expect(near(field[0], oracle_beta[id], 1.0));
    expect(near(field[1], uu > 0.0 ? ut / sqrt(uu * q[id]) : 0.0, 1.0));
    expect(near(field[2], sqrt(uu / q[id]), 1.0));
    expect(field[3] == 0.0 && field[4] == (uu == 0.0));
    for (int i = 0; i < ROWS; i++) {
        expect(near(field[SCORES + i], s[id][i], sqrt(K[id][i][i] * q[id])));
        expect(near(field[SCORES + ROWS + i], oracle_alpha[id][i], 5.0 * largest));
    }
    *sum_uu += field[2] * field[2] * q[id];
}

static void expect_geometry(int group) {
    char path[512];
    int seen[MAX_GROUPS] = {0}, groups_expected = 0, rows = -1;
    double sum_uu = 0.0, sum_q = 0.0;
    EACH_RANGE((void)begin; (void)end; groups_expected += seen[id]++ == 0;)
    for (int id = 0; id < MAX_GROUPS; id++) { sum_q += q[id]; }
    snprintf(path, sizeof(path), "%s/geometry.csv", scratch("run"));
    char* text = input_text(path);
    for (char *line = text, *next; *line; line = next) {
        next = strchr(line, '\n') + 1;
        if (rows++ >= 0) { expect_geometry_row(line, group, &sum_uu); }
    }
    expect(rows == groups_expected);
    expect(near(last_field("log.csv", 8, 1), sqrt(sum_uu / sum_q), 1.0)); // the groups add up to the step
    free(text);
}

static void test_logs(void) {
    omp_set_num_threads(1);
    for (int method = 0; method < METHODS; method++) {
        for (int group = 0; group < GROUPS; group++) {
            char options[512];
            snprintf(options, sizeof(options), "--method %s --group %s --ridge 0.1 --log-geometry 1 --out %s",
                     methods[method], groups[group], scratch("run"));
            run_step(options, ROWS, TARGETS, group % 2, 1);
            take_products(group);
            expect_update(method, group, options);
            fflush(run.drpt.geometry);
            expect_log();
            expect_geometry(group);
            run_close(&run);
        }
    }
}

// ---------------------------------------------------------------------------------------------

static void prepare(void) {
    GPT2* model = gpt2_create("L2,H3,C12,V17,T8", 1, 0, 0);
    fill_params(model, 0.4f);
    model_write(scratch("model.bin"), &model->config, MODEL_FP32, model->params, model->num_params);
    for (int i = 0; i < ROWS; i++) { g[i] = malloc(sizeof(float) * model->num_params); check(g[i] != NULL, "out of memory"); }
    t = malloc(sizeof(double) * model->num_params);
    u = malloc(sizeof(float) * model->num_params);
    check(t && u, "out of memory");
    write_examples(scratch("general.bin"), ROWS, T, 17);
    write_examples(scratch("target.bin"), TARGETS, T, 17);
    gpt2_free(model);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "every_method", test_every_method },
        { "plain_and_accumulated", test_plain_and_accumulated },
        { "accumulated_methods", test_accumulated_methods },
        { "recompute", test_recompute },
        { "logs", test_logs },
    };
    prepare();
    int status = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    for (int i = 0; i < ROWS; i++) { free(g[i]); }
    free(t);
    free(u);
    return status;
}
