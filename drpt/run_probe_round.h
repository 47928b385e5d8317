// run_probe_round.h -- what --probe does of an objective that samples: responses at the checkpoint, as the rows that draws and batches are
// made of.
//
// A batch of general rows is a round of one step: the next prompts, a group of responses to each. A target draw is a set of prompts of its own
// and a group of responses to each; they are kept for all of its batches, or with --target-refresh drawn anew after so many of them. The
// reference is of one group of responses to each prompt of --val.
#ifndef DRPT_RUN_PROBE_ROUND_H
#define DRPT_RUN_PROBE_ROUND_H

#include "probe.h"
#include "run.h"

#ifdef __cplusplus
extern "C" {
#endif

// Responses to the prompts [first, end) of --val are half of the reference. No two halves have a response in common.
void probe_round_reference(Run* run, Probe* probe, int half, size_t first, size_t end);

// One target draw, whose first prompt the reader of --target had at (epoch, position), with one batch.
void probe_round_pass(Run* run, Probe* probe, int draw, int batch, uint64_t epoch, uint64_t position);

#ifdef __cplusplus
}
#endif

#endif // DRPT_RUN_PROBE_ROUND_H
