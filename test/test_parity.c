// test_parity.c -- the trainer against what others computed: PyTorch (test/fixtures, written by dev/check_torch.py in
// double precision) and llm.c's own CPU program (../shared/fixtures/parity, which may be missing).
#include "trainer.h"

#define FIXTURES "test/fixtures/"
#define LLMC_FIXTURES "../shared/fixtures/parity/"

static float* read_floats(const char* path, size_t header, size_t* count) {
    size_t bytes;
    char skipped[HEADER_INTS * 4];
    FILE* f = input_open(path, &bytes);
    *count = (bytes - header) / sizeof(float);
    float* x = malloc(sizeof(float) * *count);
    check(x && header <= sizeof(skipped), "out of memory");
    input_read(f, path, skipped, header);
    input_read(f, path, x, sizeof(float) * *count);
    fclose(f);
    return x;
}

// Each tensor to within `tol` of its own largest value.
static void expect_tensors(const float* got, const char* path, float tol) {
    size_t count;
    float* want = read_floats(path, HEADER_INTS * 4, &count);
    expect(count == run.model->num_params);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &run.model->tensor[i];
        expect_close(got + t->begin, want + t->begin, t->blocks * t->rows * t->cols, tol);
    }
    free(want);
}

// Column `index` of row `row` of log.csv, NAN if it is empty.
static double logged(const char* folder, int row, int index) {
    char* path = path_join(folder, "log.csv");
    char *text = input_text(path), *at = text;
    for (int i = 0; i <= row; i++) { at = strchr(at, '\n') + 1; }
    for (; index > 0; index--) { at = strchr(at, ',') + 1; }
    double value = *at == ',' ? NAN : strtod(at, NULL);
    free(text);
    free(path);
    return value;
}

enum { LOSS = 1, VAL_LOSS = 3 };

// The data in the order of the file, whatever the reader's.
static void test_logits(void) {
    size_t count;
    float* want = read_floats(FIXTURES "logits.bin", 0, &count);
    Dataset data = dataset_open(FIXTURES "examples.bin", 0);
    GPT2* model = gpt2_create(FIXTURES "model.bin", 0, 0, 0);
    Batch b = batch_create((int)data.rows, 0, (int)data.T, 1);
    for (size_t i = 0; i < data.rows; i++) { batch_row(&b, i, &data, i, 17); }
    gpt2_alloc(model, b.n, b.T, 0, 0, 0);
    gpt2_forward(model, b.inputs, b.n, b.T);
    expect(count == data.rows * data.T * 17);
    expect_close(model->logits, want, count, 2e-6f);
    free(want);
    batch_free(&b);
    gpt2_free(model);
    dataset_close(&data);
}

static void test_gradients(void) {
    static const char* const weigh[] = { "rows", "tokens" };
    for (int i = 0; i < 2; i++) {
        run_begin("--init " FIXTURES "model.bin --general " FIXTURES "examples.bin --batch 5 --steps 1 --lr 0 --weigh %s --dump-update %s",
                  weigh[i], scratch("update.bin"));
        run_train();
        size_t count;
        float* update = read_floats(scratch("update.bin"), HEADER_INTS * 4, &count);
        expect(count == run.model->num_params);
        expect_tensors(update, i == 0 ? FIXTURES "gradient_rows.bin" : FIXTURES "gradient_tokens.bin", 3e-6f);
        free(update);
        run_close(&run);
    }
}

// Ten steps of AdamW with decay and clipping. As dev/check_torch.py has it: eps far above rounding.
static void test_training(void) {
    char name[16];
    int step;
    double loss;
    FILE* f = fopen(FIXTURES "losses.txt", "r");
    check(f != NULL, "no losses.txt");
    for (int lines = 0; fscanf(f, "%15s %d %lf", name, &step, &loss) == 3; lines++) {
        if (step == 0) {
            run_begin("--init " FIXTURES "model.bin --general " FIXTURES "examples.bin --batch 5 --steps 10 --lr 1e-3 --weight-decay 0.1"
                      " --eps 1e-5 --clip 1 --schedule constant --weigh %s --out %s", name, scratch("torch"));
            run_train();
            if (lines > 0) { expect_tensors(run.model->params, FIXTURES "trained_tokens.bin", 3e-6f); }
            run_close(&run);
        }
        expect(fabs(logged(scratch("torch"), step, LOSS) - loss) <= 2e-6 * loss);
        expect(step == lines % 10 && lines < 20);
    }
    fclose(f);
}

static void test_llmc(void) {
    FILE* f = fopen(LLMC_FIXTURES "losses.txt", "r");
    char word[16];
    int step = 0, vals = 0;
    double loss;
    if (!f) { printf(LLMC_FIXTURES ": absent, not compared with llm.c\n"); return; }
    run_begin("--init " LLMC_FIXTURES "model.bin --general " LLMC_FIXTURES "train.bin --val " LLMC_FIXTURES "val.bin --batch 4 --seq 64"
              " --lr 1e-4 --beta2 0.999 --schedule constant --clip 0 --steps 41 --val-every 10 --val-batches 5 --out %s", scratch("llmc"));
    run_train();
    run_close(&run);
    while (fscanf(f, "%15s", word) == 1) {
        int is_step = strcmp(word, "step") == 0;
        if (is_step) { expect(fscanf(f, "%d", &step) == 1); }
        expect(fscanf(f, "%lf", &loss) == 1);
        expect(fabs(logged(scratch("llmc"), is_step ? step : 10 * vals++, is_step ? LOSS : VAL_LOSS) - loss) <= 2e-5);
    }
    expect(step == 40 && vals == 5);
    fclose(f);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "logits", test_logits },
        { "gradients", test_gradients },
        { "training", test_training },
        { "llmc", test_llmc },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
