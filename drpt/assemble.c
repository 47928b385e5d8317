// assemble.c -- the weighted sum of per-row gradients, without forming any of them: the rows of one factor are
// scaled, then it is one ordinary product.
#include "assemble.h"
#include "../llmc/matmul.h"

size_t assemble_scratch(int most, int T, int widest) {
    (void)widest;
    return (size_t)most * T * SLAB_MAX_ROWS;
}

void drpt_assemble(const Site* site, const float* weight, int B, int most, int T, float* scratch, size_t part, int threads) {
    Site rest = *site;
    (void)most; // rows without a weight are passed over as they come
    if (!weight && site_is_product(site) && site->stride == site->rows) {
        // Nothing to scale: the ordinary gradient, in one piece.
        matmul_backward_params(site->dweight, site->dbias, site->dout, site->inp, B * T, site->cols, site->rows);
        if (site->kind == SITE_LINEAR) { return; }
        rest.kind = SITE_LOOKUP;
    }
    // Two slabs a thread at least, if there are as many rows, so that all threads have work.
    int slab = site->rows / (2 * threads) + 1;
    slab = slab > SLAB_MAX_ROWS ? SLAB_MAX_ROWS : slab;
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        for (int o = thread * slab; o < site->rows; o += threads * slab) {
            int count = site->rows - o < slab ? site->rows - o : slab;
            site_gradient(site->dweight + (size_t)o * site->cols, site->dbias ? site->dbias + o : NULL,
                          &rest, weight, 0, B, T, o, count, scratch + (size_t)thread * part);
        }
    }
}

// to (count) += the weighted sum of the gradients' floats from `at` on, a piece of `to` staying in L1 for all of them.
static void add_kept(float* to, const float* weight, const float* kept, size_t at, size_t apart, int n, int count) {
    for (int i = 0; i <= n; i++) {
        float w = weight[i];
        const float* from = kept + (size_t)i * apart + at;
        if (w == 0.0f) { continue; }
        for (int k = 0; k < count; k++) { to[k] += w * from[k]; }
    }
}

void drpt_assemble_kept(const Site* site, const float* weight, const float* kept, int n, int threads) {
    size_t weights = (size_t)site->rows * (size_t)site->cols, apart = site_size(site);
    enum { PIECE = 4096 };
    #pragma omp parallel for num_threads(threads)
    for (size_t at = 0; at < weights; at += PIECE) {
        add_kept(site->dweight + at, weight, kept, at, apart, n, weights - at < PIECE ? (int)(weights - at) : PIECE);
    }
    if (site->dbias) { add_kept(site->dbias, weight, kept, weights, apart, n, site->rows); }
}
