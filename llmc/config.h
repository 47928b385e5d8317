// config.h -- what a training run can be told, with its defaults.
#ifndef LLMC_CONFIG_H
#define LLMC_CONFIG_H

#include "options.h"

typedef struct {
    const char *init, *general, *target, *val, *val_general, *out;
    const char *objective, *reference;
    double beta;
    int batch, target_batch, seq, accumulate, recompute, steps;
    double lr, final_lr, weight_decay, clip, beta1, beta2, eps;
    int warmup;
    const char *schedule, *optimizer;
    const char* precision; // NULL: the device's own
    int seed, threads;
    int val_every, val_batches, sample_every, sample_tokens;
    int save_every, keep_checkpoints, resume;
    const char *generate, *tokenizer, *dump_update, *probe;
    int draws, draw_batches;
    double temperature, top_p;
    int top_k;
} Config;

extern const Config config_defaults;
OptionTable config_option_table(Config* c);

#endif // LLMC_CONFIG_H
