// reward.h -- what a response is worth: by a rule that can be checked, or by any program's judgement.
#ifndef LLMC_REWARD_H
#define LLMC_REWARD_H

#include "options.h"

#include <signal.h>
#include <stddef.h>

typedef struct {
    const char* text;   // any bytes, zeros among them; never NULL
    size_t bytes;
} RewardText;

// One response, and what it is judged by. The response is a model's: nothing is assumed of it.
typedef struct { RewardText prompt, response, answer; } RewardCase;

// The one table of rules: options, --help and tests read it. All of them take time proportional to the texts' length.
#define REWARDS(X)                                                                                                        \
    X(exact,      "the response is the answer, white space around them aside")                                            \
    X(number,     "its last number is the answer's, which is the first one behind ####, else the answer's last")           \
    X(expression, "it is the prompt's numbers, each once, joined by + - * / ( ) to the prompt's value: 3 5 7>22: 3*5+7")

#define REWARD_ENUM(name, help) REWARD_##name,
typedef enum { REWARDS(REWARD_ENUM) NUM_REWARDS } RewardRule;
#undef REWARD_ENUM

// 1 if the response is right, 0 if not; but `form` if it has the right form and another value (number, expression).
double reward_by_rule(RewardRule rule, double form, const RewardCase* c);

// Why no response to it could ever be right, or NULL. To be asked of the data before a run; the response is not read.
const char* reward_fault(RewardRule rule, const RewardCase* c);

typedef struct {
    const char *rule, *command; // one of them is given, the other is NULL
    double form, seconds;
    int restarts;
} RewardOptions;

extern const RewardOptions reward_defaults;
OptionTable reward_option_table(RewardOptions* o);

typedef struct {
    RewardRule rule;
    double form;
    struct RewardCommand* command; // NULL: the rule
} Rewarder;

Rewarder rewarder_open(const RewardOptions* o); // of the options only the command's text is used later on
int rewarder_give(Rewarder* r, double* rewards, const RewardCase* cases, size_t count, const volatile sig_atomic_t* stop); // as reward_command_batch()
void rewarder_close(Rewarder* r);

#endif // LLMC_REWARD_H
