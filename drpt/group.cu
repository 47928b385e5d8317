// group.cu -- several groups at once, a thread for each; see group.h.
#include "group.h"
#include "../llmc/device.cuh"

int group_batch(void) { return 8; } // a block has as many sites where Q, K and V are apart

// The groups on processors of their own: each is a long chain of operations in double precision, with nothing to share.
// grid (groups), block (1)
static __global__ void solve_kernel(GroupResult* result, double* alpha, double* score, float* weight, double* work, size_t work_size,
                                    Statistics first_slot, size_t apart, GroupTask task, int first) {
    size_t slot = blockIdx.x, at = (size_t)first + slot, n = (size_t)task.rows.n, m = (size_t)task.rows.m;
    Statistics st = first_slot;
    st.K += slot * apart;
    st.s += slot * apart;
    st.q += slot * apart;
    st.score += slot * apart;
    if (st.S) { st.S += slot * apart; st.Q += slot * apart; }
    group_solve_one(&result[at], alpha + at * n, score + at * n, weight + slot * (n + m), &st, &task, at, work + slot * work_size);
}

void group_solve(Groups* g, int first, int count, const GroupTask* task) {
    solve_kernel<<<(unsigned)count, 1>>>(g->result, g->alpha, g->score, g->weight, g->work, g->work_size, g->statistics, g->apart, *task, first);
    LAUNCHED();
}

// One warp: a lane adds up every 32nd row. grid (1), block (WARP)
static __global__ void add_normalised_kernel(double* score, const double* s, const double* before, const unsigned char* usable, int n) {
    int lane = threadIdx.x;
    double sum = 0.0, count = 0.0;
    for (int i = lane; i < n; i += WARP) {
        double added = before ? s[i] - before[i] : s[i];
        if (usable[i] && isfinite(added)) { sum += fabs(added); count += 1.0; }
    }
    sum = block_sum<WARP>(sum);
    count = block_sum<WARP>(count);
    for (int i = lane; i < n; i += WARP) { score[i] += sum > 0.0 ? (before ? s[i] - before[i] : s[i]) * count / sum : 0.0; }
}

void group_add_normalised(double* score, const double* s, const double* before, const unsigned char* usable, int n) {
    add_normalised_kernel<<<1, WARP>>>(score, s, before, usable, n);
    LAUNCHED();
}
