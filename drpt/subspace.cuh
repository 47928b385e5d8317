// subspace.cuh -- what subspace.h does with directions, on the GPU: their number stays, and those that are dropped become zeros, so that
// the host need not know how many are left. All arrays are on the device.
#ifndef DRPT_SUBSPACE_CUH
#define DRPT_SUBSPACE_CUH

#include "buffer.cuh"
#include "subspace.h"

typedef struct { Buffer partial, gram, turn, before; } SubspaceRoom; // zeroed at first
void subspace_free(SubspaceRoom* room);

void block_zero(Block x, int k);
void block_copy(Block to, Block from, int k);

// out (k,l) = sum_i a_i b_i', or += it if `add`: `count` blocks a_i of k directions and b_i of l, one behind the other.
void block_gram(double* out, Block a, int k, Block b, int l, int count, int add, SubspaceRoom* room);

// out (k) += turn' a (l), turn (l,k)
void block_add_turned_all(Block out, int k, const float* turn, Block a, int l);

// Makes the k rows of y orthonormal, in double precision; those that are rounding errors of the rows before become zeros. other: as
// large as y, overwritten.
void block_orthonormalise_all(Block y, Block other, int k, SubspaceRoom* room);

// Eigenvectors of each symmetric H (k,k) in the columns of its E (k,k); the eigenvalues are left on the diagonal of H, in any order.
typedef struct { double *H, *E; int k; } Symmetric;
enum { MOST_SYMMETRIC = 32 };
void eigenvectors_all(const Symmetric* all, int count, SubspaceRoom* room);

#endif // DRPT_SUBSPACE_CUH
