// reward.c -- what a response is worth.
#include "reward.h"
#include "check.h"
#include "reward_command.h"
#include "reward_rules.h"

#include <assert.h>
#include <string.h>

static RewardText trimmed(RewardText t) {
    while (t.bytes > 0 && is_space(t.text[t.bytes - 1])) { t.bytes--; }
    while (t.bytes > 0 && is_space(*t.text)) { t.text++; t.bytes--; }
    return t;
}

Verdict judge_exact(const RewardCase* c) {
    RewardText response = trimmed(c->response), answer = trimmed(c->answer);
    int same = response.bytes == answer.bytes && memcmp(response.text, answer.text, answer.bytes) == 0;
    return same && answer.bytes > 0 ? RIGHT : NO_FORM;
}

const char* fault_exact(const RewardCase* c) {
    return trimmed(c->answer).bytes == 0 ? "the answer is empty" : NULL;
}

// ---------------------------------------------------------------------------------------------
// By name.

double reward_by_rule(RewardRule rule, double form, const RewardCase* c) {
    Verdict v = NO_FORM;
    #define JUDGE(name, help) case REWARD_##name: v = judge_##name(c); break;
    switch (rule) { REWARDS(JUDGE) default: assert(0); }
    #undef JUDGE
    return v == RIGHT ? 1.0 : v == WRONG ? form : 0.0;
}

const char* reward_fault(RewardRule rule, const RewardCase* c) {
    #define FAULT(name, help) case REWARD_##name: return fault_##name(c);
    switch (rule) { REWARDS(FAULT) default: assert(0); return NULL; }
    #undef FAULT
}

#define NAME(name, help) #name,
#define CHOICE(name, help) "|" #name
#define HELP(name, help) "\n        " #name ": " help
static const char* const names[] = { REWARDS(NAME) };

const RewardOptions reward_defaults = { .seconds = 60.0, .restarts = 3 };

#define AT(field) offsetof(RewardOptions, field)
static const Option options[] = {
    { .name = "Rewards" },
    { "reward",          NULL, OPTION_TEXT, AT(rule),     0, 0,    &(REWARDS(CHOICE))[1],
      "1 or 0 by a rule" REWARDS(HELP) "\n       " },
    { "reward-form",     NULL, OPTION_REAL, AT(form),     0, 1,    NULL, "reward of the right form with a wrong value (number, expression)" },
    { "reward-command",  NULL, OPTION_TEXT, AT(command),  0, 0,    NULL,
      "rewards by a program, run by sh: a JSON line with prompt, response and answer in, a line with a number out" },
    { "reward-seconds",  NULL, OPTION_REAL, AT(seconds),  0.001, 1e6, NULL, "that it may take for the responses of a round" },
    { "reward-restarts", NULL, OPTION_INT,  AT(restarts), 0, 1e6,  NULL, "how often it is started anew for a round if it ends or takes too long" },
};

OptionTable reward_option_table(RewardOptions* o) {
    return (OptionTable){ options, sizeof(options) / sizeof(options[0]), o };
}

Rewarder rewarder_open(const RewardOptions* o) {
    Rewarder r = { .rule = 0, .form = o->form };
    check(o->rule || o->command, "rewards are needed: give --reward, --reward-command or --reward-model");
    check(!o->rule || !o->command, "--reward %s and --reward-command: one of them only", o->rule);
    check(!o->command || o->form == 0.0, "--reward-form: is for --reward, not for --reward-command");
    if (o->command) {
        r.command = reward_command_start(o->command, o->seconds, o->restarts);
        return r;
    }
    while (r.rule < NUM_REWARDS && strcmp(names[r.rule], o->rule) != 0) { r.rule++; }
    check(r.rule < NUM_REWARDS, "--reward %s: there is none of that name", o->rule);
    check(r.rule != REWARD_exact || o->form == 0.0, "--reward-form: an answer that is not exact has no form");
    return r;
}

int rewarder_give(Rewarder* r, double* rewards, const RewardCase* cases, size_t count, const volatile sig_atomic_t* stop) {
    if (r->command) { return reward_command_batch(r->command, rewards, cases, count, stop); }
    for (size_t i = 0; i < count; i++) { rewards[i] = reward_by_rule(r->rule, r->form, &cases[i]); }
    return 1;
}

void rewarder_close(Rewarder* r) {
    if (r->command) { reward_command_stop(r->command); }
    *r = (Rewarder){0};
}
