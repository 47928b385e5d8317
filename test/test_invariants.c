// test_invariants.c -- what must hold of a whole training step, for every method with every group: the invariants of dev/doc/invariants.md
// that its other tests do not show in passing. A number in a name is a row of that page.
//
// No oracle here: a step is compared with another one that has to give the same update, by another way.
#include "trainer.h"
#include "../drpt/probe.h"

#include <sys/mman.h>

enum { GENERAL = 6, TARGETS = 3, EXAMPLES = GENERAL + TARGETS, T = 7, WIDER = 11, V = 17 };

#define NAME(name, ...) #name,
static const char* const methods[] = { DRPT_METHODS(NAME) };
static const char* const groups[] = { "matrix", "layer", "sublayer", "block", "global" };
enum { NUM_GROUPS = DRPT_GLOBAL + 1, NUM_SOLVED = METHOD_inside };

// A basis belongs to one matrix.
#define EACH_METHOD_AND_GROUP(method, group) \
    for (int method = 0; method < NUM_METHODS; method++) \
        for (int group = 0; group < (method < NUM_SOLVED ? NUM_GROUPS : DRPT_LAYER + 1); group++)

static const char* const knobs = "--mix 0.3 --ridge 0.1 --rank 4"; // --keep 0.5

// ---------------------------------------------------------------------------------------------
// Data: examples 0..5 are general, 6..8 the target. Its files hold some of them each.

static uint16_t tokens[EXAMPLES][T + 1];
static unsigned char mask[EXAMPLES][T];

// Examples whose numbers are the digits of `rows`, padded to `width` with tokens that are not trained on.
static void write_rows(const char* name, const char* rows, int width) {
    uint16_t text[2 * EXAMPLES * (WIDER + 1)];
    unsigned char trained[2 * EXAMPLES * WIDER];
    int count = (int)strlen(rows);
    for (int i = 0; i < count; i++) {
        int row = rows[i] - '0';
        for (int k = 0; k <= width; k++) { text[i * (width + 1) + k] = k <= T ? tokens[row][k] : (uint16_t)(1 + k % 5); }
        for (int k = 0; k < width; k++) { trained[i * width + k] = k < T ? mask[row][k] : 0; }
    }
    examples_write(scratch(name), text, trained, (size_t)count, (size_t)width, V, KIND_EXAMPLES, TOKENIZER_NONE);
}

// The example that stands in row `row` of the batch.
static int example_at(int row) {
    for (int e = 0; e < EXAMPLES; e++) {
        int same = 0;
        for (int k = 0; k < T; k++) { same += run.batch.inputs[row * run.T + k] == tokens[e][k] && run.batch.mask[row * run.T + k] == mask[e][k]; }
        if (same == T) { return e; }
    }
    return -1;
}

static int tokens_trained(int example) {
    int count = 0;
    for (int k = 0; k < T; k++) { count += mask[example][k]; }
    return count;
}

// ---------------------------------------------------------------------------------------------
// Steps. After one the gradients hold the update, and the run can be looked at until run_close(&run).

static float* kept; // an update
static StepRow row;

static void update(int step) {
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    compute_update(&run, step, &row); end_update(&run, &row);
}

// The first of a run with these files; without target rows, target NULL.
static void first_step(const char* general, const char* target, int batch, int target_batch, const char* options) {
    run_begin("--init %s --general %s %s %s --batch %d --target-batch %d --steps 4 --seed 9 %s %s", scratch("model.bin"), scratch(general),
              target ? "--target" : "", target ? scratch(target) : "", batch, target_batch, knobs, options);
    update(0);
}

static void step_of(int method, int group, const char* more) {
    char options[256];
    snprintf(options, sizeof(options), "--method %s --group %s %s", methods[method], groups[group], more);
    first_step("general_*.bin", "target.bin", GENERAL, TARGETS, options);
}

static void keep_update(void) { memcpy(kept, run.model->grads, sizeof(float) * run.model->num_params); }
static int is_kept(void) { return memcmp(kept, run.model->grads, sizeof(float) * run.model->num_params) == 0; }
static int is_zero(void) {
    for (size_t k = 0; k < run.model->num_params; k++) { if (run.model->grads[k] != 0.0f) { return 0; } } // so phrased that a NaN is none
    return 1;
}

// The update is the kept one times `scale`, each tensor of each block in units of its own largest entry.
static void expect_near_kept(double scale, float tolerance) {
    int before = test_failures;
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* x = &run.model->tensor[i];
        size_t size = x->rows * x->cols;
        for (size_t b = 0; b < x->blocks; b++) {
            float* want = kept + x->begin + b * size;
            for (size_t k = 0; k < size; k++) { want[k] = (float)(scale * want[k]); }
            expect_close(run.model->grads + x->begin + b * size, want, size, tolerance);
        }
    }
    if (test_failures > before) { fprintf(stderr, "    --method %s --group %s\n", methods[run.drpt.method], groups[run.drpt.group]); }
}

// A plain pass over the batch of the run with its rows' losses times weight[]: the gradients of all parameters, and of all activations.
static void plain_pass(const float* weight) {
    Batch* b = &run.batch;
    int rows = b->n + b->m;
    Drpt plain = drpt_create(&drpt_defaults, rows, 0, run.T, 4 * gpt2_config(run.model)->channels, 1, 1);
    for (int i = 0; weight && i < rows * run.T; i++) { b->weight[i] *= weight[i / run.T]; }
    memset(run.model->grads, 0, sizeof(float) * run.model->num_params);
    drpt_begin(&plain, 0, b->usable, NULL);
    gpt2_forward(run.model, b->inputs, rows, run.T);
    gpt2_backward(run.model, b->inputs, b->targets, b->weight, NULL, &plain, rows, run.T);
    drpt_free(&plain);
}

// ---------------------------------------------------------------------------------------------
// The rows of a step.

// Rows in other places of the files get the same weights, and make the same update.
static void test_21_order_of_the_rows(void) {
    EACH_METHOD_AND_GROUP(method, group) {
        char options[256];
        double alpha[EXAMPLES] = {0}, largest = 0.0;
        int has_alpha = method < NUM_SOLVED;
        if (method == METHOD_random) { continue; }
        snprintf(options, sizeof(options), "--method %s --group %s", methods[method], groups[group]);
        first_step("general.bin", "target.bin", GENERAL, TARGETS, options);
        keep_update();
        for (int i = 0; has_alpha && i < GENERAL; i++) {
            alpha[example_at(i)] = run.drpt.alpha[i];
            largest = fmax(largest, fabs(run.drpt.alpha[i]));
        }
        run_close(&run);
        first_step("shuffled.bin", "target_shuffled.bin", GENERAL, TARGETS, options);
        expect_near_kept(1.0, 2e-5f);
        for (int i = 0; has_alpha && i < GENERAL; i++) { expect(fabs(run.drpt.alpha[i] - alpha[example_at(i)]) <= 2e-5 * largest); }
        run_close(&run);
    }
}

// Places behind the last trained token, whatever stands there, are no part of anything.
static void test_22_padding(void) {
    EACH_METHOD_AND_GROUP(method, group) {
        char options[256];
        snprintf(options, sizeof(options), "--method %s --group %s --weigh %s", methods[method], groups[group], group % 2 ? "tokens" : "rows");
        first_step("general.bin", "target.bin", GENERAL, TARGETS, options);
        keep_update();
        run_close(&run);
        first_step("padded_general.bin", "padded_target.bin", GENERAL, TARGETS, options);
        expect(run.T == WIDER);
        expect_near_kept(1.0, 2e-5f);
        run_close(&run);
        first_step("general.bin", "padded_target.bin", GENERAL, TARGETS, options); // the shorter are padded by the trainer
        expect_near_kept(1.0, 2e-5f);
        run_close(&run);
    }
}

// General and target rows are drawn in orders of their own; what is drawn second is not what was drawn first.
static void test_order_of_drawing(void) {
    int same = 0;
    first_step("general.bin", "general.bin", GENERAL, GENERAL, "");
    for (int i = 0; i < GENERAL; i++) { same += example_at(i) == example_at(GENERAL + i); }
    expect(same < GENERAL);
    run_close(&run);
}

// Several files are several domains, and a row's domain is the file that it stands in.
static void test_domains(void) {
    for (int method = METHOD_gem; method <= METHOD_cagrad; method++) {
        step_of(method, DRPT_GLOBAL, "");
        expect(run.drpt.rows.domains == 2);
        for (int i = 0; i < GENERAL; i++) { expect(run.batch.domain[i] == (example_at(i) >= 2)); } // 0 and 1; the rest
        for (int i = 0; i < GENERAL; i++) { for (int j = 0; j < i; j++) { // one weight for each
            int same = run.batch.domain[i] == run.batch.domain[j];
            expect(!same || fabs(run.drpt.alpha[i] - run.drpt.alpha[j]) <= 1e-12);
            expect(same || method != METHOD_cagrad || fabs(run.drpt.alpha[i] - run.drpt.alpha[j]) > 1e-3);
        } }
        run_close(&run);
    }
}

// The gradient of the rows of the batch, each times its weight, as it stands in the run's gradients afterwards.
static void scores_by_passes(double score[GENERAL], double correction) {
    size_t count = run.model->num_params;
    float* t = malloc(sizeof(float) * count);
    float* losses = malloc(sizeof(float) * EXAMPLES * T);
    check(t && losses, "out of memory");
    memcpy(losses, run.batch.weight, sizeof(float) * EXAMPLES * T);
    for (int i = -1; i < GENERAL; i++) { // first the target's
        float weight[EXAMPLES] = {0};
        for (int b = 0; b < EXAMPLES; b++) { weight[b] = i < 0 ? b >= GENERAL : b == i; }
        plain_pass(weight);
        memcpy(run.batch.weight, losses, sizeof(float) * EXAMPLES * T);
        if (i < 0) { memcpy(t, run.model->grads, sizeof(float) * count); continue; }
        score[i] = 0.0;
        for (size_t k = 0; k < count; k++) {
            score[i] += (double)run.model->grads[k] * t[k] / (sqrt(run.model->v[k] * correction) + run.config.eps);
        }
    }
    free(t);
    free(losses);
}

// Scores in the metric of the optimizer's own second moments, after three of its steps.
static void test_scores_in_adams_metric(void) {
    double score[GENERAL], largest = 0.0;
    first_step("general.bin", "target.bin", GENERAL, TARGETS, "--method subset --group global --metric adam --eps 1e-4");
    for (int step = 0; step < 4; step++) {
        if (step > 0) { update(step); }
        if (step < 3) { gpt2_update(run.model, &run.config, 1e-3, ++run.updates); }
    }
    scores_by_passes(score, 1.0 / (1.0 - pow(run.config.beta2, 3.0)));
    for (int i = 0; i < GENERAL; i++) { largest = fmax(largest, fabs(score[i])); }
    for (int i = 0; i < GENERAL; i++) { expect(fabs(run.drpt.groups.statistics.score[i] - score[i]) <= 1e-4 * largest); }
    run_close(&run);
}

// ---------------------------------------------------------------------------------------------
// Sets with one member, and the update of each.

// All rows kept, and nothing but general rows, is ordinary training: for every parameter.
static void test_24_28_all_rows_are_full_training(void) {
    static const char* const same[] = { "full", "subset --keep 1", "random --keep 1", "mix --mix 0", "greedy --keep 1", "capped --keep 1", "trust --radius 0" };
    for (int by_tokens = 0; by_tokens < 2; by_tokens++) {
        const char* weigh = by_tokens ? "--weigh tokens" : "";
        first_step("general.bin", NULL, GENERAL, 1, weigh);
        expect(run.drpt.plain);
        keep_update();
        run_close(&run);
        for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
            for (int group = 0; group < NUM_GROUPS; group++) {
                char options[256];
                snprintf(options, sizeof(options), "--group %s --method %s %s", groups[group], same[i], weigh);
                first_step("general.bin", "target.bin", GENERAL, TARGETS, options);
                expect_near_kept(1.0, 1e-5f);
                run_close(&run);
            }
        }
    }
    for (int group = 0; group < NUM_GROUPS; group++) { // all agree
        char options[256];
        snprintf(options, sizeof(options), "--method filter --group %s", groups[group]);
        first_step("copies.bin", "first.bin", GENERAL, 1, options);
        keep_update();
        plain_pass((const float[]){ 1.0f/GENERAL, 1.0f/GENERAL, 1.0f/GENERAL, 1.0f/GENERAL, 1.0f/GENERAL, 1.0f/GENERAL, 0.0f });
        expect_near_kept(1.0, 1e-5f);
        run_close(&run);
    }
}

// The chosen rows, in a file of their own and trained on plainly: the same update for every parameter. By tokens it is the same but for
// its length: the chosen rows alone have fewer tokens to share it.
static void test_23_30_31_chosen_rows_alone(void) {
    static const int choosing[] = { METHOD_random, METHOD_subset, METHOD_filter, METHOD_greedy };
    int fewer = 0;
    for (int i = 0; i < 8; i++) {
        int by_tokens = i % 2, count = 0, all_tokens = 0, chosen_tokens = 0;
        char rows[GENERAL + 1] = "";
        step_of(choosing[i / 2], DRPT_GLOBAL, by_tokens ? "--weigh tokens" : "");
        for (int k = 0; k < GENERAL; k++) {
            int trained = tokens_trained(example_at(k)), chosen = run.drpt.alpha[k] > 0.0;
            all_tokens += trained;
            chosen_tokens += chosen ? trained : 0;
            if (chosen) { rows[count++] = (char)('0' + example_at(k)); }
        }
        expect(count > 0);
        fewer += count < GENERAL;
        keep_update();
        run_close(&run);
        write_rows("chosen.bin", rows, T);
        first_step("chosen.bin", NULL, count, 1, by_tokens ? "--weigh tokens" : "");
        expect_near_kept(by_tokens ? (double)all_tokens * count / ((double)GENERAL * chosen_tokens) : 1.0, 1e-5f);
        run_close(&run);
    }
    expect(fewer >= 7); // a filter may find that all agree
}

// One pass that weighs gradients = a second pass over losses with these weights, norms and embeddings among the rest.
static void test_25_31_one_pass_is_two(void) {
    for (int method = 0; method < NUM_SOLVED; method++) {
        float weight[EXAMPLES];
        step_of(method, DRPT_GLOBAL, "");
        keep_update();
        for (int b = 0; b < EXAMPLES; b++) { weight[b] = (float)(b < GENERAL ? run.drpt.alpha[b] : run.drpt.beta); }
        plain_pass(weight);
        expect_near_kept(1.0, 2e-5f);
        run_close(&run);
    }
}

// Where the target is one of the general rows, every set that holds it gives that row's gradient, layer by layer or globally.
static void test_26_37_target_among_the_rows(void) {
    static const char* const finding[] = { "subset --keep 0.5", "greedy --keep 0.5", "span --ridge 0", "cone --ridge 0", "simplex --ridge 0" };
    first_step("first.bin", NULL, 1, 1, "");
    keep_update();
    run_close(&run);
    for (size_t i = 0; i < sizeof(finding) / sizeof(finding[0]); i++) {
        for (int group = 0; group < NUM_GROUPS; group++) {
            char options[256];
            snprintf(options, sizeof(options), "--group %s --method %s", groups[group], finding[i]);
            first_step("two.bin", "first.bin", 2, 1, options);
            expect_near_kept(1.0, i < 2 ? 1e-6f : 1e-4f);
            run_close(&run);
        }
    }
}

// Where a model has one site, all groups are one.
static void test_26_one_site(void) {
    enum { n = 4, m = 2, C = 5, OC = 3, POSITIONS = (n + m) * T };
    static float dout[POSITIONS * OC], inp[POSITIONS * C];
    static const unsigned char all[n] = { 1, 1, 1, 1 };
    uint64_t seed = 5;
    test_fill(dout, POSITIONS * OC, &seed);
    test_fill(inp, POSITIONS * C, &seed);
    for (int method = 0; method < NUM_SOLVED; method++) {
        float first[OC * (C + 1)];
        for (int group = NUM_GROUPS - 1; group >= 0; group--) {
            float weights[OC * (C + 1)] = {0};
            DrptOptions o = drpt_defaults;
            o.method = methods[method];
            o.group = groups[group];
            Drpt d = drpt_create(&o, n, m, T, C, 1, 3);
            drpt_begin(&d, 0, all, NULL);
            drpt_site(&d, "only", weights, weights + OC * C, dout, inp, C, OC);
            drpt_project(&d, DRPT_GLOBAL);
            if (group == NUM_GROUPS - 1) { memcpy(first, weights, sizeof(first)); }
            expect_close(weights, first, OC * (C + 1), 2e-5f);
            drpt_free(&d);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// What must not depend on the method, and what the target must not touch.

// The gradients of all activations are those of a plain pass over the same rows.
static void test_27_activation_gradients(void) {
    EACH_METHOD_AND_GROUP(method, group) {
        step_of(method, group, "");
        GPT2* model = run.model;
        size_t N = (size_t)EXAMPLES * T, C = (size_t)model->config.channels, floats[10] = { N * C, N * C, N * V };
        float* of[10] = { model->dx, model->dlnf, model->logits };
        int count = 3;
        #define ADD(name, type, size) of[count] = model->dact[0].name; floats[count++] = size;
        BLOCK_GRADS(ADD)
        #undef ADD
        float* before[10];
        for (int i = 0; i < count; i++) {
            before[i] = malloc(sizeof(float) * floats[i]);
            check(before[i] != NULL, "out of memory");
            memcpy(before[i], of[i], sizeof(float) * floats[i]);
        }
        plain_pass(NULL);
        for (int i = 0; i < count; i++) {
            expect(memcmp(before[i], of[i], sizeof(float) * floats[i]) == 0);
            free(before[i]);
        }
        run_close(&run);
    }
}

// Where two targets lead to the same choice, the update is the same to the last bit.
static void test_28_target_only_chooses(void) {
    for (int group = 0; group < NUM_GROUPS; group++) {
        for (int method = 0; method < 3; method++) {
            char options[256];
            snprintf(options, sizeof(options), "--group %s --method %s --keep 0.5", groups[group], ((const char*[]){ "full", "random", "subset" })[method]);
            first_step(method < 2 ? "general.bin" : "two.bin", "first.bin", method < 2 ? GENERAL : 2, 1, options);
            keep_update();
            run_close(&run);
            first_step(method < 2 ? "general.bin" : "two.bin", method < 2 ? "target.bin" : "almost_first.bin", method < 2 ? GENERAL : 2, 1, options);
            expect(is_kept() && !is_zero());
            run_close(&run);
        }
    }
    int found = 0, first_choice = -1;
    for (int example = 0; example < EXAMPLES; example++) { // a global choice of one of six
        char name[2] = { (char)('0' + example), '\0' };
        int choice = 0;
        write_rows("other.bin", name, T);
        first_step("general.bin", "other.bin", GENERAL, 1, "--method subset --group global --keep 0.17");
        while (run.drpt.alpha[choice] == 0.0) { choice++; }
        if (first_choice < 0) { first_choice = choice; keep_update(); }
        found += choice == first_choice;
        expect((choice == first_choice) == is_kept());
        run_close(&run);
    }
    expect(found > 1 && found < EXAMPLES);
}

// ---------------------------------------------------------------------------------------------
// Nothing to follow.

static double beta_without_rows(int method) {
    switch (method) {
        case METHOD_target: case METHOD_agem: case METHOD_gem: case METHOD_pcgrad: case METHOD_outside: return 1.0;
        case METHOD_mix: return run.options.mix;
        case METHOD_cagrad: return 1.0 + run.options.radius;
        default: return 0.0;
    }
}

// No general row has a trained token: what a method makes of the target alone, or nothing at all. The optimizer's step keeps to numbers.
static void test_29_no_rows(void) {
    EACH_METHOD_AND_GROUP(method, group) {
        step_of(METHOD_target, DRPT_GLOBAL, "");
        keep_update(); // t
        run_close(&run);
        char options[256];
        snprintf(options, sizeof(options), "--method %s --group %s", methods[method], groups[group]);
        run_begin("--init %s --general %s --target %s --batch %d --target-batch %d --steps 1 --seed 9 %s %s", scratch("model.bin"),
                  scratch("general_*.bin"), scratch("target.bin"), GENERAL, TARGETS, knobs, options);
        for (size_t i = 0; i < run.general.num_files; i++) {
            DataFile* f = &run.general.file[i];
            unsigned char* map = (unsigned char*)(uintptr_t)f->map; // mapped for this process alone
            expect(mprotect(map, f->bytes, PROT_READ | PROT_WRITE) == 0);
            memset(map + 4 * HEADER_INTS + f->rows * (T + 1) * sizeof(uint16_t), 0, f->rows * T);
        }
        update(0);
        double beta = beta_without_rows(method);
        expect(isnan(row.loss) && isfinite(row.target_loss) && run.drpt.rows_dropped == 0);
        if (beta == 0.0) { expect(is_zero() && run.drpt.groups_skipped > 0); }
        else { expect_near_kept(beta, 1e-5f); expect(run.drpt.groups_skipped == 0); }
        gpt2_update(run.model, &run.config, 1e-3, 1);
        for (size_t k = 0; k < run.model->num_params; k++) { if (!isfinite(run.model->params[k])) { expect(isfinite(run.model->params[k])); break; } }
        run_close(&run);
    }
}

// ---------------------------------------------------------------------------------------------
// Other ways to the same step.

// Rows in micro-batches, and activations that are computed again: the same bits as in one batch, for every method.
static void test_32_34_accumulated_and_recomputed(void) {
    EACH_METHOD_AND_GROUP(method, group) {
        char options[256];
        step_of(method, group, "");
        keep_update();
        double dot_ut = run.drpt.dot_ut;
        run_close(&run);
        snprintf(options, sizeof(options), "--method %s --group %s --accumulate 3", methods[method], groups[group]);
        first_step("general_*.bin", "target.bin", GENERAL / 3, TARGETS / 3, options);
        expect(is_kept() && run.batch.n == GENERAL && run.model->recompute == (group != DRPT_GLOBAL));
        expect(dot_ut == run.drpt.dot_ut || isnan(dot_ut));
        run_close(&run);
        if (group == DRPT_GLOBAL) { continue; }
        step_of(method, group, "--recompute 1");
        expect(is_kept() && run.model->recompute);
        for (int l = 1; l < gpt2_config(run.model)->layers; l++) {
            expect(run.model->act[l].qkv == run.model->act[0].qkv && run.model->act[l].residual3 != run.model->act[0].residual3);
        }
        run_close(&run);
    }
}

// Without a target the micro-batches' gradients add up.
static void test_32_plain(void) {
    for (int by_tokens = 0; by_tokens < 2; by_tokens++) {
        first_step("general_*.bin", NULL, GENERAL, 1, by_tokens ? "--weigh tokens" : "");
        keep_update();
        run_close(&run);
        for (int parts = 2; parts <= GENERAL; parts++) {
            char options[64];
            snprintf(options, sizeof(options), "--accumulate %d --recompute %d %s", parts, parts % 2, by_tokens ? "--weigh tokens" : "");
            if (GENERAL % parts) { continue; }
            first_step("general_*.bin", NULL, GENERAL / parts, 1, options);
            expect(run.batch.accumulate == parts);
            expect_near_kept(1.0, 1e-5f);
            run_close(&run);
        }
    }
}

// Between two refreshes of a basis no general row is read: the same target rows (in another order) and weights give the same update.
static void test_steps_without_general_rows(void) {
    for (int method = METHOD_inside; method <= METHOD_outside; method++) {
        for (int accumulate = 1; accumulate <= 3; accumulate += 2) {
            char options[128];
            snprintf(options, sizeof(options), "--method %s --refresh 3 --accumulate %d", methods[method], accumulate);
            first_step("general_*.bin", "target.bin", GENERAL / accumulate, TARGETS / accumulate, options);
            expect(isfinite(row.loss) && row.tokens == EXAMPLES * T);
            keep_update();
            size_t at = run.general_reader.position;
            int first_general = example_at(0);
            for (int step = 1; step < 3; step++) {
                update(step);
                expect(isnan(row.loss) && isfinite(row.target_loss) && row.tokens == TARGETS * T);
                expect(run.general_reader.position == at && example_at(0) == first_general);
                expect_near_kept(1.0, 1e-4f);
            }
            update(3);
            expect(isfinite(row.loss) && row.tokens == EXAMPLES * T);
            run_close(&run);
        }
    }
}

// How much a basis forgets matters from its second refresh on.
static void test_options_of_a_basis(void) {
    static const char* const options[] = { "--forget 0", "--forget 1", "--forget 0.5", "--forget 0.5 --sides left", "--forget 0.5 --sides right" };
    float* updates[5];
    for (int i = 0; i < 5; i++) {
        char text[128];
        snprintf(text, sizeof(text), "--method inside --refresh 1 %s", options[i]);
        first_step("general_*.bin", "target.bin", GENERAL / 2, TARGETS, text);
        update(1);
        size_t size = sizeof(float) * run.model->num_params;
        updates[i] = malloc(size);
        check(updates[i] != NULL, "out of memory");
        memcpy(updates[i], run.model->grads, size);
        for (int j = 0; j < i; j++) { expect(memcmp(updates[i], updates[j], size) != 0); }
        run_close(&run);
    }
    for (int i = 0; i < 5; i++) { free(updates[i]); }
}

// A sketch is drawn again each time that it is refreshed, and only then.
static void test_age_of_a_sketch(void) {
    double score[4][GENERAL];
    first_step("general.bin", "target.bin", GENERAL, TARGETS, "--method subset --group global --score sketch --sketch 2 --refresh 2");
    for (int step = 0; step < 4; step++) {
        if (step > 0) { update(step); }
        for (int i = 0; i < GENERAL; i++) { score[step][example_at(i)] = run.drpt.groups.statistics.s[i]; }
    }
    run_close(&run);
    for (int i = 0; i < GENERAL; i++) {
        expect(fabs(score[1][i] - score[0][i]) <= 1e-4 * fabs(score[0][i]) && fabs(score[3][i] - score[2][i]) <= 1e-4 * fabs(score[2][i]));
        expect(fabs(score[2][i] - score[0][i]) > 1e-3 * fabs(score[0][i]));
    }
}

// ---------------------------------------------------------------------------------------------
// One pass of a probe makes the updates of all methods and groups.

static const char* const probed_knobs[] = {
    "--method cone --group layer --strength auto", "--method span --group block --strength 0.3", "--method subset --group global --normalise",
    "--method filter --group sublayer --normalise", "--method subset --group layer --rescale ray", "--method inside --group layer --sides left",
};
enum { NUM_PROBED_KNOBS = sizeof(probed_knobs) / sizeof(probed_knobs[0]) };

static void write_probe_list(void) {
    FILE* f = fopen(scratch("probe.txt"), "w");
    check(f != NULL, "no probe.txt");
    fprintf(f, "# all of them\n\n");
    EACH_METHOD_AND_GROUP(method, group) { fprintf(f, "%s by %s | --method %s --group %s %s\n", methods[method], groups[group], methods[method], groups[group], knobs); }
    for (int i = 0; i < NUM_PROBED_KNOBS; i++) { fprintf(f, "  knob %d|%s %s\r\n", i, probed_knobs[i], knobs); }
    check(fclose(f) == 0, "probe.txt was not written");
}

// The vector of a probe, a site's weights and then its bias, Q, K and V of a block apart, laid out as the model's gradients are.
static void lay_out(float* to, const float* vector, const Site* site, int num_sites, const float* grads) {
    memset(to, 0, sizeof(float) * run.model->num_params);
    for (int i = 0; i < num_sites; i++) {
        const Site* s = &site[i];
        int parts = strcmp(s->name, "qkv") == 0 ? 3 : 1;
        size_t weights = (size_t)s->rows * (size_t)s->cols / (size_t)parts, biases = s->dbias ? (size_t)s->rows / (size_t)parts : 0;
        for (int part = 0; part < parts; part++) {
            memcpy(to + (s->dweight - grads) + (size_t)part * weights, vector, sizeof(float) * weights);
            vector += weights;
            if (biases) { memcpy(to + (s->dbias - grads) + (size_t)part * biases, vector, sizeof(float) * biases); }
            vector += biases;
        }
    }
}

static void probe_pass_of_the_step(Probe* p) {
    const Batch* b = &run.batch;
    gpt2_forward(run.model, b->inputs, EXAMPLES, run.T);
    gpt2_backward(run.model, b->inputs, b->targets, b->weight, NULL, probe_recorder(p), EXAMPLES, run.T);
}

static void test_probe(void) {
    static Site site[64];
    write_probe_list();
    ProbeList list = probe_list_read(scratch("probe.txt"));
    first_step("general_*.bin", "target.bin", GENERAL, TARGETS, "--method cone --group global");
    int num_sites = run.drpt.next_index, variant = 0;
    size_t size = run.model->num_params;
    memcpy(site, run.drpt.site, sizeof(Site) * (size_t)num_sites);
    Probe* p = probe_create(&list, GENERAL, TARGETS, run.T, 4 * gpt2_config(run.model)->channels, (int)run.general.num_files, 2, 2, 9);
    probe_begin_reference(p, 2, EXAMPLES, run.T);
    probe_pass_of_the_step(p);
    probe_begin(p, 0, 0, run.batch.usable, run.batch.domain);
    probe_pass_of_the_step(p);
    float* updates = malloc(sizeof(float) * size * (size_t)list.count);
    check(updates != NULL && !probe_is_folded(p) && probe_size(p) <= size, "what a probe holds");
    for (int v = 0; v < list.count; v++) {
        probe_sum(p, kept, v, 0);
        lay_out(updates + size * (size_t)v, kept, site, num_sites, run.model->grads);
    }
    probe_free(p);
    run_close(&run);
    EACH_METHOD_AND_GROUP(method, group) {
        step_of(method, group, "");
        memcpy(kept, updates + size * (size_t)variant++, sizeof(float) * size);
        expect_near_kept(1.0, 2e-5f);
        run_close(&run);
    }
    for (int i = 0; i < NUM_PROBED_KNOBS; i++) {
        first_step("general_*.bin", "target.bin", GENERAL, TARGETS, probed_knobs[i]);
        memcpy(kept, updates + size * (size_t)variant++, sizeof(float) * size);
        expect_near_kept(1.0, 2e-5f);
        run_close(&run);
    }
    expect(variant == list.count);
    free(updates);
    probe_list_free(&list);
}

// Folding leaves inner products as they are on average: 4096 floats of a site of 37,000 still tell how large the estimates are.
static ProbeResult probed(const ProbeList* list, int variant, size_t limit) {
    Batch* b = &run.batch;
    Probe* p = probe_create(list, GENERAL, TARGETS, run.T, 4 * gpt2_config(run.model)->channels, 1, 3, 2, 9);
    probe_limit(p, limit);
    batch_fill(b, &run.general_reader, &run.target_reader, 1, V);
    batch_weigh(b, 0, EXAMPLES, 0, 1.0);
    probe_begin_reference(p, 2, EXAMPLES, run.T);
    probe_pass_of_the_step(p);
    for (int pass = 0; pass < 6; pass++) {
        for (int i = 0; i < EXAMPLES; i++) { b->inputs[i * run.T + pass % run.T] = (i + pass) % V; }
        batch_weigh(b, 0, GENERAL, 0, GENERAL);
        batch_weigh(b, GENERAL, EXAMPLES, 0, 1.0);
        probe_begin(p, pass / 2, pass % 2, b->usable, b->domain);
        probe_pass_of_the_step(p);
    }
    expect(probe_is_folded(p) == (limit < 1 << 30) && (probe_size(p) < run.model->num_params / 2) == probe_is_folded(p));
    ProbeResult result = probe_result(p, variant);
    probe_free(p);
    return result;
}

static void test_probe_folded(void) {
    write_probe_list();
    ProbeList list = probe_list_read(scratch("probe.txt"));
    for (int variant = 0; variant < list.count; variant += 31) {
        ProbeResult result[2];
        for (int folded = 0; folded < 2; folded++) {
            run_begin("--init L1,H2,C96,V17,T12 --general %s --target %s --batch %d --target-batch %d --steps 4 --seed 9",
                      scratch("general.bin"), scratch("target.bin"), GENERAL, TARGETS);
            result[folded] = probed(&list, variant, folded ? (size_t)60 << 20 : (size_t)1 << 31);
            run_close(&run);
        }
#define NEAR(name) expect(fabs(result[0].name.value - result[1].name.value) <= 0.06 * (1.0 + fabs(result[0].name.value)));
        PROBE_ESTIMATES(NEAR)
    }
    probe_list_free(&list);
}

// ---------------------------------------------------------------------------------------------

static void prepare(void) {
    GPT2* model = gpt2_create("L3,H3,C12,V17,T12", 1, 0, 0);
    fill_params(model, 0.4f);
    model_write(scratch("model.bin"), &model->config, MODEL_FP32, model->params, model->num_params);
    kept = malloc(sizeof(float) * model->num_params);
    check(kept != NULL, "out of memory");
    gpt2_free(model);
    for (int i = 0; i < EXAMPLES; i++) { random_row(tokens[i], mask[i], T, V); }
    write_rows("general.bin", "012345", T);
    write_rows("general_1.bin", "01", T);
    write_rows("general_2.bin", "2345", T);
    write_rows("target.bin", "678", T);
    write_rows("shuffled.bin", "350412", T);
    write_rows("target_shuffled.bin", "867", T);
    write_rows("padded_general.bin", "012345", WIDER);
    write_rows("padded_target.bin", "678", WIDER);
    write_rows("copies.bin", "000000", T);
    write_rows("first.bin", "0", T);
    write_rows("two.bin", "01", T);
    int last = T - 1;
    unsigned char trained = mask[0][last];
    mask[0][last] = !trained;
    write_rows("almost_first.bin", "0", T);
    mask[0][last] = trained;
}

#define TEST(name) { #name, test_##name }

int main(int argc, char** argv) {
    static const Test tests[] = {
        TEST(21_order_of_the_rows), TEST(22_padding), TEST(order_of_drawing), TEST(domains), TEST(scores_in_adams_metric), TEST(24_28_all_rows_are_full_training), TEST(23_30_31_chosen_rows_alone),
        TEST(25_31_one_pass_is_two), TEST(26_37_target_among_the_rows), TEST(26_one_site), TEST(27_activation_gradients), TEST(28_target_only_chooses),
        TEST(29_no_rows), TEST(32_34_accumulated_and_recomputed), TEST(32_plain), TEST(steps_without_general_rows), TEST(options_of_a_basis), TEST(age_of_a_sketch), TEST(probe), TEST(probe_folded),
    };
    omp_set_num_threads(1); // so many small steps are quicker alone
    prepare();
    int status = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    free(kept);
    return status;
}
