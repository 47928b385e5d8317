// reward_expression.c -- is the response an expression over the prompt's numbers with the prompt's value?
//
// Values are fractions in lowest terms. What does not exist or does not fit into 64 bits, on the way, has no value.
#include "reward_rules.h"

#include <stdint.h>
#include <string.h>

typedef struct { int64_t num, den; } Fraction; // den > 0; 0: no value

static const Fraction no_value = { 0, 0 };

static int64_t gcd(int64_t a, int64_t b) { // b > 0, and so is the result
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = (uint64_t)b;
    while (x > 0) {
        uint64_t rest = y % x;
        y = x;
        x = rest;
    }
    return (int64_t)y;
}

// a/b + c/d = (a d' + c b') / (b d') where d' = d/g, b' = b/g, g = gcd(b, d); minus alike.
static Fraction add(Fraction x, Fraction y, int minus) {
    if (x.den == 0 || y.den == 0) { return no_value; }
    int64_t g = gcd(x.den, y.den), left, right, num, den;
    int overflow = __builtin_mul_overflow(x.num, y.den / g, &left) || __builtin_mul_overflow(y.num, x.den / g, &right)
                || __builtin_mul_overflow(x.den, y.den / g, &den)
                || (minus ? __builtin_sub_overflow(left, right, &num) : __builtin_add_overflow(left, right, &num));
    if (overflow) { return no_value; }
    g = gcd(num, den);
    return (Fraction){ num / g, den / g };
}

static Fraction multiply(Fraction x, Fraction y) {
    if (x.den == 0 || y.den == 0) { return no_value; }
    int64_t g = gcd(x.num, y.den), h = gcd(y.num, x.den);
    Fraction r;
    int overflow = __builtin_mul_overflow(x.num / g, y.num / h, &r.num) || __builtin_mul_overflow(x.den / h, y.den / g, &r.den);
    return overflow ? no_value : r;
}

static Fraction inverse(Fraction x) { // that of zero has no value
    Fraction r = { x.den, x.num };
    if (x.num >= 0) { return r; }
    r.num = -x.den;
    return __builtin_sub_overflow(0, x.num, &r.den) ? no_value : r;
}

enum { MAX_NUMBERS = 16, MAX_DEPTH = 64 };

typedef struct {
    int64_t number[MAX_NUMBERS], target;
    int count;
} Countdown;

// Digits up to `end` at most. Returns NULL if there are none or the number does not fit.
static const char* read_whole(int64_t* value, const char* at, const char* end) {
    const char* first = at;
    int overflow = 0;
    for (*value = 0; at < end && is_digit(*at); at++) {
        overflow = overflow || __builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *at - '0', value);
    }
    return at == first || overflow ? NULL : at;
}

// Behind the '>'.
static int read_target(Countdown* task, const char* at, const char* end) {
    while (at < end && *at == ' ') { at++; }
    int negative = at < end && *at == '-';
    at = read_whole(&task->target, at + negative, end);
    if (at == NULL) { return 0; }
    if (negative) { task->target = -task->target; }
    return at == end || *at == ':' || is_space(*at);
}

static const char* before_spaces(const char* begin, const char* at) {
    while (at > begin && at[-1] == ' ') { at--; }
    return at;
}

// The task is the last '>' of the prompt that has a number before it: "3 5 7>22". Numbers are whole and not negative, between spaces;
// the first stands at the beginning, or behind a space, an end of line, ':' or '>'.
static int read_countdown(Countdown* task, RewardText prompt) {
    const char *begin = prompt.text, *end = begin + prompt.bytes, *mark = end, *last = begin;
    while (mark > begin && (last == begin || !is_digit(last[-1]))) {
        last = *--mark == '>' ? before_spaces(begin, mark) : begin;
    }
    if (last == begin || !is_digit(last[-1])) { return 0; }
    const char* at = last;
    while (at > begin && (at[-1] == ' ' || is_digit(at[-1]))) { at--; }
    if (is_digit(*at) && at > begin && !memchr("\n:>", at[-1], 3)) { return 0; } // the end of a longer number, or of a word
    for (task->count = 0; at < last; task->count++) {
        while (*at == ' ') { at++; }
        if (task->count == MAX_NUMBERS) { return 0; }
        at = read_whole(&task->number[task->count], at, last);
        if (at == NULL) { return 0; }
    }
    return read_target(task, mark + 1, end);
}

typedef struct {
    const char *at, *end;
    const Countdown* task;
    unsigned used;      // bit i: the task's number i
    int depth, fault;   // fault: it is no expression, or not over these numbers
} Parser;

static Fraction parse_sum(Parser* p);

static char next_sign(Parser* p) { // zero at the end, or at a zero
    while (p->at < p->end && is_space(*p->at)) { p->at++; }
    return p->at < p->end ? *p->at : '\0';
}

static Fraction parse_number(Parser* p) {
    int64_t value;
    const char* behind = read_whole(&value, p->at, p->end);
    for (int i = 0; behind != NULL && i < p->task->count; i++) {
        if (p->task->number[i] != value || p->used >> i & 1) { continue; }
        p->used |= 1u << i;
        p->at = behind;
        return (Fraction){ value, 1 };
    }
    p->fault = 1;
    return no_value;
}

static Fraction parse_operand(Parser* p) {
    if (next_sign(p) != '(') { return parse_number(p); }
    if (p->depth == MAX_DEPTH) { p->fault = 1; return no_value; }
    p->at++;
    p->depth++;
    Fraction r = parse_sum(p);
    p->depth--;
    if (p->fault || next_sign(p) != ')') { p->fault = 1; return no_value; }
    p->at++;
    return r;
}

static Fraction parse_product(Parser* p) {
    Fraction r = parse_operand(p);
    for (char sign; !p->fault && ((sign = next_sign(p)) == '*' || sign == '/');) {
        p->at++;
        Fraction next = parse_operand(p);
        r = multiply(r, sign == '*' ? next : inverse(next));
    }
    return r;
}

static Fraction parse_sum(Parser* p) {
    Fraction r = parse_product(p);
    for (char sign; !p->fault && ((sign = next_sign(p)) == '+' || sign == '-');) {
        p->at++;
        r = add(r, parse_product(p), sign == '-');
    }
    return r;
}

// Operators stand between two values: there are no signs. No more numbers are read than the task has, and no more
// parentheses than MAX_DEPTH are opened within one another.
Verdict judge_expression(const RewardCase* c) {
    Countdown task;
    Parser p = { .at = c->response.text, .end = c->response.text + c->response.bytes, .task = &task };
    if (!read_countdown(&task, c->prompt)) { return NO_FORM; }
    Fraction r = parse_sum(&p);
    (void)next_sign(&p);
    if (p.fault || p.at < p.end || p.used != (1u << task.count) - 1) { return NO_FORM; }
    return r.den == 1 && r.num == task.target ? RIGHT : WRONG;
}

const char* fault_expression(const RewardCase* c) {
    Countdown task;
    return read_countdown(&task, c->prompt) ? NULL : "the prompt has no numbers and value as in 3 5 7>22:";
}
