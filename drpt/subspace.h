// subspace.h -- a few directions of one side of a weight, and the linear algebra of a subspace.
#ifndef DRPT_SUBSPACE_H
#define DRPT_SUBSPACE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Directions as rows: main (k,cols), and bias (k), a last column, where the side has one, else NULL. k stands beside it.
typedef struct { float *main, *bias; int cols; } Block;

Block block_at(float* floats, int cols, int bias, int k);                      // of k * (cols + bias) floats
void block_clear(Block x, int k);
void block_scale(Block x, int k, float c);                                     // x *= c
void floats_scale(float* x, size_t count, float c);
double block_norm2(Block x, int k);                                            // sum of squares
void block_product(float* out, Block a, int k, Block b, int l);                // out (k,l) = a b'
void block_add_turned(Block out, int k, const float* turn, Block a, int l);    // out (k) += turn' a (l), turn (l,k)

// Makes the rows orthonormal, in double precision, and drops those that are rounding errors of the rows before; returns how
// many are left. x: room for a row; along: for k numbers.
int block_orthonormalise(Block y, int k, double* x, double* along);

// Eigenvectors of the symmetric H (k,k) in the columns of E (k,k); its eigenvalues are left on the diagonal of H, in any order.
void eigenvectors(double* H, double* E, int k);

#ifdef __cplusplus
}
#endif

#endif // DRPT_SUBSPACE_H
