// round.h -- policy gradients in rounds: prompts are answered by the model itself, the answers are judged, and some optimizer steps learn
// from them.
//
// A row, which gets one weight from the regularizer, is one response. A step takes --batch * --accumulate general responses of the
// round, in another order each epoch, and the target's; all of them are in one feasible set. The gradient of the target comes from
// responses to prompts that are held out (--target), or, where a method needs a target and none is given, from the step's general
// responses themselves, which then stand in the batch twice, with other weights: self-reference.
//
// A round is in progress when a checkpoint is written, and stands in a file beside it, round_00000012.bin (round_file.c): header of 256
// int32, [0] 20260612, [1] version 1, [2] general rows R, [3] target rows M (R of self-reference), [4] T, [5] responses to a prompt, [6] rounds
// begun, [7] steps of this one that are done, [8] steps since the target's responses were drawn, [9] how often they were, [10] degenerate
// groups, [11] rows that --iif kept, and what the run must go on with: [12] --epochs (0, in older files: nothing is said), [13] --objective, [14]
// --target-objective, numbered as in their enums, [15] --iif, [16] 1 if there is --kl, [17] --refresh of bases, 0 without; 8 doubles, [0] the coefficient of the KL, [1] the round's mean divergence of a response
// from the reference, [2] of how many responses; and then for the general and for the target rows: tokens, int32
// (rows,T); mask, bytes (rows,T); old, reference, value, advantage, returns, float (rows,T); reward, float (rows); length, domain,
// int32 (rows); usable, bytes (rows).
#ifndef DRPT_ROUND_H
#define DRPT_ROUND_H

#include "iif.h"
#include "prompts.h"
#include "reward_model.h"
#include "rollout.h"
#include "../llmc/batch.h"
#include "../llmc/gpt2_file.h"
#include "../llmc/objective.h"
#include "../llmc/runlog.h"

#ifdef __cplusplus
extern "C" {
#endif

struct Run;

typedef struct {
    int rollouts, group_size, epochs, max_new;
    double clip_ratio, kl, kl_stop;
    const char* target_objective;
    int target_refresh, leave_one_out, iif;
    const char* reward_model;
    double kl_target, kl_horizon, gamma, lambda, value_clip, value_weight; // ppo
} RoundOptions;

extern const RoundOptions round_defaults;
OptionTable round_option_table(RoundOptions* o); // of all objectives with rounds
OptionTable ppo_option_table(RoundOptions* o);   // of ppo alone

// What the target's gradient is of. avg_reward: the mean reward, by REINFORCE with the mean as baseline; pre_clip: the objective without its
// ratios and bounds, REINFORCE with its advantages; objective: the objective itself.
typedef enum { TARGET_avg_reward, TARGET_pre_clip, TARGET_objective } TargetObjective;

// Responses. Where the mask of position t is 1, token t + 1 was sampled, and the numbers of position t are about it.
typedef struct {
    int rows, T;
    int* tokens;              // (rows,T) zeros behind a row's end
    unsigned char* mask;      // (rows,T)
    float *old, *reference;   // (rows,T) log-probabilities: of the policy that sampled, of the reference
    float *value, *advantage, *returns; // (rows,T)
    float* reward;            // (rows)
    int *length, *domain;     // (rows) tokens, the prompt's among them; which file the prompt is from
    unsigned char* usable;    // (rows) 0: nothing is learnt from it
    Arena arena;
} RoundRows;

// Where a round and the readers stand, and what the next round is to know of this one.
typedef struct {
    int number, done, target_age, target_draws, degenerate, kept;
    double kl, divergence, responses;
    DataPosition position;
} RoundState;

typedef struct Round {
    Objective objective;
    TargetObjective target_objective;
    int group;                // responses to a prompt
    int own_target;           // self-reference: target row i is a copy of general row i
    Iif* iif;                 // NULL: nothing is filtered
    Prompts prompts;
    Rollouts rollouts;
    Rewarder judge;           // of evaluations, and if there is no model of all responses
    int has_judge;
    RewardModel reward_model; // of responses that are learnt from; without a judge, of all
    GPT2* reference;          // NULL: nothing asks for it
    RoundRows general, target;
    RoundRows step;           // the rows of one step, as in its batch
    size_t* source;           // (rollouts.rows) rows of the data
    double* rewards;          // (rollouts.rows)
    uint32_t* order;          // (general.rows) of this epoch
    double kl;                // the coefficient
    double divergence, responses; // of ppo: what adapts it, the mean divergence of a response of the last round from the reference, and of how many
    float *token_reward, *after; // of ppo: (most, T), (most) of the larger of both kinds of rows
    float *values, *dvalue, *share; // of ppo: (rows of a pass, T); (rows of a pass)
    int steps;                // of a whole round
    int number, done;         // rounds begun; steps of the last one that are done
    int target_age, target_draws;
    int degenerate, kept;     // of the round: groups where no response is better than another; rows kept by --iif, -1 without
    RoundState before;        // the step at hand
} Round;

int objective_has_rounds(const char* name);

// Ends the program if the options make no sense together; also where the objective has no rounds, if one of theirs was given.
void round_check_options(const struct Run* run);

// How many rows of responses a step has, and how many steps make one pass over the prompts.
int round_is_own_target(const struct Run* run);
int round_steps_of_a_pass(const struct Run* run);
int round_least_rows(const struct Run* run, int most); // of a pass, where its steps need `most`

// Are there general responses in a round that begins with this step? Not if none of its steps renews the bases of a method that keeps some.
int round_wants_general(const struct Run* run, int step);

// The length of a row where the data's rows are so wide, and the context is so long: --seq, or all that is there.
int round_row_length(const Config* c, size_t widest, int context);

// After the batch of a step and the data are there.
void round_open(struct Run* run);
void round_close(struct Run* run);

// The gradients hold the update direction of the step then. Begins a round where the last one has come to its end, or is ended because
// the policy has moved too far from the one that sampled.
void round_update(struct Run* run, int step, StepRow* row);

// Before a step, or evaluation; and back to there from where the responses of another round, or of the target, are being drawn.
void round_remember(struct Run* run);
void round_recall(struct Run* run);

// One response to each of the first prompts of --val and --val-general, into eval.csv and the row.
void round_evaluate(struct Run* run, StepRow* row);

// The round at hand.
void round_save(const struct Run* run, const char* path);
void round_load(struct Run* run, const char* path);

// Parts of it: rows of responses (round_file.c).
RoundRows round_rows_create(int rows, int T);
void round_rows_free(RoundRows* r);
void round_rows_copy(RoundRows* to, int at, const RoundRows* from, int row); // all that is said about one row
Responses round_responses(const RoundRows* r);
void round_batch_row(Batch* b, size_t at, const RoundRows* rows, int row); // as row `at` of a batch, counted through its micro-batches

// Weights of responses of the general part (0) or the target's (1), as the objective or --target-objective says; with ppo the gradients of
// their values. Their numbers are those of `of` from `row` on; logp and values (rows.B,T) are of the policy as it is (round_step.c).
void round_weigh(const struct Run* run, float* weight, ObjectiveStats* stats, Responses rows, int part, const RoundRows* of, size_t row,
                 const float* logp, double share);
void round_weigh_values(const struct Run* run, float* dvalue, ObjectiveStats* stats, Responses rows, int part, const RoundRows* of, size_t row,
                        const float* values, double share);

// The round's rows, drawn and judged, with their advantages (round_draw.c). step: the round's first.
void round_begin(struct Run* run, int step);
void round_draw_target(struct Run* run);
int round_compare(RoundRows* rows, int group); // advantages by reward within groups; returns how many are degenerate: no longer usable

// Of these: responses to the next prompts of a reader, a group to each, by the random numbers that belong to their number in the stream; and
// advantages of target rows.
void round_draw(struct Run* run, RoundRows* to, Reader* reader, uint64_t stream, int number);
void round_compare_target(struct Run* run, RoundRows* rows);

// A step (round_step.c): its rows into the batch, of all micro-batches the general ones and then the target's; and forward and backward of all
// micro-batches, of each its rows from `first` on, without those that are found to be broken. 0: the policy has moved too far, and there is no
// gradient.
void round_fill(struct Run* run);
int round_compute(struct Run* run, Drpt* drpt, int step, int first, StepRow* row);

#ifdef __cplusplus
}
#endif

#endif // DRPT_ROUND_H
