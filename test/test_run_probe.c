// test_run_probe.c -- --probe from the inside, for every objective: what it writes against runs of the trainer, one for each variant and
// pass, on the same rows. The estimates themselves are test_probe.c's.
#include "trainer.h"
#include "pairwise.h"

enum { T = 9, V = 17, GENERAL = 20, TARGET = 24, VAL = 14, R = 4, Q = 2, SEED = 5, MOST = 8192 };

// From row `again` on the first ones come once more, and the last two are new.
static void write_rows(const char* path, ExamplesKind kind, int rows, int again) {
    uint16_t tokens[TARGET * (T + 1)];
    unsigned char mask[TARGET * T];
    for (int i = 0; i < rows; i++) {
        random_row(tokens + i * (T + 1), mask + i * T, T, V);
        if (i < again || i >= rows - 2) { continue; }
        memcpy(tokens + i * (T + 1), tokens + (i - again) * (T + 1), sizeof(uint16_t) * (T + 1));
        memcpy(mask + i * T, mask + (i - again) * T, T);
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, kind, TOKENIZER_NONE);
}

// Of the rows of a file those from `first` on.
static void write_part(const char* path, const char* whole, ExamplesKind kind, int first, int rows) {
    Dataset d = dataset_open(whole, 0);
    uint16_t tokens[TARGET * (T + 1)];
    unsigned char mask[TARGET * T];
    int inputs[T], targets[T];
    for (int i = 0; i < rows; i++) {
        dataset_row(&d, (size_t)(first + i), V, inputs, targets, mask + i * T, T);
        for (int t = 0; t < T; t++) { tokens[i * (T + 1) + t] = (uint16_t)inputs[t]; }
        tokens[i * (T + 1) + T] = (uint16_t)targets[T - 1];
    }
    examples_write(path, tokens, mask, (size_t)rows, T, V, kind, TOKENIZER_NONE);
    dataset_close(&d);
}

// With a scalar head.
static void write_model(const char* path, const char* pairs) {
    run_begin("--init L2,H3,C12,V17,T10 --objective reward --general %s --threads 1", pairs);
    fill_params(run.model, 0.3f);
    model_write(path, gpt2_config(run.model), MODEL_FP32, run.model->params, run.model->num_params);
    run_close(&run);
}

static void write_data(ExamplesKind kind, int half) {
    test_rng = 3;
    write_rows(scratch("a.bin"), KIND_PAIRS, 2, TARGET);
    write_model(scratch("base.bin"), scratch("a.bin"));
    write_rows(scratch("general_a.bin"), kind, GENERAL, TARGET);
    write_rows(scratch("general_b.bin"), kind, 8, TARGET);
    write_rows(scratch("target.bin"), kind, TARGET, TARGET);
    write_rows(scratch("val.bin"), kind, VAL, half); // so that the halves of the reference agree
    write_part(scratch("half_a.bin"), scratch("val.bin"), kind, 0, half);
    write_part(scratch("half_b.bin"), scratch("val.bin"), kind, half, VAL - half);
}

static const char variants[] =
    "target | --method target\n"
    "full | --method full\n"
    "mix | --method mix --mix 0.3\n"
    "random | --method random --keep 0.4\n"
    "subset | --method subset --keep 0.5\n"
    "subset global | --method subset --keep 0.5 --group global\n"
    "filter | --method filter --group block --normalise 1\n"
    "cone matrix | --method cone --group matrix\n"
    "cone sublayer | --method cone --group sublayer\n"
    "cone global | --method cone --group global --ridge 0.1\n"
    "capped | --method capped --keep 0.5 --group block\n"
    "span | --method span --ridge 0.1\n"
    "agem | --method agem --group global\n"
    "gem | --method gem --group global\n"
    "auto | --method cone --strength auto --group global\n"
    "inside | --method inside --rank 2\n"
    "ray | --method subset --keep 0.5 --rescale ray --group global\n";

// What a run has made of its parameters but the head, which is no site.
static void keep_update(float* to) {
    const GPT2Config* c = gpt2_config(run.model);
    size_t size = run.model->num_params - (c->head ? (size_t)c->channels + 1 : 0);
    expect(size <= MOST);
    memcpy(to, run.model->grads, sizeof(float) * size);
}

// The updates of the trainer with these options: a run for each pass, its readers moved to where the probe is then.
static void updates_of(float* u, const char* options, int is_population) {
    char general[300];
    snprintf(general, sizeof(general), "%s", scratch("general_?.bin"));
    for (int pass = 0; pass < R * Q; pass++) {
        StepRow row = {0};
        run_begin("--init %s --seed %d --threads 1 --batch 4 --target-batch 2 --general %s --target %s %s", scratch("base.bin"), SEED, general,
                  scratch("target.bin"), options);
        if (is_population) {
            reader_close(&run.target_reader);
            run.target_reader = reader_open(&run.target, SEED + 1 + (uint64_t)(pass / Q), 1);
        }
        for (int i = 0; i < pass * run.batch.n; i++) { reader_next(&run.general_reader); }
        for (int j = 0; j < (is_population ? 0 : pass / Q) * run.batch.m; j++) { reader_next(&run.target_reader); }
        compute_update(&run, run.drpt.basis ? 0 : pass, &row); end_update(&run, &row);
        expect(row.rows_left_out == 0);
        keep_update(u + (size_t)pass * MOST);
        run_close(&run);
    }
}

// The mean over all rows of a file, by plain training on it.
static void mean_gradient(float* g, const char* file, int batch, const char* objective) {
    StepRow row = {0};
    run_begin("--init %s --seed %d --threads 1 --general %s --batch %d %s", scratch("base.bin"), SEED, file, batch, objective);
    compute_update(&run, 0, &row); end_update(&run, &row);
    keep_update(g);
    run_close(&run);
}

static void read_row(char* text, const char* name, int row, ProbeResult* result, double* t_norm2, double* reference_error, const char* label) {
    char* rest = text;
    for (int i = 0; i <= row; i++) { strsep(&rest, "\n"); }
    char* line = strsep(&rest, "\n");
    expect(line && strncmp(line, label, strlen(label)) == 0 && name);
    for (int c = 0; line && c < 9; c++) { strsep(&line, ","); }
    *t_norm2 = line ? strtod(strsep(&line, ","), NULL) : NAN;
    *reference_error = line ? strtod(strsep(&line, ","), NULL) : NAN;
    for (int e = 0; e < 2 * NUM_ESTIMATES; e++) { ((double*)result)[e] = line ? strtod(strsep(&line, ","), NULL) : NAN; }
}

// `also` are options of the probe's alone.
static void expect_probe(const char* objective, const char* also, int per, int is_population) {
    static float u[R * Q * MOST], target[R * MOST], half[2 * MOST];
    char list_file[300], folder[300], general[300];
    snprintf(list_file, sizeof(list_file), "%s", scratch("list.txt"));
    snprintf(folder, sizeof(folder), "%s", scratch("probed"));
    snprintf(general, sizeof(general), "%s", scratch("general_?.bin"));
    FILE* f = fopen(list_file, "w");
    if (f == NULL) { abort(); }
    fputs(variants, f);
    fclose(f);
    run_begin("--init %s --seed %d --threads 1 --batch 4 --target-batch 2 --general %s --target %s --val %s --probe %s --draws %d --draw-batches %d "
              "--out %s %s %s", scratch("base.bin"), SEED, general, scratch("target.bin"), scratch(is_population ? "target.bin" : "val.bin"), list_file,
              R, Q, folder, objective, also);
    run_close(&run);

    ProbeList list = probe_list_read(list_file);
    memset(u, 0, sizeof(u));
    if (is_population) {
        mean_gradient(half, scratch("target.bin"), TARGET / per, objective);
        memcpy(half + MOST, half, sizeof(float) * MOST);
    } else {
        mean_gradient(half, scratch("half_a.bin"), VAL / per / 2, objective);
        mean_gradient(half + MOST, scratch("half_b.bin"), VAL / per - VAL / per / 2, objective);
    }
    for (int v = 0; v < list.count; v++) {
        char options[512];
        ProbeResult got;
        double t_norm2, error;
        snprintf(options, sizeof(options), "%s %s", list.variant[v].text, objective);
        updates_of(u, options, is_population);
        for (int a = 0; v == 0 && a < R; a++) { memcpy(target + a * MOST, u + a * Q * MOST, sizeof(float) * MOST); } // the first one is the target alone
        char* path = path_join(folder, "probe.csv");
        char* text = input_text(path);
        read_row(text, path, v, &got, &t_norm2, &error, list.variant[v].label);
        double t2 = product(half, half + MOST, MOST), apart = 0.0;
        for (int k = 0; k < MOST; k++) { apart += pow((double)half[k] - half[MOST + k], 2.0); }
        expect_estimate(list.variant[v].label, "|t*|^2", t_norm2, t2, 1e-5 * product(half, half, MOST));
        expect_estimate(list.variant[v].label, "the reference's error", error, apart / 4.0 / t2, 1e-4 * apart / t2);
        expect_estimates(&got, list.variant[v].label, &(Updates){ u, target, half, MOST, R, Q }, 1e-4);
        free(text);
        free(path);
    }
    probe_list_free(&list);
}

static void test_examples(void) {
    write_data(KIND_EXAMPLES, VAL / 2);
    expect_probe("", "", 1, 0);
    expect_probe("", "", 1, 1);
}

#define DPO "--objective dpo --beta 0.6 --reference L1,H2,C8,V17,T9"

static void test_pairs(void) {
    write_data(KIND_PAIRS, VAL / 2 / 2 * 2);
    expect_probe(DPO, "--recompute 1", 2, 0);
    expect_probe(DPO, "", 2, 1);
    expect_probe("--objective dpo", "", 2, 1); // against itself: every pair weighs the same
}

static void test_scores(void) {
    write_data(KIND_PAIRS, VAL / 2 / 2 * 2);
    expect_probe("--objective reward", "", 2, 0);
    expect_probe("--objective reward", "--recompute 1", 2, 1);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "run_probe/examples", test_examples },
        { "run_probe/pairs", test_pairs },
        { "run_probe/scores", test_scores },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
