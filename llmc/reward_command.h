// reward_command.h -- a program of the user's that judges responses: JSON lines to its input, numbers from its output.
#ifndef LLMC_REWARD_COMMAND_H
#define LLMC_REWARD_COMMAND_H

#include "reward.h"

// The program reads a line {"prompt": "...", "response": "...", "answer": "..."} for each response and writes one finite
// number a line for each, in the same order; it should not wait for the end of its input, which comes with the end of the
// run, and should not keep answers in a buffer. Bytes that are not UTF-8 reach it as U+FFFD, one each.
typedef struct RewardCommand RewardCommand;

// Runs `command` by /bin/sh, in a process group of its own, which ends when this process does, however that ends. The text
// is used until reward_command_stop().
//
// seconds: for a batch, and to end at the end. If the program ends or takes too long, it is killed with all its group and
// started anew, and the batch is sent again, at most `restarts` times a batch. Then, and if it answers anything but
// one number a line, the run ends with an error.
//
// stop: NULL, or what ends the wait for a batch once it is not 0, by a signal's handler say. The program is killed then and 0 returned instead of 1:
// there are no rewards, and nothing but reward_command_stop() may follow.
RewardCommand* reward_command_start(const char* command, double seconds, int restarts);
int reward_command_batch(RewardCommand* c, double* rewards, const RewardCase* cases, size_t count, const volatile sig_atomic_t* stop);

// Ends its input, waits, and kills what is left. Ends the program if there were answers that nobody had asked for.
void reward_command_stop(RewardCommand* c);

#endif // LLMC_REWARD_COMMAND_H
