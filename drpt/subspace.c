// subspace.c -- products, orthonormal directions and eigenvectors of blocks of directions.
#include "subspace.h"
#include "solve.h"
#include "../llmc/matmul.h"

#include <math.h>
#include <string.h>

Block block_at(float* floats, int cols, int bias, int k) {
    return (Block){ floats, bias && floats ? floats + (size_t)cols * k : NULL, cols };
}

void block_product(float* out, Block a, int k, Block b, int l) {
    matmul_forward(out, a.main, b.main, NULL, k, a.cols, l);
    for (int i = 0; a.bias && i < k; i++) {
        for (int j = 0; j < l; j++) { out[i*l + j] += a.bias[i] * b.bias[j]; }
    }
}

void block_add_turned(Block out, int k, const float* turn, Block a, int l) {
    matmul_backward_params(out.main, NULL, turn, a.main, l, out.cols, k);
    if (out.bias) { matmul_backward_params(out.bias, NULL, turn, a.bias, l, 1, k); }
}

void block_clear(Block x, int k) {
    memset(x.main, 0, sizeof(float) * (size_t)k * x.cols);
    if (x.bias) { memset(x.bias, 0, sizeof(float) * (size_t)k); }
}

void floats_scale(float* x, size_t count, float c) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < count; i++) { x[i] *= c; }
}

void block_scale(Block x, int k, float c) {
    floats_scale(x.main, (size_t)k * x.cols, c);
    if (x.bias) { floats_scale(x.bias, (size_t)k, c); }
}

static double dot(const double* x, const float* y, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t i = 0; i < count; i++) { sum += x[i] * y[i]; }
    return sum;
}

// x (cols + bias) minus its part along the first k directions, whose coefficients stay in `along`.
static void remove_part(double* x, double* along, Block q, int k) {
    size_t cols = (size_t)q.cols;
    #pragma omp parallel if (cols * (size_t)k > 100000)
    {
        #pragma omp for
        for (int j = 0; j < k; j++) { along[j] = dot(x, q.main + j * cols, cols) + (q.bias ? x[cols] * q.bias[j] : 0.0); }
        #pragma omp for
        for (size_t from = 0; from < cols; from += 512) { // stays in the first cache
            size_t count = cols - from < 512 ? cols - from : 512;
            for (int j = 0; j < k; j++) {
                const float* row = q.main + j * cols + from;
                #pragma omp simd
                for (size_t i = 0; i < count; i++) { x[from + i] -= along[j] * row[i]; }
            }
        }
    }
    for (int j = 0; q.bias && j < k; j++) { x[cols] -= along[j] * q.bias[j]; }
}

static double length(const double* x, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t i = 0; i < count; i++) { sum += x[i] * x[i]; }
    return sqrt(sum);
}

// Gram and Schmidt, twice because once leaves what rounding of a long vector is in the rest of a short one. Directions that are
// nothing but rounding are dropped; returns how many are left.
int block_orthonormalise(Block y, int k, double* x, double* along) {
    size_t cols = (size_t)y.cols, dim = cols + (y.bias != NULL);
    int kept = 0;
    for (int i = 0; i < k; i++) {
        for (size_t c = 0; c < cols; c++) { x[c] = y.main[i * cols + c]; }
        if (y.bias) { x[cols] = y.bias[i]; }
        double before = length(x, dim);
        remove_part(x, along, y, kept);
        remove_part(x, along, y, kept);
        double after = length(x, dim);
        if (!(after > 1e-7 * before)) { continue; }
        for (size_t c = 0; c < cols; c++) { y.main[kept * cols + c] = (float)(x[c] / after); }
        if (y.bias) { y.bias[kept] = (float)(x[cols] / after); }
        kept++;
    }
    return kept;
}

// Eigenvectors of the symmetric H (k,k) in the columns of E, its eigenvalues on the diagonal; by Jacobi's rotations, which find
// the small ones of a graded H as exactly as the large.
void eigenvectors(double* H, double* E, int k) {
    for (int i = 0; i < k * k; i++) { E[i] = i % (k + 1) == 0 ? 1.0 : 0.0; }
    for (int sweep = 0, turned = 1; turned && sweep < 60; sweep++) {
        turned = 0;
        for (int p = 0; p < k; p++) {
            for (int q = p + 1; q < k; q++) {
                double off = fabs(H[p*k + q]);
                if (!(off > 1e-12 * sqrt(fabs(H[p*k + p] * H[q*k + q]))) || off < 1e-30) { continue; }
                solve_rotate(H, E, k, p, q);
                turned = 1;
            }
        }
    }
}

double block_norm2(Block x, int k) {
    double sum = 0.0;
    for (size_t i = 0; i < (size_t)k * x.cols; i++) { sum += (double)x.main[i] * x.main[i]; }
    for (int i = 0; x.bias && i < k; i++) { sum += (double)x.bias[i] * x.bias[i]; }
    return sum;
}
