// scratch.h -- a folder for a test's files, made when first asked for and gone when the test ends.
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_folder[256];
static pid_t scratch_owner;

static void scratch_remove(void) {
    char command[300];
    if (getpid() != scratch_owner) { return; } // a child that was expected to die
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch_folder);
    if (system(command) != 0) { fprintf(stderr, "%s: left behind\n", scratch_folder); }
}

// The path of a file there; eight of them are valid at a time.
static const char* scratch(const char* name) {
    static char path[8][512];
    static int next;
    if (!scratch_folder[0]) {
        const char* parent = getenv("TMPDIR");
        snprintf(scratch_folder, sizeof(scratch_folder), "%s/drpt.XXXXXX", parent ? parent : "/tmp");
        if (!mkdtemp(scratch_folder)) { perror(scratch_folder); exit(1); }
        scratch_owner = getpid();
        atexit(scratch_remove);
    }
    char* p = path[next++ % 8];
    snprintf(p, sizeof(path[0]), "%s/%s", scratch_folder, name);
    return p;
}

#endif // TEST_SCRATCH_H
