// test_fuzz.c -- files with random damage: the program ends by itself, with status 0 or 1, and soon. (test_errors.sh looks at what
// it says and leaves behind.)
#include "trainer.h"

enum { ROUNDS = 120, SECONDS = 5 };

static void copy_file(const char* from, const char* to) {
    size_t bytes;
    FILE* f = input_open(from, &bytes);
    char* data = malloc(bytes);
    check(data != NULL, "out of memory");
    input_read(f, from, data, bytes);
    fclose(f);
    f = fopen(to, "wb");
    check(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "%s: cannot be written", to);
    free(data);
}

// Some bytes changed, most of them in the fields of the header; every fourth time cut off or prolonged as well.
static void damage(const char* path, int round) {
    size_t bytes;
    FILE* f = input_open(path, &bytes);
    fclose(f);
    if (round % 4 == 3) {
        size_t size = (size_t)test_below((int)bytes + 100);
        expect(truncate(path, (off_t)size) == 0);
        bytes = size;
    }
    f = fopen(path, "r+b");
    check(f != NULL, "%s: cannot be changed", path);
    for (int i = 1 + test_below(3); i > 0 && bytes > 0; i--) {
        long at = test_below(round % 3 == 0 ? (int)bytes : bytes < 240 ? (int)bytes : 240);
        fseek(f, at, SEEK_SET);
        fputc(round % 2 ? test_below(256) : 255 * test_below(2), f);
    }
    fclose(f);
}

// In a child process, whose messages are dropped; a fault or a hang kills it.
static void expect_survives(const char* what, int round, const char* options) {
    int messages;
    char text[512];
    pid_t child = test_fork(&messages);
    if (child == 0) {
        alarm(SECONDS);
        run_begin("%s", options);
        run_train();
        exit(0);
    }
    ssize_t got = read(messages, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    while (got > 0) { char rest[512]; got = read(messages, rest, sizeof(rest)); }
    close(messages);
    int status;
    waitpid(child, &status, 0);
    int ended = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    if (!ended || (WEXITSTATUS(status) == 1 && strncmp(text, "error: ", 7) != 0)) {
        fprintf(stderr, "%s:%d: %s, round %d: wait status %d, it said: %s\n", __FILE__, __LINE__, what, round, status, text);
        test_failures++;
    }
}

// The file at `name` in the scratch folder, damaged over and over; the program is run with the options.
static void fuzz(const char* original, const char* name, const char* options) {
    for (int round = 0; round < ROUNDS; round++) {
        copy_file(original, scratch(name));
        damage(scratch(name), round);
        expect_survives(name, round, options);
    }
}

#define MODEL "test/fixtures/model.bin"
#define EXAMPLES "test/fixtures/examples.bin"

static char options_text[1024];

static void test_model(void) {
    snprintf(options_text, sizeof(options_text), "--init %s --general " EXAMPLES " --batch 2 --steps 1", scratch("model.bin"));
    fuzz(MODEL, "model.bin", options_text);
}

static void test_examples(void) {
    snprintf(options_text, sizeof(options_text), "--init " MODEL " --general %s --target %s --batch 2 --steps 3",
             scratch("data.bin"), scratch("data.bin"));
    fuzz(EXAMPLES, "data.bin", options_text);
}

static void test_shard(void) {
    uint16_t tokens[61];
    for (int i = 0; i < 61; i++) { tokens[i] = (uint16_t)test_below(17); }
    tokens_write(scratch("good.bin"), tokens, 61);
    snprintf(options_text, sizeof(options_text), "--init " MODEL " --general %s --seq 5 --batch 4 --steps 3", scratch("shard.bin"));
    fuzz(scratch("good.bin"), "shard.bin", options_text);
}

static void test_checkpoint(void) {
    const char* common = "--init " MODEL " --general " EXAMPLES " --batch 2 --steps 3 --save-every 2";
    run_begin("%s --out %s", common, scratch("run"));
    run_train();
    run_close(&run);
    copy_file(scratch("run/state_00000002_00000.bin"), scratch("good_state.bin"));
    copy_file(scratch("run/model_00000002.bin"), scratch("good_model.bin"));
    snprintf(options_text, sizeof(options_text), "%s --out %s --resume 1", common, scratch("run"));
    fuzz(scratch("good_state.bin"), "run/state_00000002_00000.bin", options_text);
    copy_file(scratch("good_state.bin"), scratch("run/state_00000002_00000.bin"));
    fuzz(scratch("good_model.bin"), "run/model_00000002.bin", options_text);
}

static void test_config(void) {
    FILE* f = fopen(scratch("good.txt"), "w");
    check(f != NULL, "cannot write");
    fputs("init " MODEL "\ngeneral " EXAMPLES "\nbatch 3\nsteps 2\nlr 0.001\nschedule linear\nwarmup 1\nmethod full\nsave-every 0\n", f);
    fclose(f);
    snprintf(options_text, sizeof(options_text), "--config %s --threads 1", scratch("config.txt"));
    fuzz(scratch("good.txt"), "config.txt", options_text);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "model", test_model },
        { "examples", test_examples },
        { "shard", test_shard },
        { "checkpoint", test_checkpoint },
        { "config", test_config },
    };
    omp_set_num_threads(1); // a child of a process with threads has none of them
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
