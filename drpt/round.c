// round.c -- rounds of policy gradients: what they are told, and their sizes.
#include "round.h"
#include "run.h"
#include "../llmc/check.h"

#include <string.h>

const RoundOptions round_defaults = {
    .epochs = 1, .max_new = 64, .clip_ratio = 0.2, .target_objective = "avg-reward", .leave_one_out = 1,
    .kl_horizon = 10000.0, .gamma = 1.0, .lambda = 0.95, .value_clip = 0.2, .value_weight = 0.1,
};

#define AT(field) offsetof(RoundOptions, field)
static const Option options[] = {
    { .name = "Rounds of policy gradients (grpo, ppo)" },
    { "rollouts",     NULL, OPTION_INT,  AT(rollouts),    0, 1 << 24, NULL, "responses of a round; 0: those of one step, --batch * --accumulate" },
    { "group-size",   NULL, OPTION_INT,  AT(group_size),  0, 65536, NULL, "responses to a prompt; 0: 8 (grpo), 1 (ppo)" },
    { "epochs",       NULL, OPTION_INT,  AT(epochs),      1, 1e6,  NULL, "how often a round's responses are learnt from" },
    { "max-new",      NULL, OPTION_INT,  AT(max_new),     1, 1 << 20, NULL, "most tokens of a response, which also ends with its row of --seq tokens" },
    { "clip-ratio",   NULL, OPTION_REAL, AT(clip_ratio),  0, 1e9,  NULL, "how far from 1 a token's ratio pi / old may go and still have a gradient" },
    { "kl",           NULL, OPTION_REAL, AT(kl),          0, 1e9,  NULL, "coefficient of the divergence from --reference: in the loss (grpo), in the rewards (ppo)" },
    { "kl-stop",      NULL, OPTION_REAL, AT(kl_stop),     0, 1e9,  NULL,
      "mean divergence of a step's tokens from the policy that sampled them, beyond which the round ends before the update; 0: never" },
    { "target-objective", NULL, OPTION_TEXT, AT(target_objective), 0, 0, "avg-reward|pre-clip|objective",
      "what the target's gradient is of; avg-reward: rewards less their mean, by their deviation; pre-clip: the objective's advantages; objective: all of it" },
    { "target-refresh", NULL, OPTION_INT, AT(target_refresh), 0, 1e9, NULL, "steps between new responses to --target; 0: with every round" },
    { "leave-one-out", NULL, OPTION_SWITCH, AT(leave_one_out), 0, 1, NULL, "without --target, a response is scored by the target's gradient less its own part" },
    { "iif",          NULL, OPTION_SWITCH, AT(iif),       0, 1,    NULL, "a control: of each round only responses with a score that is not negative, then ordinary training" },
    { "reward-model", NULL, OPTION_TEXT, AT(reward_model), 0, 0,   NULL, "checkpoint file with a head that scores responses; --reward or --reward-command judges evaluations then" },
};
static const Option ppo_options[] = {
    { .name = "Rounds of PPO" },
    { "kl-target",    NULL, OPTION_REAL, AT(kl_target),   0, 1e9,  NULL, "divergence of a response that --kl adapts to; 0: it stays as it is" },
    { "kl-horizon",   NULL, OPTION_REAL, AT(kl_horizon),  1, 1e12, NULL, "responses in which it changes by 20 % at most" },
    { "gamma",        NULL, OPTION_REAL, AT(gamma),       0, 1,    NULL, "what a reward counts one token earlier" },
    { "lambda",       NULL, OPTION_REAL, AT(lambda),      0, 1,    NULL, "how much advantages rely on rewards rather than on values" },
    { "value-clip",   NULL, OPTION_REAL, AT(value_clip),  0, 1e9,  NULL, "how far a value may move and still have a gradient" },
    { "value-weight", NULL, OPTION_REAL, AT(value_weight), 0, 1e9, NULL, "of the value's loss" },
};

OptionTable round_option_table(RoundOptions* o) { return (OptionTable){ options, sizeof(options) / sizeof(options[0]), o }; }
OptionTable ppo_option_table(RoundOptions* o) { return (OptionTable){ ppo_options, sizeof(ppo_options) / sizeof(ppo_options[0]), o }; }

int objective_has_rounds(const char* name) { return objective_named(name) == OBJECTIVE_grpo || objective_named(name) == OBJECTIVE_ppo; }

// ---------------------------------------------------------------------------------------------
// Sizes.

int round_is_own_target(const Run* run) {
    const char* method = run->options.method;
    return objective_has_rounds(run->config.objective) && run->config.general && !run->config.target && method && strcmp(method, "full") != 0;
}

// Of the steps, or of the scores that come before them.
static int is_own_target(const Run* run) {
    return round_is_own_target(run) || (run->round_options.iif && run->config.general && !run->config.target);
}

enum { MOST_ROWS = 1 << 24, MOST_STEPS = 1000000000 };

static int step_rows(const Run* run) { return run->config.batch * run->config.accumulate; }
static int target_rows(const Run* run) { return run->config.target_batch * run->config.accumulate; }
static int round_rows(const Run* run) { return run->round_options.rollouts > 0 ? run->round_options.rollouts : step_rows(run); }
static int is_ppo(const Run* run) { return objective_named(run->config.objective) == OBJECTIVE_ppo; }
static int group_size(const Run* run) { return run->round_options.group_size > 0 ? run->round_options.group_size : is_ppo(run) ? 1 : 8; }

// Without general rows a round is the responses to the target prompts of one step.
static int steps_of_a_round(const Run* run) {
    return run->round_options.epochs * (run->config.general ? round_rows(run) / step_rows(run) : 1);
}

int round_least_rows(const Run* run, int most) { return run->round_options.iif && most < 2 ? 2 : most; }

int round_wants_general(const Run* run, int step) {
    const Round* r = run->round;
    if (r->general.rows == 0 || r->own_target) { return r->general.rows > 0; }
    for (int i = 0; i < r->steps; i++) { if (drpt_wants_general(&run->drpt, (uint64_t)step + (uint64_t)i)) { return 1; } }
    return 0;
}

int round_steps_of_a_pass(const Run* run) {
    size_t prompts = run->config.general ? run->general.rows : run->target.rows;
    size_t of_a_round = (size_t)((run->config.general ? round_rows(run) : target_rows(run)) / group_size(run));
    size_t rounds = prompts > of_a_round ? prompts / of_a_round : 1, steps = rounds * (size_t)steps_of_a_round(run);
    check(steps <= MOST_STEPS, "--steps -1: one pass over the prompts would take %zu steps, more than %d", steps, MOST_STEPS);
    return (int)steps;
}

int round_row_length(const Config* c, size_t widest, int context) {
    return c->seq > 0 ? c->seq : (int)widest + 1 < context ? (int)widest + 1 : context; // a row of the data is T + 1 tokens
}

// ---------------------------------------------------------------------------------------------
// What makes no sense.

static void check_changed(OptionTable table, const void* defaults, const char* objective, const char* why) {
    const char* name = options_changed(&table, defaults);
    check(!name, "--%s: --objective %s has no %s", name, objective, why);
}

static void check_sizes(const Run* run) {
    const Config* c = &run->config;
    long most = (long)(c->batch > c->target_batch ? c->batch : c->target_batch) * c->accumulate;
    check(most <= MOST_ROWS, "--accumulate %d: makes steps of %ld responses, at most %d can be kept", c->accumulate, most, MOST_ROWS);
    int rollouts = round_rows(run), n = step_rows(run), m = target_rows(run), group = group_size(run);
    check(group > 1 || is_ppo(run), "--group-size 1: in a group of one no response is better than another");
    check(c->general || run->round_options.rollouts == 0, "--rollouts: needs --general");
    check(!c->general || rollouts % n == 0, "--rollouts %d: must be a multiple of --batch * --accumulate, %d responses a step", rollouts, n);
    check((long)run->round_options.epochs * (rollouts / n) <= MOST_STEPS, "--epochs %d: a round would have more than %d steps", run->round_options.epochs, MOST_STEPS);
    check(!c->general || rollouts % group == 0, "--group-size %d: the %d responses of a round (--rollouts, or --batch * --accumulate) must be a multiple of it", group, rollouts);
    check(!c->target || m % group == 0, "--group-size %d: the %d target responses of a step (--target-batch * --accumulate) must be a multiple of it", group, m);
}

static void check_target_options(const Run* run) {
    const RoundOptions *o = &run->round_options, *d = &round_defaults;
    const char* method = run->options.method;
    int own = is_own_target(run);
    check(own || run->config.target || strcmp(o->target_objective, d->target_objective) == 0, "--target-objective: there is no target; give --target, or a --method that needs one");
    check(run->config.target || o->target_refresh == 0, "--target-refresh: needs --target");
    check(own || o->leave_one_out == d->leave_one_out, "--leave-one-out: is for a --method that needs a target, without --target");
    const char* of = o->target_objective;
    int ratios = run->config.general || !run->config.target || strcmp(of, "objective") == 0, in_rewards = is_ppo(run) && strcmp(of, "pre-clip") == 0;
    check(ratios || o->kl_stop == 0.0, "--kl-stop: without --general it needs --target-objective objective; %s has no ratios to measure", of);
    check(ratios || in_rewards || o->kl == 0.0, "--kl: without --general nothing of --target-objective %s counts the divergence", of);
    check(!o->iif || run->config.general, "--iif: needs --general, whose responses it filters");
    check(!o->iif || !method || strcmp(method, "full") == 0, "--iif: is followed by ordinary training; leave --method %s out, or give --method full", method);
}

static int has_judge(const Run* run) { return run->reward_options.rule || run->reward_options.command; }

void round_check_options(const Run* run) {
    const Config* c = &run->config;
    const RoundOptions* o = &run->round_options;
    RoundOptions rounds = run->round_options;
    RewardOptions rewards = run->reward_options;
    if (!objective_has_rounds(c->objective)) {
        check_changed(round_option_table(&rounds), &round_defaults, c->objective, "rounds");
        check_changed(ppo_option_table(&rounds), &round_defaults, c->objective, "rounds");
        check_changed(reward_option_table(&rewards), &reward_defaults, c->objective, "rewards");
        return;
    }
    if (!is_ppo(run)) { check_changed(ppo_option_table(&rounds), &round_defaults, c->objective, "values and no adaptive KL"); }
    check(!c->probe || (o->rollouts == 0 && o->epochs == 1 && o->kl_stop == 0.0 && o->kl_target == 0.0 && !o->iif),
          "--probe: has no rounds but of one step; leave --rollouts, --epochs, --kl-stop, --kl-target and --iif out");
    check(strcmp(run->options.weigh, drpt_defaults.weigh) == 0, "--weigh %s: the tokens of a step count alike in --objective %s", run->options.weigh, c->objective);
    check(c->temperature > 0.0, "--temperature 0: all responses to a prompt would be the same one");
    check(run->round_options.kl_target == 0.0 || run->round_options.kl > 0.0, "--kl-target: needs --kl, the coefficient that it begins with");
    if (rounds.reward_model && !has_judge(run)) {
        OptionTable table = reward_option_table(&rewards);
        const char* name = options_changed(&table, &reward_defaults);
        check(!name, "--%s: needs --reward or --reward-command", name);
    }
    check_sizes(run);
    check_target_options(run);
}

// ---------------------------------------------------------------------------------------------
// Opening.

static TargetObjective target_objective(const char* name) {
    return strcmp(name, "objective") == 0 ? TARGET_objective : strcmp(name, "pre-clip") == 0 ? TARGET_pre_clip : TARGET_avg_reward;
}

static void open_prompts(Run* run) {
    const Config* c = &run->config;
    const Dataset* data[4] = { &run->general, &run->target, &run->val, &run->val_general };
    const char* name[4] = { c->general, c->target, c->val, c->val_general };
    Round* r = run->round;
    r->prompts = prompts_open(c, gpt2_config(run->model), data, 4);
    for (int i = 0; i < 4; i++) {
        int judged = r->has_judge && (i >= 2 || !r->reward_model.model);
        prompts_check(&r->prompts, data[i], name[i], run->T, judged ? &r->judge : NULL);
    }
}

// As many at a time as a step has rows, since a decoder's memory for a row is a small part of what training on one takes.
static void open_rollouts(Run* run, int most) {
    const Config* c = &run->config;
    Round* r = run->round;
    int rows = r->general.rows > r->target.rows ? r->general.rows : r->target.rows, width = most > 32 ? most : 32;
    if (rows < c->batch) { rows = c->batch; } // an evaluation's
    r->rollouts = rollouts_create(gpt2_config(run->model), rows, run->T, width);
    r->rollouts.sampling = (Sampling){ .temperature = c->temperature, .top_p = c->top_p, .top_k = c->top_k };
    r->rollouts.most = run->round_options.max_new;
    r->rollouts.end = r->prompts.end;
    r->source = calloc((size_t)rows, sizeof(size_t));
    r->rewards = calloc((size_t)rows, sizeof(double));
    r->order = calloc((size_t)r->general.rows + 1, sizeof(uint32_t));
    check(r->source && r->rewards && r->order, "out of memory for a round of %d responses", rows);
}

static float* numbers(size_t count) {
    float* x = calloc(count, sizeof(float));
    check(x != NULL, "out of memory for the values of a round");
    return x;
}

static void open_values(Run* run, size_t pass) {
    Round* r = run->round;
    size_t T = (size_t)run->T, rows = (size_t)(r->general.rows > r->target.rows ? r->general.rows : r->target.rows);
    if (run->config.probe && rows < run->val.rows * (size_t)r->group) { rows = run->val.rows * (size_t)r->group; } // its reference is one step
    r->token_reward = numbers(rows * T);
    r->after = numbers(rows);
    r->values = numbers(pass * T);
    r->dvalue = numbers(pass * T);
    r->share = numbers(pass);
}

void round_open(Run* run) {
    const Config* c = &run->config;
    const RoundOptions* o = &run->round_options;
    Round* r = run->round = calloc(1, sizeof(Round));
    check(r != NULL, "out of memory for rounds");
    *r = (Round){ .objective = objective_named(c->objective), .target_objective = target_objective(o->target_objective), .group = group_size(run),
                  .own_target = is_own_target(run), .steps = steps_of_a_round(run), .kl = o->kl, .kept = -1 };
    if (o->reward_model) { r->reward_model = reward_model_open(o->reward_model, c->seed, gpt2_config(run->model), run->eval.n, run->T); }
    r->has_judge = has_judge(run);
    if (r->has_judge || !o->reward_model) { r->judge = rewarder_open(&run->reward_options); }
    open_prompts(run);
    int n = c->general ? round_rows(run) : 0, most = run->batch.n + run->batch.m;
    r->general = round_rows_create(n, run->T);
    r->target = round_rows_create(r->own_target ? n : c->target ? target_rows(run) : 0, run->T);
    r->step = round_rows_create(run->batch.accumulate * most, run->T);
    open_rollouts(run, most);
    if (o->iif) { r->iif = iif_create(run, n, round_least_rows(run, most > run->eval.n ? most : run->eval.n)); }
    if (r->objective == OBJECTIVE_ppo) { open_values(run, (size_t)most); }
    r->done = r->steps; // a round begins with the first step
    if (o->kl > 0.0) { r->reference = reference_open(c->reference ? c->reference : c->init, c->seed, gpt2_config(run->model), run->eval.n, run->T); }
}

void round_close(Run* run) {
    Round* r = run->round;
    if (!r) { return; }
    rewarder_close(&r->judge);
    reward_model_close(&r->reward_model);
    prompts_close(&r->prompts);
    rollouts_free(&r->rollouts);
    round_rows_free(&r->general);
    round_rows_free(&r->target);
    round_rows_free(&r->step);
    if (r->reference) { gpt2_free(r->reference); }
    iif_free(r->iif);
    free(r->source);
    free(r->rewards);
    free(r->order);
    free(r->token_reward);
    free(r->after);
    free(r->values);
    free(r->dvalue);
    free(r->share);
    free(r);
    run->round = NULL;
}
