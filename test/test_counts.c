// test_counts.c -- how many multiply-adds the matrix products of a step take, counted where they are done: of each way to the inner
// products, and of steps with and without a target. The linker puts the functions below before those of llmc/matmul.c (Makefile).
#include "../drpt/assemble.h"
#include "../drpt/gather.h"
#include "../drpt/sketch.h"
#include "trainer.h"

static double products; // multiply-adds

static void count(int N, int C, int OC) {
    #pragma omp atomic
    products += (double)N * C * OC;
}

void __real_matmul_forward(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC);
void __wrap_matmul_forward(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC);
void __wrap_matmul_forward(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    count(N, C, OC);
    __real_matmul_forward(out, inp, weight, bias, N, C, OC);
}

void __real_matmul_backward_input(float* dinp, const float* dout, const float* weight, int N, int C, int OC);
void __wrap_matmul_backward_input(float* dinp, const float* dout, const float* weight, int N, int C, int OC);
void __wrap_matmul_backward_input(float* dinp, const float* dout, const float* weight, int N, int C, int OC) {
    count(N, C, OC);
    __real_matmul_backward_input(dinp, dout, weight, N, C, OC);
}

void __real_matmul_backward_params(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC);
void __wrap_matmul_backward_params(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC);
void __wrap_matmul_backward_params(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC) {
    count(N, C, OC);
    __real_matmul_backward_params(dweight, dbias, dout, inp, N, C, OC);
}

// ---------------------------------------------------------------------------------------------
// The ways to the inner products.

enum { n = 5, m = 2, T = 30, I = 70, O = 150, k = 6, N = (n + m) * T };

static float dout[N * O], inp[N * I], dweight[O * I], dbias[O];

// Of the inner products of a linear site; the update from kept gradients takes none, so that it may be asked for as well.
static double count_gather(Route route, int needs, int threads, int keep) {
    Site s = { .kind = SITE_LINEAR, .name = "linear", .dweight = dweight, .dbias = dbias, .dout = dout, .inp = inp,
               .rows = O, .cols = I, .stride = O, .parts = 1 };
    size_t part = gather_scratch(n, m, T, I), kept = (n + 1) * site_size(&s);
    SketchStore* sketches = route == ROUTE_sketch ? sketch_create(k, n, m, T, 1) : NULL;
    double K[n * n], scores[n], q = 0.0;
    float weight[n + m] = { 0.3f, 0.0f, 0.7f, 1.0f };
    Statistics st = { .K = K, .s = scores, .q = &q, .score = scores, .partial = malloc(sizeof(double) * gather_partial(n, m, threads)) };
    Gather g = { .n = n, .m = m, .T = T, .threads = threads, .needs = needs, .route = route, .sketches = sketches, .part = part,
                 .keep_gradients = keep, .kept_size = keep ? kept : 0 };
    g.scratch = malloc(sizeof(float) * part * (size_t)threads);
    g.kept = malloc(sizeof(float) * kept);
    check(st.partial && g.scratch && g.kept, "out of memory");
    products = 0.0;
    Gathered done = drpt_gather(&st, &s, &g);
    expect(done.route == route && done.kept == keep);
    if (keep) { drpt_assemble_kept(&s, weight, g.kept, n, threads); }
    free(st.partial);
    free(g.scratch);
    free(g.kept);
    sketch_free(sketches);
    return products;
}

static void test_56_ways_to_inner_products(void) {
    uint64_t rng = 1;
    test_fill(dout, N * O, &rng);
    test_fill(inp, N * I, &rng);
    for (int threads = 1; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        for (int keep = 0; keep < 2; keep++) { // each gradient once, however many products are formed of them
            expect(count_gather(ROUTE_direct, NEEDS_S, threads, keep) == (double)N * O * I);
            expect(count_gather(ROUTE_direct, NEEDS_S | NEEDS_K, threads, keep) == (double)N * O * I);
        }
        expect(count_gather(ROUTE_direct, NEEDS_Q, threads, 0) == (double)m * T * O * I);
        expect(count_gather(ROUTE_tokens, NEEDS_S, threads, 0) == (double)N * O * I); // t, and a forward of the general rows through it
        expect(count_gather(ROUTE_sketch, NEEDS_S | NEEDS_K, threads, 0) == (double)N * k * (O + I + k));
        expect(count_gather(ROUTE_pairs, NEEDS_S, threads, 0) == (double)N * m * T * (O + I)); // q's pairs among them
        double all = count_gather(ROUTE_pairs, NEEDS_S | NEEDS_K, threads, 0), half = 0.5 * N * (N + 1) * (O + I);
        expect(all >= half && all < 1.5 * half); // K is symmetric; blocks on its diagonal are whole
    }
}

// ---------------------------------------------------------------------------------------------
// Whole steps.

static double count_step(const char* options) {
    StepRow row;
    run_begin("--init %s --general %s --batch %d --target-batch %d --steps 3 --seed 9 %s", scratch("model.bin"), scratch("general.bin"), n, m, options);
    products = 0.0;
    compute_update(&run, 0, &row); end_update(&run, &row);
    double first = products;
    if (run.drpt.basis) { products = 0.0; compute_update(&run, 1, &row); end_update(&run, &row); first = products; } // between two refreshes
    run_close(&run);
    return first;
}

// P: weights of the products of a position. Forward, backward of the activations, and of the weights.
static void test_56_steps(void) {
    enum { L = 2, C = 24, V = 17 };
    const double P = 12.0 * L * C * C + V * C, general = (double)n * T, rows = (double)N;
    char options[1024], target[512];
    snprintf(target, sizeof(target), "%s", scratch("target.bin"));
    omp_set_num_threads(2);
    expect(count_step("") == 3 * general * P);
    for (int i = 0; i < 2; i++) { // scores are formed of gradients that the update is read from
        snprintf(options, sizeof(options), "--target %s --method %s --score direct", target, i ? "cone --ridge 0.1" : "full");
        expect(count_step(options) == 3 * rows * P);
    }
    snprintf(options, sizeof(options), "--target %s --method subset --keep 0.4 --score tokens", target);
    expect(count_step(options) == (2 * rows + rows + 2 * T) * P); // the update is formed from the two rows that are kept
    snprintf(options, sizeof(options), "--target %s --method full --group block --score direct", target);
    expect(count_step(options) == (2 * rows + rows + general) * P); // where a group has several sites nothing is kept
    snprintf(options, sizeof(options), "--target %s --method subset --keep 0.4 --score tokens --recompute 1", target);
    expect(count_step(options) == (3 * rows + 2 * T) * P + rows * (L - 1) * 8.0 * C * C); // but for fcproj the last block's stands
    snprintf(options, sizeof(options), "--target %s --method inside --rank 3 --refresh 5", target);
    expect(count_step(options) < 3 * m * T * P); // less than training on the target rows alone
}

// Where no token is trained on, the classifier's products are left out: in a step that learns scores, in a reward model that gives them, and
// in what values the states of a round have.
static void test_56_without_the_classifier(void) {
    enum { L = 2, C = 24, V = 17 };
    const double hidden = 12.0 * L * C * C, P = hidden + V * C;
    StepRow row;
    omp_set_num_threads(2);
    run_begin("--init %s --general %s --objective reward --batch %d --steps 3 --seed 9", scratch("model.bin"), scratch("pairs.bin"), n);
    products = 0.0;
    compute_update(&run, 0, &row); end_update(&run, &row);
    expect(run.T == T && products == 3 * 2 * n * T * hidden);
    run_close(&run);
    run_begin("--init %s --general %s --objective ppo --reward-model %s --max-new 4 --batch %d --steps 3 --seed 9", scratch("model.bin"), scratch("prompts.bin"),
              scratch("judge.bin"), n);
    double positions = (double)n * run.T;
    products = 0.0;
    quiet_begin("/dev/null");
    round_update(&run, 0, &row); end_update(&run, &row);
    quiet_end();
    expect(products == positions * (2 * hidden + 3 * P));
    run_close(&run);
}

static void write_rows(const char* path, ExamplesKind kind) {
    enum { ROWS = 2 * n, LENGTH = T - 1 };
    uint16_t tokens[ROWS * (LENGTH + 1)];
    unsigned char mask[ROWS * LENGTH];
    for (int i = 0; i < ROWS * (LENGTH + 1); i++) { tokens[i] = (uint16_t)test_below(17); }
    for (int i = 0; i < ROWS * LENGTH; i++) { mask[i] = i % LENGTH > 12; }
    examples_write(path, tokens, mask, ROWS, LENGTH, 17, kind, TOKENIZER_NONE);
}

static void prepare(void) {
    for (int with_head = 0; with_head < 2; with_head++) {
        GPT2* model = gpt2_create("L2,H2,C24,V17,T30", 1, 0, with_head);
        fill_params(model, 0.4f);
        model_write(scratch(with_head ? "judge.bin" : "model.bin"), &model->config, MODEL_FP32, model->params, model->num_params);
        gpt2_free(model);
    }
    write_examples(scratch("general.bin"), n, T, 17);
    write_examples(scratch("target.bin"), m, T, 17);
    write_rows(scratch("pairs.bin"), KIND_PAIRS);
    write_rows(scratch("prompts.bin"), KIND_PROMPTS);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "56_ways_to_inner_products", test_56_ways_to_inner_products },
        { "56_steps", test_56_steps },
        { "56_without_the_classifier", test_56_without_the_classifier },
    };
    prepare();
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
