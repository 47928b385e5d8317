// group.c -- one group after the other, on the host.
#include "group.h"

int group_batch(void) { return 1; }

void group_solve(Groups* g, int first, int count, const GroupTask* task) {
    size_t n = (size_t)g->n;
    for (int k = 0; k < count; k++) {
        size_t at = (size_t)(first + k), slot = (size_t)k;
        Statistics st = groups_statistics(g, k);
        group_solve_one(&g->result[at], g->alpha + at * n, g->score + at * n, g->weight + slot * (n + (size_t)g->m), &st, task, at,
                        g->work + slot * g->work_size);
    }
}

void group_add_normalised(double* score, const double* s, const double* before, const unsigned char* usable, int n) {
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        double added = before ? s[i] - before[i] : s[i];
        if (usable[i] && isfinite(added)) { sum += fabs(added); count++; }
    }
    for (int i = 0; i < n; i++) { score[i] += sum > 0.0 ? (before ? s[i] - before[i] : s[i]) * count / sum : 0.0; }
}
