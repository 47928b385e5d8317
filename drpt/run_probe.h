// run_probe.h -- --probe: measuring bias and variance of the update directions at a checkpoint (probe.h) instead of training.
#ifndef DRPT_RUN_PROBE_H
#define DRPT_RUN_PROBE_H

#ifdef __cplusplus
extern "C" {
#endif

struct Run;

// The whole of it, into --out. run_close() frees what it took.
void run_probe(struct Run* run);

#ifdef __cplusplus
}
#endif

#endif // DRPT_RUN_PROBE_H
