// objective.h -- the objectives of post-training, each as coefficients on the tokens' log-probabilities.
//
// The classifier's backward has dlogits = weight (softmax - onehot), the gradient of -weight log p(target). So what an objective L
// has to say to the model is one number a position, of either sign,
//     weight = -dL / dlogp,
// and forward, backward, sites and feasible sets are those of ordinary training. A head for values or scores gets dL/dvalue, dL/dscore.
//
// What advantages are made of needs all rows of a step. What has a `share` is called for each micro-batch: share is what one token
// (or pair) counts in the loss, 1 / their number in the whole step, so that micro-batches add up to what one batch would give.
#ifndef LLMC_OBJECTIVE_H
#define LLMC_OBJECTIVE_H

#ifdef __cplusplus
extern "C" {
#endif

// The one table of objectives, for options and their help. Sources: DPO, Rafailov et al. 2023; rewards from comparisons, Bradley and
// Terry 1952; PPO, Schulman et al. 2017, with the rewards of Ziegler et al. 2019; GRPO, Shao et al. 2024.
//    name     what it is
#define OBJECTIVES(X)                                                                                                  \
    X(sft,    "-log p of the trained tokens")                                                                          \
    X(dpo,    "pairs of rows, the better one first: -log sigmoid of how much more than a frozen reference it prefers") \
    X(reward, "pairs of rows, the better one first: -log sigmoid of the difference of their scores")                   \
    X(grpo,   "responses sampled in rounds, in groups to a prompt: clipped ratio, with advantages within a group")       \
    X(ppo,    "responses sampled in rounds: clipped ratio, with advantages over a learned value")

#define OBJECTIVE_ENUM(name, ...) OBJECTIVE_##name,
typedef enum { OBJECTIVES(OBJECTIVE_ENUM) NUM_OBJECTIVES } Objective;
#undef OBJECTIVE_ENUM

// B rows of T positions. Arrays are (B,T) if nothing else is said; where the mask is 0 nothing is read, and outputs are 0. A row that is not
// usable has outputs 0; so has, from then on, a row without a trained position or with an input that is not finite there.
typedef struct {
    const unsigned char* mask; // (B,T) 1: the target of the position is trained on
    unsigned char* usable;     // (B) cleared where a row must be left out
    int B, T;
} Responses;

// What the functions add up, over all micro-batches of a step; each field belongs to one or two of them.
typedef struct {
    double empty, broken;                   // rows left out: without a trained position; with a number that is not finite
    double loss;                            // of the step, the value's apart
    double pairs, correct, margin;          // dpo, reward: pairs, those in the right order (a tie is half of one), sum of margins
    double responses, kl_penalty;           // ppo_rewards: responses, sum of log(pi / reference)
    double groups, degenerate;              // grpo_advantages: groups, those where no response is better than another
    double tokens, clipped;                 // policy_weights: tokens, those without gradient because their ratio has moved enough
    double kl_old, kl_reference;            //     sums over tokens: divergence of the policy from the old one; from the reference
    double value_loss, value_clipped;       // value_gradient
} ObjectiveStats;

// Trained positions of the usable rows.
long trained_tokens(Responses r);

// Direct preference optimisation. Rows 2i and 2i+1 are a pair, the better one first, and are left out together. With
// h = sum of logp - reference over a row: margin = beta (h_better - h_worse), L = share sum -log sigmoid(margin).
void dpo_weights(float* weight, ObjectiveStats* stats, // stats: added to, here and below
                 Responses r, const float* logp, const float* reference,
                 double beta, double share);

// The model of a reward, by Bradley and Terry: score (B), one a row; margin = score_better - score_worse, L as above.
void reward_gradient(float* dscore, ObjectiveStats* stats,
                     Responses r, const float* score,
                     double share);

// The reward of a token is -beta log(pi / reference), by the policy that drew it; the last one also has the row's score (B).
void ppo_rewards(float* reward, ObjectiveStats* stats,
                 Responses r, const float* score, const float* logp, const float* reference,
                 double beta);

// Generalised advantages (Schulman et al. 2016). The trained positions of a row, one after the other, are its decisions, and value is of the
// state in which each is made. after (B) is the value of the state after the last one: 0 where a response ends there, or is judged as it
// stands; what the value head says where it would go on. returns = advantage + value, what the value is to learn.
void ppo_advantages(float* advantage, float* returns, ObjectiveStats* stats,
                    Responses r, const float* reward, const float* value, const float* after,
                    double gamma, double lambda);

// Mean 0 and variance 1 over all trained positions of the step; all 0 if they are equal.
void whiten_advantages(float* advantage, ObjectiveStats* stats, Responses r);

// Each `group` rows are responses to one prompt. The advantage of all tokens of a row is (reward - mean) / (deviation + 1e-6) within its group,
// reward (B) being of the row; 0 in a degenerate group. One group of all rows: rewards standardised over the step.
void grpo_advantages(float* advantage, ObjectiveStats* stats,
                     Responses r, const float* reward,
                     int group);

// L = share sum -min(ratio A, clip(ratio, 1 - clip, 1 + clip) A) + kl k3, with ratio = pi / old and k3 the estimate of KL(pi, reference) that is
// never negative; reference: NULL without. With logp itself for old this is REINFORCE: weight = share A. A row whose weights would not be
// finite is left out and counted as broken; what its policy has moved is in kl_old all the same.
void policy_weights(float* weight, ObjectiveStats* stats,
                    Responses r, const float* logp, const float* old, const float* reference, const float* advantage,
                    double clip, double kl, double share);

// Whether the mean of kl_old over the tokens is above the limit, or there is none: the end of the round. It is known once all micro-batches
// have their weights, before the update that it is to prevent.
int policy_too_far(const ObjectiveStats* stats, double limit);

// L = share sum max((value - returns)^2, (near - returns)^2) / 2, where near is the value held within +-clip of the old one.
void value_gradient(float* dvalue, ObjectiveStats* stats,
                    Responses r, const float* value, const float* old, const float* returns,
                    double clip, double share);

// The coefficient of the KL penalty for the next round, after one with so many responses and this mean of kl_penalty: it grows or shrinks
// by at most 20 % in `horizon` responses.
double adapted_kl(double beta, double kl, double target, double responses, double horizon);

#ifdef __cplusplus
}
#endif

#endif // LLMC_OBJECTIVE_H
