// files.h -- reading and writing files whole: a file appears under its name complete or not at all.
#ifndef LLMC_FILES_H
#define LLMC_FILES_H

#include <stddef.h>
#include <stdio.h>

// Every file of the llm.c family begins with this many int32, unused ones zero, little-endian.
enum { HEADER_INTS = 256 };

// Writing goes to NAME.tmp; output_close() syncs it and renames it to NAME. A failure removes the
// .tmp file and ends the program with the reason.
typedef struct {
    FILE* file;
    char* path;
    char* beside;
} Output;

Output output_open(const char* path);
void output_write(Output* o, const void* data, size_t bytes);
void output_close(Output* o);
void output_probe(const char* path);                     // ends the program unless the file could be written; writes nothing

// Reading: the size is known before anything is allocated, and a short read ends the program.
FILE* input_open(const char* path, size_t* bytes);
void input_read(FILE* file, const char* path, void* data, size_t bytes);
char* input_text(const char* path);                      // the whole file and a final zero; the caller frees it

char* path_join(const char* folder, const char* name);   // "folder/name"; the caller frees it
void folder_create(const char* path);                    // with its parents; ends the program if it cannot be written to

#endif // LLMC_FILES_H
