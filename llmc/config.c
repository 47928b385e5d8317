// config.c -- what a training run can be told.
#include "config.h"
#include "objective.h"

const Config config_defaults = {
    .objective = "sft", .beta = 0.1,
    .batch = 8, .target_batch = 1, .accumulate = 1, .steps = -1,
    .lr = 3e-4, .final_lr = 1.0, .clip = 1.0, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
    .schedule = "cosine", .optimizer = "adamw", .seed = 42,
    .val_every = 20, .val_batches = 20, .sample_tokens = 64,
    .temperature = 1.0, .top_p = 1.0, .draws = 20, .draw_batches = 4,
};

#define AT(field) offsetof(Config, field)
#define MOST 2147483647
#define CHOICE(name, ...) "|" #name
#define HELP(name, help) "\n        " #name ": " help

static const Option options[] = {
    { .name = "Model and data" },
    { "init",         "e", OPTION_TEXT, AT(init),         0, 0,    NULL, "checkpoint file, or sizes for random weights: d12, d24, ... or L4,H4,C128,V257,T128" },
    { "general",      "i", OPTION_TEXT, AT(general),      0, 0,    NULL, "general data: an examples file, token shards, or a quoted pattern of files" },
    { "target",       NULL, OPTION_TEXT, AT(target),      0, 0,    NULL, "target data" },
    { "val",          "j", OPTION_TEXT, AT(val),          0, 0,    NULL, "held-out target data" },
    { "val-general",  NULL, OPTION_TEXT, AT(val_general), 0, 0,    NULL, "held-out general data: what is forgotten" },
    { "tokenizer",    NULL, OPTION_TEXT, AT(tokenizer),   0, 0,    NULL, "bytes, or llm.c's tokenizer file; bytes for a vocabulary of 257, else gpt2_tokenizer.bin" },
    { "out",          "o", OPTION_TEXT, AT(out),          0, 0,    NULL, "output directory; without it nothing is written" },

    { .name = "Training" },
    { "objective",    NULL, OPTION_TEXT, AT(objective),   0, 0,    &(OBJECTIVES(CHOICE))[1], "what the loss is" OBJECTIVES(HELP) "\n       " },
    { "beta",         NULL, OPTION_REAL, AT(beta),        1e-6, 1e3, NULL, "how much it counts that the better row has gained more on the reference than the worse: margin = beta * difference of log-probabilities (dpo)" },
    { "reference",    NULL, OPTION_TEXT, AT(reference),   0, 0,    NULL, "checkpoint file of the frozen reference; without it what --init says (dpo; grpo and ppo with --kl)" },
    { "batch",        "b", OPTION_INT,  AT(batch),        1, 65536, NULL, "general sequences in a micro-batch; pairs of them (dpo, reward); responses (grpo, ppo)" },
    { "target-batch", NULL, OPTION_INT, AT(target_batch), 1, 65536, NULL, "target sequences in a micro-batch; pairs of them (dpo, reward); responses (grpo, ppo)" },
    { "seq",          "t", OPTION_INT,  AT(seq),          0, 1 << 20, NULL, "sequence length; 0: the examples file's, or 64; grpo, ppo: of prompt and response together, 0 has room for the answers in the data" },
    { "accumulate",   NULL, OPTION_INT, AT(accumulate),   1, 65536, NULL, "micro-batches in a step; one feasible set for all of them" },
    { "recompute",    NULL, OPTION_SWITCH, AT(recompute), 0, 1,    NULL, "keep the blocks' outputs only and compute the rest again: less memory, more time" },
    { "steps",        "x", OPTION_INT,  AT(steps),       -1, 1e9,  NULL, "optimizer steps; -1: one pass over the general data, or else the target's" },
    { "optimizer",    NULL, OPTION_TEXT, AT(optimizer),   0, 0,    "adamw|sgd", "how a gradient moves the weights" },
    { "lr",           "l", OPTION_REAL, AT(lr),           0, 1e3,  NULL, "learning rate, its highest value" },
    { "schedule",     "k", OPTION_TEXT, AT(schedule),     0, 0,    "cosine|linear|constant|wsd", "of the learning rate after the warm-up" },
    { "warmup",       "u", OPTION_INT,  AT(warmup),       0, 1e9,  NULL, "steps of linear warm-up" },
    { "final-lr",     "q", OPTION_REAL, AT(final_lr),     0, 1,    NULL, "fraction of the learning rate at the end" },
    { "weight-decay", "c", OPTION_REAL, AT(weight_decay), 0, 1e3,  NULL, "of the weight matrices and embeddings" },
    { "clip",         NULL, OPTION_REAL, AT(clip),        0, 1e9,  NULL, "largest norm of the gradient; 0: no bound" },
    { "beta1",        NULL, OPTION_REAL, AT(beta1),       0, 0.999999, NULL, "AdamW's memory of the gradient" },
    { "beta2",        NULL, OPTION_REAL, AT(beta2),       0, 0.999999, NULL, "AdamW's memory of its square" },
    { "eps",          NULL, OPTION_REAL, AT(eps),         1e-15, 1, NULL, "AdamW's smallest divisor" },
    { "seed",         NULL, OPTION_INT,  AT(seed),        0, MOST, NULL, "of everything random" },
    { "precision",    NULL, OPTION_TEXT, AT(precision),   0, 0,    "fp32|tf32|bf16", "of the matrix products, or (bf16) of weights and activations as well: then model_final.bin is in bf16, checkpoints stay in fp32; fp32 on the CPU, else tf32" },
    { "threads",      NULL, OPTION_INT,  AT(threads),     0, 1024, NULL, "0: all there are" },

    { .name = "Evaluation, samples, checkpoints" },
    { "val-every",    "v", OPTION_INT,  AT(val_every),    0, 1e9,  NULL, "steps between evaluations; 0: never" },
    { "val-batches",  "m", OPTION_INT,  AT(val_batches), -1, 1e9,  NULL, "batches of --batch rows, pairs or prompts in an evaluation; -1: all" },
    { "sample-every", "s", OPTION_INT,  AT(sample_every), 0, 1e9,  NULL, "steps between printed samples; 0: never" },
    { "sample-tokens", "g", OPTION_INT, AT(sample_tokens), 1, 1 << 20, NULL, "tokens of a sample" },
    { "generate",     NULL, OPTION_TEXT, AT(generate),    0, 0,    NULL, "print a continuation of this text and exit" },
    { "temperature",  NULL, OPTION_REAL, AT(temperature), 0, 100,  NULL, "of samples and responses; 0: the most likely token, of samples alone" },
    { "top-k",        NULL, OPTION_INT,  AT(top_k),       0, 65536, NULL, "samples among this many most likely tokens; 0: all" },
    { "top-p",        NULL, OPTION_REAL, AT(top_p),   0.000001, 1,  NULL, "samples among the fewest most likely tokens that have this probability together (at --temperature, among the --top-k); 1: all" },
    { "save-every",   "n", OPTION_INT,  AT(save_every),   0, 1e9,  NULL, "steps between checkpoints; 0: only the final model" },
    { "keep-checkpoints", "nk", OPTION_INT, AT(keep_checkpoints), 0, 1e6, NULL, "how many of them to keep; 0: all" },
    { "resume",       "y", OPTION_SWITCH, AT(resume),     0, 1,    NULL, "continue from the last checkpoint in --out, bit for bit" },
    { "probe",        NULL, OPTION_TEXT, AT(probe),       0, 0,    NULL,
      "measure instead of training: bias and variance of the updates named in this file, a line 'label | options' each, into --out; "
      "--target: rows to draw targets from, --val: rows whose gradient counts as the true one" },
    { "draws",        NULL, OPTION_INT,  AT(draws),       2, 65536, NULL, "target draws of --target-batch rows each (--probe)" },
    { "draw-batches", NULL, OPTION_INT,  AT(draw_batches), 2, 65536, NULL, "batches of general rows that each of them meets (--probe)" },
    { "dump-update",  NULL, OPTION_TEXT, AT(dump_update), 0, 0,    NULL, "file for the update direction of the last step, laid out as a checkpoint" },
};

OptionTable config_option_table(Config* c) {
    return (OptionTable){ options, sizeof(options) / sizeof(options[0]), c };
}
