// checkpoint.c -- the checkpoints of a run in its folder.
#include "checkpoint.h"
#include "check.h"
#include "files.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define MODEL_NAME "model_%08d.bin"
#define STATE_NAME "state_%08d_00000.bin"
#define BASIS_NAME "basis_%08d.bin"
#define ROUND_NAME "round_%08d.bin"
#define DONE_NAME  "DONE_%08d"

static char* step_path(const char* folder, const char* format, int step) {
    char name[64];
    snprintf(name, sizeof(name), format, step);
    return path_join(folder, name);
}

char* checkpoint_model(const char* folder, int step) { return step_path(folder, MODEL_NAME, step); }
char* checkpoint_basis(const char* folder, int step) { return step_path(folder, BASIS_NAME, step); }
char* checkpoint_round(const char* folder, int step) { return step_path(folder, ROUND_NAME, step); }

void checkpoint_save(const char* folder, const GPT2Config* config, const RunState* state,
                     const float* params, const float* m, const float* v, size_t num_params) {
    char* path[3] = { step_path(folder, MODEL_NAME, state->step), step_path(folder, STATE_NAME, state->step),
                      step_path(folder, DONE_NAME, state->step) };
    model_write(path[0], config, MODEL_FP32, params, num_params); // in full, whatever the run computes with
    state_write(path[1], state, m, v, num_params);
    Output done = output_open(path[2]);
    output_close(&done);
    for (int i = 0; i < 3; i++) { free(path[i]); }
}

void checkpoint_remove(const char* folder, int step) {
    const char* names[5] = { DONE_NAME, ROUND_NAME, BASIS_NAME, STATE_NAME, MODEL_NAME }; // DONE first: a checkpoint half removed is none
    for (int i = 0; i < 5; i++) {
        char* path = step_path(folder, names[i], step);
        unlink(path);
        free(path);
    }
}

int checkpoint_last(const char* folder) {
    int last = -1;
    DIR* dir = opendir(folder);
    if (!dir) { return -1; }
    for (struct dirent* e; (e = readdir(dir)) != NULL; ) {
        char* end;
        if (strncmp(e->d_name, "DONE_", 5) != 0) { continue; }
        long step = strtol(e->d_name + 5, &end, 10);
        if (*end == '\0' && end - e->d_name == 13 && step > last) { last = (int)step; }
    }
    closedir(dir);
    return last;
}

static void check_same_run(const RunState* now, const RunState* was, const char* path) {
    #define SAME(field, what) check(now->field == was->field, "%s: was made with " what " %lld, not %lld; resume with the options and data of the run", \
                                    path, (long long)was->field, (long long)now->field)
    SAME(batch, "--batch");
    SAME(target_batch, "--target-batch");
    SAME(accumulate, "--accumulate");
    SAME(T, "--seq");
    SAME(seed, "--seed");
    SAME(general_rows, "a number of general rows of");
    SAME(target_rows, "a number of target rows of");
    #undef SAME
    check(was->step == now->step, "%s: holds step %d; the file was renamed", path, was->step);
}

RunState checkpoint_load_state(const char* folder, const RunState* now, float* m, float* v, size_t num_params) {
    RunState was;
    char* path = step_path(folder, STATE_NAME, now->step);
    state_read(path, &was, m, v, num_params);
    check_same_run(now, &was, path);
    free(path);
    return was;
}
