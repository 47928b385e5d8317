// factor.cuh -- what factor.h does for one sum of gradients, on the GPU for many rows of a batch at once: the gradients of the rows, or
// their sum, between thin matrices.
//
// G_b (rows, cols), or (rows, cols + 1) with the bias as its last column, is the gradient of row b of the batch. An array `each` has
// one matrix for every row of a piece, one behind the other; else there is one for all of them.
#ifndef DRPT_FACTOR_CUH
#define DRPT_FACTOR_CUH

#include "buffer.cuh"
#include "site.h"
#include "subspace.h"

// Positions [at, at + positions) of each of the batch's rows [first, first + count); most: positions of a piece.
typedef struct { int first, count, at, positions, most; } Piece;

enum { FACTOR_FLOATS = 64 << 20 };

// Zeroed, then factors_begin() for each site.
typedef struct {
    const Site* site;
    const unsigned char* use;    // (B) on the device, or NULL: rows of 0 count as zeros, and what is in them stays there
    int T;
    size_t floats;               // for the factors of a piece; 0: FACTOR_FLOATS
    Piece held;                  // whose factors stand in a, x and word
    Buffer a, x, word, p, q, ones, partial, whole;
} Factors;

void factors_begin(Factors* f, const Site* site, int T, const unsigned char* use);
void factors_free(Factors* f);

// The pieces of rows [first, end), whole rows if the memory allows, so that `more` floats a row have room as well:
//     for (Piece p = piece_first(f, first, end, k, more); p.count > 0; p = piece_next(f, p, end))
// k: the directions, of both sides together, that they are projected on.
Piece piece_first(const Factors* f, int first, int end, int k, size_t more);
Piece piece_next(const Factors* f, Piece piece, int end);
static inline int piece_is_last(const Factors* f, Piece piece) { return piece.at + piece.positions == f->T; } // of its rows

// [out.main | out.bias] (k,cols + 1) += left G, left (k,rows)
void factor_left(Block out, int out_each, Factors* f, Piece piece, const float* left, int left_each, int k);

// out (k,rows) += [right.main | right.bias] G'
void factor_right(float* out, int out_each, Factors* f, Piece piece, Block right, int right_each, int k);

// M (rl,rr) += left G [right.main | right.bias]'
void factor_between(float* M, int each, Factors* f, Piece piece, const float* left, int rl, Block right, int rr);

// dweight and dbias of the site += the sum of G over the rows [first, end).
void factor_add(Factors* f, int first, int end);

// norm2 (n) += |G_b|^2 of the rows [0, n); norm2 (1) += the squared norm of the sum of G over the rows [first, end).
void factor_norm2_each(double* norm2, Factors* f, int n);
void factor_norm2(double* norm2, Factors* f, int first, int end);

// sum[i] += the sum of squares of x[i * apart .. + size), i < count
void sums_of_squares(double* sum, const float* x, size_t size, size_t apart, int count, Buffer* partial);

#endif // DRPT_FACTOR_CUH
