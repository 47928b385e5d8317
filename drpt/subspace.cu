// subspace.cu -- products, orthonormal directions and eigenvectors of blocks of directions; see subspace.cuh.
#include "subspace.cuh"
#include "../llmc/product.cuh"

enum { BLOCK = 256, TILE = 16, CHUNK = 128, MOST_PARTS = 256, PARTIAL = 1 << 21 };

Block block_at(float* floats, int cols, int bias, int k) {
    return Block{ floats, bias && floats ? floats + (size_t)cols * k : NULL, cols };
}

void subspace_free(SubspaceRoom* room) {
    for (Buffer* b : { &room->partial, &room->gram, &room->turn, &room->before }) { device_free(b->data); }
}

void block_zero(Block x, int k) {
    device_zero(x.main, sizeof(float) * (size_t)k * (size_t)x.cols);
    if (x.bias) { device_zero(x.bias, sizeof(float) * (size_t)k); }
}

void block_copy(Block to, Block from, int k) {
    device_copy(to.main, from.main, sizeof(float) * (size_t)k * (size_t)to.cols);
    if (to.bias) { device_copy(to.bias, from.bias, sizeof(float) * (size_t)k); }
}

void block_add_turned_all(Block out, int k, const float* turn, Block a, int l) {
    product(matrix(out.main, k, out.cols), turned(turn, l, k), matrix(a.main, l, out.cols), 1.0f);
    if (out.bias) { product(matrix(out.bias, k, 1), turned(turn, l, k), matrix(a.bias, l, 1), 1.0f); }
}

// ---------------------------------------------------------------------------------------------
// Inner products of directions, in double precision: a block takes TILE x TILE of them over every gridDim.z-th chunk of the columns;
// a second kernel adds the parts in order.

// grid (k / TILE; l / TILE; parts), block (TILE, TILE)
static __global__ void gram_kernel(double* partial, const float* a, const float* b, int k, int l, int cols, int count, int chunk) {
    __shared__ float left[TILE][TILE + 1], right[TILE][TILE + 1];
    int x = threadIdx.x, y = threadIdx.y, i = blockIdx.x * TILE + y, j = blockIdx.y * TILE + x, other = blockIdx.y * TILE + y;
    int begin = blockIdx.z * chunk, end = begin + chunk < cols ? begin + chunk : cols;
    double sum = 0.0;
    for (size_t batch = 0; batch < (size_t)count; batch++) {
        for (int c = begin; c < end; c += TILE) {
            __syncthreads(); // the last tiles have been read
            left[y][x] = i < k && c + x < end ? a[(batch * k + i) * cols + c + x] : 0.0f;
            right[y][x] = other < l && c + x < end ? b[(batch * l + other) * cols + c + x] : 0.0f;
            __syncthreads();
            for (int t = 0; t < TILE; t++) { sum += (double)left[y][t] * (double)right[x][t]; }
        }
    }
    if (i < k && j < l) { partial[((size_t)blockIdx.z * k + i) * l + j] = sum; }
}

// grid (k * l / BLOCK), block (BLOCK)
static __global__ void gram_add_kernel(double* out, const double* partial, int parts, const float* a, const float* b, int k, int l, int count, int add) {
    size_t e = (size_t)blockIdx.x * BLOCK + threadIdx.x, size = (size_t)k * (size_t)l;
    if (e >= size) { return; }
    double sum = add ? out[e] : 0.0;
    for (int p = 0; p < parts; p++) { sum += partial[(size_t)p * size + e]; }
    for (size_t batch = 0; a && batch < (size_t)count; batch++) {
        sum += (double)a[batch * k + e / (size_t)l] * (double)b[batch * l + e % (size_t)l];
    }
    out[e] = sum;
}

void block_gram(double* out, Block a, int k, Block b, int l, int count, int add, SubspaceRoom* room) {
    size_t size = (size_t)k * (size_t)l;
    int most = size * MOST_PARTS <= PARTIAL ? MOST_PARTS : size < PARTIAL ? (int)(PARTIAL / size) : 1;
    int chunk = ((a.cols + most - 1) / most + TILE - 1) / TILE * TILE;
    chunk = chunk < CHUNK ? CHUNK : chunk;
    unsigned parts = blocks_of((size_t)a.cols, (size_t)chunk);
    double* partial = buffer_take<double>(&room->partial, parts * size);
    gram_kernel<<<dim3(blocks_of((size_t)k, TILE), blocks_of((size_t)l, TILE), parts), dim3(TILE, TILE)>>>(
        partial, a.main, b.main, k, l, a.cols, count, chunk);
    LAUNCHED();
    gram_add_kernel<<<blocks_of(size, BLOCK), BLOCK>>>(out, partial, (int)parts, a.bias, b.bias, k, l, count, add);
    LAUNCHED();
}

// ---------------------------------------------------------------------------------------------
// Orthonormal directions. Gram and Schmidt's coefficients follow from the inner products alone: with Y Y' = L D L', the rows of
// D^-1/2 L^-1 Y are orthonormal. Twice, because once leaves what rounding of a long vector is in the rest of a short one.

// W (k,k) = D^-1/2 L^-1 by elimination in A = Y Y', overwritten. Rows of which nothing but rounding is left become zeros. before: k
// numbers. grid (1), block (BLOCK)
static __global__ void inverse_factor_kernel(double* W, double* A, double* before, int k) {
    for (int e = threadIdx.x; e < k * k; e += BLOCK) {
        W[e] = e % (k + 1) == 0 ? 1.0 : 0.0;
        if (e % (k + 1) == 0) { before[e / (k + 1)] = A[e]; }
    }
    __syncthreads();
    for (int p = 0; p < k; p++) {
        double rest = A[p*k + p];
        if (!(rest > 1e-14 * before[p])) { continue; }
        for (int e = threadIdx.x; e < (k - p - 1) * k; e += BLOCK) { // of the rows below, those of W up to column p, those of A behind it
            int i = p + 1 + e / k, j = e % k;
            double* to = j <= p ? W : A;
            to[i*k + j] -= A[i*k + p] / rest * to[p*k + j];
        }
        __syncthreads();
    }
    for (int e = threadIdx.x; e < k * k; e += BLOCK) {
        double rest = A[e / k * (k + 1)];
        W[e] = rest > 1e-14 * before[e / k] ? W[e] / sqrt(rest) : 0.0;
    }
}

// out (k,cols) = W y, W lower triangular; its last column is the bias, if there is one. grid (columns / BLOCK; k), block (BLOCK)
static __global__ void apply_kernel(Block out, const double* W, Block y, int k) {
    int c = blockIdx.x * BLOCK + threadIdx.x, i = blockIdx.y;
    if (c > y.cols || (c == y.cols && !y.bias)) { return; }
    double sum = 0.0;
    for (int j = 0; j <= i; j++) { sum += W[i*k + j] * (double)(c < y.cols ? y.main[(size_t)j * y.cols + c] : y.bias[j]); }
    *(c < y.cols ? &out.main[(size_t)i * y.cols + c] : &out.bias[i]) = (float)sum;
}

static void orthonormalise_once(Block out, Block y, int k, SubspaceRoom* room) {
    double* A = buffer_take<double>(&room->gram, (size_t)k * (size_t)k);
    double* W = buffer_take<double>(&room->turn, (size_t)k * (size_t)k);
    block_gram(A, y, k, y, k, 1, 0, room);
    inverse_factor_kernel<<<1, BLOCK>>>(W, A, buffer_take<double>(&room->before, (size_t)k), k);
    LAUNCHED();
    apply_kernel<<<dim3(blocks_of((size_t)y.cols + 1, BLOCK), (unsigned)k), BLOCK>>>(out, W, y, k);
    LAUNCHED();
}

void block_orthonormalise_all(Block y, Block other, int k, SubspaceRoom* room) {
    orthonormalise_once(other, y, k, room);
    orthonormalise_once(y, other, k, room);
}

// ---------------------------------------------------------------------------------------------
// Eigenvectors, by Jacobi's rotations, which find the small ones of a graded H as exactly as the large. As many rotations at a time as
// have no direction in common: each round pairs all directions, k - 1 rounds every direction with every other.

// Pair i of round r, of an even number of players: the last one stays in place, the others go round.
static __device__ void pair_of(int* p, int* q, int i, int r, int players) {
    int around = players - 1, a = i == 0 ? around : (r + i) % around, b = (r - i + around) % around;
    *p = a < b ? a : b;
    *q = a < b ? b : a;
}

// The cosine and sine that make H[p,q] zero; returns whether it is not one already.
static __device__ int rotation(double* c, double* s, const double* H, int k, int p, int q) {
    double off = H[p*k + q], a = H[p*k + p], b = H[q*k + q];
    *c = 1.0;
    *s = 0.0;
    if (!(fabs(off) > 1e-12 * sqrt(fabs(a * b))) || fabs(off) < 1e-30) { return 0; }
    double theta = (b - a) / (2.0 * off), t = (theta >= 0.0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    *c = 1.0 / sqrt(t * t + 1.0);
    *s = t * *c;
    return 1;
}

// x and y, `stride` apart for each of k, are turned.
static __device__ void rotate(double* x, double* y, double c, double s) {
    double a = *x, b = *y;
    *x = c * a - s * b;
    *y = s * a + c * b;
}

typedef struct { Symmetric one[MOST_SYMMETRIC]; } Problems;

// A block has a matrix. angle (blocks, apart): of the rotations of a round, two of each pair. grid (matrices), block (BLOCK)
static __global__ void eigenvectors_kernel(Problems all, double* angle, size_t apart) {
    double *H = all.one[blockIdx.x].H, *E = all.one[blockIdx.x].E;
    int k = all.one[blockIdx.x].k;
    angle += blockIdx.x * apart;
    int players = k + k % 2, pairs = players / 2;
    for (int e = threadIdx.x; e < k * k; e += BLOCK) { E[e] = e % (k + 1) == 0 ? 1.0 : 0.0; }
    __syncthreads();
    for (int sweep = 0, going = 1; going && sweep < 60; sweep++) {
        int mine = 0;
        for (int r = 0; r < players - 1; r++) {
            int p, q;
            for (int i = threadIdx.x; i < pairs; i += BLOCK) {
                pair_of(&p, &q, i, r, players);
                angle[2*i] = 1.0;
                angle[2*i + 1] = 0.0;
                if (q < k) { mine += rotation(&angle[2*i], &angle[2*i + 1], H, k, p, q); }
            }
            __syncthreads();
            for (int e = threadIdx.x; e < pairs * k; e += BLOCK) { // columns
                int i = e / k, row = e % k * k;
                pair_of(&p, &q, i, r, players);
                if (q >= k || angle[2*i + 1] == 0.0) { continue; }
                rotate(&H[row + p], &H[row + q], angle[2*i], angle[2*i + 1]);
                rotate(&E[row + p], &E[row + q], angle[2*i], angle[2*i + 1]);
            }
            __syncthreads();
            for (int e = threadIdx.x; e < pairs * k; e += BLOCK) { // rows
                int i = e / k, column = e % k;
                pair_of(&p, &q, i, r, players);
                if (q < k && angle[2*i + 1] != 0.0) { rotate(&H[p*k + column], &H[q*k + column], angle[2*i], angle[2*i + 1]); }
            }
            __syncthreads();
        }
        going = block_sum<BLOCK>(mine) > 0;
    }
}

void eigenvectors_all(const Symmetric* matrix, int count, SubspaceRoom* room) {
    Problems all = {};
    size_t apart = 0;
    if (count == 0) { return; }
    for (int i = 0; i < count; i++) {
        all.one[i] = matrix[i];
        apart = (size_t)matrix[i].k + 1 > apart ? (size_t)matrix[i].k + 1 : apart;
    }
    eigenvectors_kernel<<<(unsigned)count, BLOCK>>>(all, buffer_take<double>(&room->before, apart * (size_t)count), apart);
    LAUNCHED();
}
