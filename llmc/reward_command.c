// reward_command.c -- a program of the user's that judges responses.
//
// Nothing here waits without a deadline: both pipes are written and read as poll() says they are ready, so that neither
// side can be stuck with a full one, and what the program answers is read into a line of fixed length.
#include "reward_command.h"
#include "check.h"
#include "runlog.h"
#include "unicode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 1024, SHOWN = 60, HEARING_MS = 50 };

struct RewardCommand {
    const char* command;
    double seconds;
    int restarts;
    pid_t group;                 // its process group, which its first process gave its number; 0: there is none
    int to, from, life;          // its input, its output, and a pipe that ends with this process
    char* request;               // the lines of a batch
    size_t room, bytes;
    char line[MAX_LINE];         // what was read and is not a whole line yet
    size_t pending;
};

typedef enum { ANSWERED, ENDED, LATE, STOPPED } Outcome;

// ---------------------------------------------------------------------------------------------
// The program comes and goes.

// A watcher, no child of the program's, kills the group when `life` ends: at the latest when this process does.
static const char script[] = "( ( read -r _ <&3; kill -9 0 ) </dev/null >/dev/null & ); exec /bin/sh -c \"$0\" 3<&-";

static void launch(RewardCommand* c) {
    int to[2], from[2], life[2];
    check(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0 && pipe2(life, O_CLOEXEC) == 0,
          "reward command: no pipes to it: %s", strerror(errno));
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, from[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, life[0], 3);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    char* arguments[] = { "sh", "-c", (char*)script, (char*)c->command, NULL };
    int error = posix_spawn(&c->group, "/bin/sh", &files, &attributes, arguments, environ);
    check(error == 0, "reward command: /bin/sh cannot be started: %s", strerror(error));
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(to[0]);
    close(from[1]);
    close(life[0]);
    c->to = to[1];
    c->from = from[0];
    c->life = life[1];
    c->pending = 0;
    fcntl(c->to, F_SETFL, O_NONBLOCK);
    fcntl(c->from, F_SETFL, O_NONBLOCK);
}

// Its status is left where it is, so that its number stays taken.
static int has_ended(const RewardCommand* c) {
    siginfo_t info = { .si_pid = 0 };
    return waitid(P_PID, (id_t)c->group, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

// Gives it some time, then kills all that is left of the group. Returns what wait() says of the program if it ended by
// itself, else -1.
static int finish(RewardCommand* c, double seconds) {
    double deadline = seconds_now() + seconds;
    int status = 0;
    if (c->to >= 0) { close(c->to); }
    while (!has_ended(c) && seconds_now() < deadline) { nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); }
    int by_itself = has_ended(c);
    kill(-c->group, SIGKILL);
    while (waitpid(c->group, &status, 0) < 0 && errno == EINTR) {}
    close(c->from);
    close(c->life);
    return by_itself ? status : -1;
}

// The text for a message: one line, not too long.
static void show(char shown[SHOWN + 1], const char* text, size_t n) {
    size_t kept = n < SHOWN ? n : SHOWN;
    for (size_t i = 0; i < kept; i++) { shown[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?'; }
    if (n > SHOWN) { memcpy(shown + SHOWN - 3, "...", 3); }
    shown[kept] = '\0';
}

__attribute__((noreturn, format(printf, 2, 3)))
static void give_up(RewardCommand* c, const char* format, ...) {
    char what[4 * SHOWN], shown[SHOWN + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    show(shown, c->command, strlen(c->command));
    if (c->group > 0) { finish(c, 0.0); }
    die("reward command '%s' %s", shown, what);
}

RewardCommand* reward_command_start(const char* command, double seconds, int restarts) {
    RewardCommand* c = malloc(sizeof(RewardCommand));
    check(c != NULL, "reward command: out of memory");
    *c = (RewardCommand){ .command = command, .seconds = seconds, .restarts = restarts };
    launch(c);
    return c;
}

// ---------------------------------------------------------------------------------------------
// The request.

// With to == NULL the following two only count. They return the number of bytes, without a final zero.
static size_t put(char* to, const char* text, size_t n) {
    if (to) { memcpy(to, text, n); }
    return n;
}

// Between the quotes of JSON.
static size_t put_text(char* to, RewardText t) {
    size_t at = 0, n = 0;
    char escaped[8];
    uint32_t unused;
    while (at < t.bytes) {
        unsigned char c = (unsigned char)t.text[at];
        size_t bytes = utf8_decode(t.text + at, t.bytes - at, &unused);
        if (bytes == 0) {
            n += put(to ? to + n : NULL, "\\ufffd", 6);
        } else if (c < ' ' || c == '"' || c == '\\') {
            snprintf(escaped, sizeof(escaped), "\\u%04x", c);
            n += put(to ? to + n : NULL, escaped, 6);
        } else {
            n += put(to ? to + n : NULL, t.text + at, bytes);
        }
        at += bytes > 0 ? bytes : 1;
    }
    return n;
}

static size_t put_case(char* to, const RewardCase* c) {
    const struct { const char* before; RewardText text; } parts[] = {
        { "{\"prompt\": \"", c->prompt }, { "\", \"response\": \"", c->response }, { "\", \"answer\": \"", c->answer },
    };
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        n += put(to ? to + n : NULL, parts[i].before, strlen(parts[i].before));
        n += put_text(to ? to + n : NULL, parts[i].text);
    }
    return n + put(to ? to + n : NULL, "\"}\n", 3);
}

static void write_request(RewardCommand* c, const RewardCase* cases, size_t count) {
    c->bytes = 0;
    for (size_t i = 0; i < count; i++) { c->bytes += put_case(NULL, &cases[i]); }
    if (c->bytes > c->room) {
        free(c->request);
        c->room = c->bytes;
        c->request = malloc(c->room);
        if (c->request == NULL) { give_up(c, "cannot be sent %zu bytes: out of memory", c->room); }
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) { at += put_case(c->request + at, &cases[i]); }
}

// ---------------------------------------------------------------------------------------------
// The conversation.

// write() to a program that has ended sends us SIGPIPE, too; that one is taken back, and no other thread sees it.
static ssize_t write_quietly(int to, const char* data, size_t n) {
    sigset_t broken_pipe, before;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    ssize_t written = write(to, data, n);
    int error = errno;
    if (written < 0 && error == EPIPE) { sigtimedwait(&broken_pipe, NULL, &(struct timespec){0}); }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

static int is_passing(int error) { return error == EAGAIN || error == EINTR; }

// Leaves *sent as it is if nobody reads any more, and closes our end.
static void send_some(RewardCommand* c, size_t* sent) {
    ssize_t n = write_quietly(c->to, c->request + *sent, c->bytes - *sent);
    if (n >= 0) {
        *sent += (size_t)n;
    } else if (!is_passing(errno)) {
        close(c->to);
        c->to = -1;
    }
}

static double parse_answer(RewardCommand* c, const char* line, size_t n, size_t number) {
    char shown[SHOWN + 1], text[MAX_LINE + 1], *end;
    while (n > 0 && strchr(" \t\r", line[n - 1]) && line[n - 1]) { n--; }
    while (n > 0 && strchr(" \t", *line) && *line) { line++; n--; }
    memcpy(text, line, n);
    text[n] = '\0';
    double value = strtod(text, &end);
    show(shown, text, n);
    if (n == 0 || end != text + n) { give_up(c, "answered '%s' to response %zu, which is no number", shown, number); }
    if (!isfinite(value)) { give_up(c, "answered '%s' to response %zu, which is not finite", shown, number); }
    return value;
}

static const char too_many[] = "answered more lines than it was sent";

// Takes what there is to read. Returns 0 at its end.
static int receive_some(RewardCommand* c, double* rewards, size_t* answered, size_t count) {
    ssize_t got = read(c->from, c->line + c->pending, MAX_LINE - c->pending);
    if (got <= 0) { return got < 0 && is_passing(errno); }
    const char *at = c->line, *end = at + c->pending + got, *newline;
    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (*answered == count) { give_up(c, "%s", too_many); }
        rewards[*answered] = parse_answer(c, at, (size_t)(newline - at), *answered + 1);
        ++*answered;
        at = newline + 1;
    }
    c->pending = (size_t)(end - at);
    memmove(c->line, at, c->pending);
    if (c->pending == MAX_LINE) { give_up(c, "answered a line of %d bytes or more, which is no number", MAX_LINE); }
    return 1;
}

// Between batches it has nothing to say. Returns 0 at the end of its output.
static int expect_silence(RewardCommand* c) {
    size_t answered = 0;
    int is_open = receive_some(c, NULL, &answered, 0);
    if (c->pending > 0) { give_up(c, "%s", too_many); }
    return is_open;
}

static int milliseconds_until(double deadline) {
    double left = ceil(1000.0 * (deadline - seconds_now()));
    return left > INT_MAX ? INT_MAX : left > 0.0 ? (int)left : 0;
}

// A signal need not interrupt poll(): another thread may have taken it.
static Outcome converse(RewardCommand* c, double* rewards, size_t count, size_t* answered, const volatile sig_atomic_t* stop) {
    double deadline = seconds_now() + c->seconds;
    size_t sent = 0;
    for (*answered = 0; *answered < count || sent < c->bytes;) {
        struct pollfd ends[2] = { { c->from, POLLIN, 0 }, { sent < c->bytes ? c->to : -1, POLLOUT, 0 } };
        int wait = milliseconds_until(deadline);
        if (stop && *stop) { return STOPPED; }
        if (wait == 0) { return LATE; }
        if (poll(ends, 2, wait < HEARING_MS ? wait : HEARING_MS) <= 0) { continue; }
        if (ends[1].revents) { send_some(c, &sent); }
        if (ends[0].revents && !receive_some(c, rewards, answered, count)) { return ENDED; }
    }
    return ANSWERED;
}

static void describe(char* text, size_t room, const RewardCommand* c, Outcome outcome, int status, size_t answered, size_t count) {
    if (outcome == LATE) {
        snprintf(text, room, "gave %zu of %zu answers in %g seconds (it should read each line and answer it at once, see --reward-seconds)",
                 answered, count, c->seconds);
    } else if (status < 0) {
        snprintf(text, room, "closed its output after %zu of %zu answers", answered, count);
    } else if (WIFEXITED(status)) {
        snprintf(text, room, "ended with status %d after %zu of %zu answers", WEXITSTATUS(status), answered, count);
    } else {
        snprintf(text, room, "was ended by signal %d after %zu of %zu answers", WTERMSIG(status), answered, count);
    }
}

int reward_command_batch(RewardCommand* c, double* rewards, const RewardCase* cases, size_t count, const volatile sig_atomic_t* stop) {
    char what[2 * SHOWN + 40], shown[SHOWN + 1];
    size_t answered;
    write_request(c, cases, count);
    expect_silence(c);
    for (int again = 1; ; again++) {
        Outcome outcome = converse(c, rewards, count, &answered, stop);
        if (outcome == ANSWERED) { break; }
        int status = finish(c, outcome == ENDED ? 1.0 : 0.0); // it has closed its output, so it is about to end by itself
        c->group = 0;
        if (outcome == STOPPED) { return 0; }
        describe(what, sizeof(what), c, outcome, status, answered, count);
        if (again > c->restarts) { give_up(c, "%s", what); }
        show(shown, c->command, strlen(c->command));
        fprintf(stderr, "note: reward command '%s' %s; started anew (%d of %d)\n", shown, what, again, c->restarts);
        launch(c);
    }
    expect_silence(c);
    return 1;
}

void reward_command_stop(RewardCommand* c) {
    double deadline = seconds_now() + c->seconds;
    int wait, is_open = c->group > 0;
    if (is_open && c->to >= 0) { close(c->to); }
    c->to = -1;
    while (is_open && (wait = milliseconds_until(deadline)) > 0) {
        struct pollfd end = { c->from, POLLIN, 0 };
        int ended = has_ended(c); // others may hold its output open, and have nothing to say
        if (poll(&end, 1, ended ? 0 : wait < 10 ? wait : 10) > 0) { is_open = expect_silence(c); } else { is_open = !ended; }
    }
    if (c->group > 0) { finish(c, milliseconds_until(deadline) / 1000.0); }
    free(c->request);
    free(c);
}
