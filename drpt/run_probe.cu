// run_probe.cu -- see run_probe.h.
#include "run_probe.h"
#include "../llmc/check.h"

void run_probe(struct Run*) { die("--probe: the CPU trainer measures, on the same checkpoints: build/train_gpt2_drpt"); }
