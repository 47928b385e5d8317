// files.c -- reading and writing files whole.
#include "files.h"
#include "check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char* joined(const char* a, const char* between, const char* b) {
    size_t size = strlen(a) + strlen(between) + strlen(b) + 1;
    char* text = malloc(size);
    check(text != NULL, "out of memory for a path");
    snprintf(text, size, "%s%s%s", a, between, b);
    return text;
}

char* path_join(const char* folder, const char* name) {
    size_t n = strlen(folder);
    return joined(folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
}

Output output_open(const char* path) {
    Output o = { .path = joined(path, "", ""), .beside = joined(path, "", ".tmp") };
    o.file = fopen(o.beside, "wb");
    check(o.file != NULL, "%s: cannot be written: %s", path, strerror(errno));
    return o;
}

void output_probe(const char* path) {
    Output o = output_open(path);
    fclose(o.file);
    unlink(o.beside);
    free(o.path);
    free(o.beside);
}

_Noreturn static void give_up(const Output* o) {
    int reason = errno;
    unlink(o->beside);
    die("%s: writing failed: %s", o->path, strerror(reason));
}

void output_write(Output* o, const void* data, size_t bytes) {
    if (bytes > 0 && fwrite(data, 1, bytes, o->file) != bytes) { give_up(o); }
}

// Without the sync of the folder a power cut could undo the rename; a folder that cannot be synced
// (some network file systems) is not a reason to stop.
static void sync_folder(const char* path) {
    const char* slash = strrchr(path, '/');
    char* folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    FILE* f = folder ? fopen(folder, "rb") : NULL;
    if (f) { (void)fsync(fileno(f)); fclose(f); }
    free(folder);
}

void output_close(Output* o) {
    if (fflush(o->file) != 0 || fsync(fileno(o->file)) != 0) { give_up(o); }
    int failed = fclose(o->file) != 0 || rename(o->beside, o->path) != 0;
    if (failed) { give_up(o); }
    sync_folder(o->path);
    free(o->path);
    free(o->beside);
    *o = (Output){0};
}

FILE* input_open(const char* path, size_t* bytes) {
    struct stat info;
    FILE* f = fopen(path, "rb");
    check(f != NULL, "%s: cannot be read: %s", path, strerror(errno));
    check(fstat(fileno(f), &info) == 0 && S_ISREG(info.st_mode), "%s: is not a regular file", path);
    *bytes = (size_t)info.st_size;
    return f;
}

void input_read(FILE* file, const char* path, void* data, size_t bytes) {
    check(fread(data, 1, bytes, file) == bytes, "%s: ends early; %zu more bytes were expected", path, bytes);
}

char* input_text(const char* path) {
    size_t bytes;
    FILE* f = input_open(path, &bytes);
    char* text = malloc(bytes + 1);
    check(text != NULL, "%s: out of memory for its %zu bytes", path, bytes);
    input_read(f, path, text, bytes);
    text[bytes] = '\0';
    fclose(f);
    return text;
}

void folder_create(const char* path) {
    char* part = joined(path, "", "/");
    for (char* p = part + 1; *p; p++) {
        if (*p != '/') { continue; }
        *p = '\0';
        check(mkdir(part, 0777) == 0 || errno == EEXIST, "%s: cannot be made: %s", part, strerror(errno));
        *p = '/';
    }
    check(access(part, W_OK | X_OK) == 0, "%s: cannot be written to: %s", path, strerror(errno));
    free(part);
}
