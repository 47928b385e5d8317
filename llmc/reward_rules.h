// reward_rules.h -- what the rules of reward.h are made of; each has a file, `exact` stands in reward.c.
#ifndef LLMC_REWARD_RULES_H
#define LLMC_REWARD_RULES_H

#include "reward.h"

// NO_FORM: it cannot even be compared; WRONG: it has another value.
typedef enum { NO_FORM, WRONG, RIGHT } Verdict;

#define DECLARE(name, help) Verdict judge_##name(const RewardCase* c); const char* fault_##name(const RewardCase* c);
REWARDS(DECLARE)
#undef DECLARE

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }
static inline int is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static inline int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

#endif // LLMC_REWARD_RULES_H
