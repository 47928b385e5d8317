// test_reward.c -- what is right and what is not, whatever the response; and programs that judge, or do not.
#include "../llmc/check.h"
#include "../llmc/json.h"
#include "../llmc/reward.h"
#include "../llmc/reward_command.h"
#include "../llmc/rng.h"
#include "../llmc/runlog.h"
#include "scratch.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FORM 0.25

static RewardText text(const char* s) { return (RewardText){ s, strlen(s) }; }

// Its bytes in memory that ends where they end.
static RewardText exact_size(const void* bytes, size_t n) {
    char* copy = malloc(n > 0 ? n : 1);
    expect(copy != NULL);
    if (n == 0) { return (RewardText){ copy, 0 }; }
    memcpy(copy, bytes, n);
    return (RewardText){ copy, n };
}

static double judge(RewardRule rule, RewardText prompt, RewardText response, RewardText answer) {
    RewardCase c = { exact_size(prompt.text, prompt.bytes), exact_size(response.text, response.bytes), exact_size(answer.text, answer.bytes) };
    double reward = reward_by_rule(rule, FORM, &c);
    free((void*)c.prompt.text);
    free((void*)c.response.text);
    free((void*)c.answer.text);
    return reward;
}

static void expect_reward(RewardRule rule, const char* prompt, const char* response, const char* answer, double want) {
    double got = judge(rule, text(prompt), text(response), text(answer));
    if (got == want) { return; }
    fprintf(stderr, "'%s' to '%s' with the answer '%s': %g, not %g\n", response, prompt, answer, got, want);
    test_failures++;
}

// ---------------------------------------------------------------------------------------------
// The rules.

static void test_exact(void) {
    static const struct { const char *response, *answer; double want; } cases[] = {
        { "yes", "yes", 1 }, { " yes\n", "yes", 1 }, { "yes", "\t\v\f\r yes ", 1 }, { "yes no", "yes  no", 0 }, { "yes", "yesno", 0 },
        { "yesno", "yes", 0 }, { "Yes", "yes", 0 }, { "", "yes", 0 }, { " ", "yes", 0 }, { "", "", 0 }, { " ", "\n", 0 }, { "\xff\xfe", " \xff\xfe ", 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) { expect_reward(REWARD_exact, "?", cases[i].response, cases[i].answer, cases[i].want); }
    RewardText zero = { "a\0b", 3 }, other = { "a\0c", 3 };
    expect(judge(REWARD_exact, text(""), zero, zero) == 1 && judge(REWARD_exact, text(""), zero, other) == 0);
    expect(judge(REWARD_exact, text(""), text("a"), zero) == 0);
}

static void test_numbers(void) {
    static const struct { const char *response, *answer; double want; } cases[] = {
        { "72", "72", 1 }, { "She has 70 and 2, so 72.", "#### 72", 1 }, { "72 apples, 3 pears", "72", FORM }, { "none", "72", 0 }, { "", "72", 0 },
        { "72", "5 + 67 = 72\n#### 72 (of 100)", 1 }, { "5", "5 #### 6", FORM }, { "72", "#### 1 #### 72", 1 }, { "72", "# 3 ##72", 1 },
        { "1", "##### 1 2", 1 }, { "1", "no number", FORM }, { "1", "1 ####", FORM },
        { "-5", "-5", 1 }, { "5", "-5", FORM }, { "+5", "5", 1 }, { "= -5", "-5", 1 }, { "7-5", "5", 1 }, { "7 -5", "-5", 1 }, { "7 - 5", "5", 1 },
        { "x-5", "5", 1 }, { "(7)-5", "5", 1 }, { "(-5)", "-5", 1 }, { "--5", "-5", 1 }, { "\xe2\x88\x92" "5", "-5", 1 }, { "7\xe2\x88\x92" "5", "5", 1 },
        { "\x88\x92" "5", "5", 1 }, { "-0", "0", 1 }, { "-0.0", "0", 1 }, { "**-5**", "-5", 1 },
        { "1,234", "1234", 1 }, { "1,234,567", "1234567", 1 }, { "12,345.5", "12345.5", 1 }, { "1,2,3", "3", 1 }, { "1,2345", "2345", 1 },
        { "1,234,56", "56", 1 }, { "1234,567", "567", 1 }, { "0,123", "123", 1 }, { "1,23", "23", 1 }, { "1,234,", "1234", 1 }, { "100,200", "100200", 1 },
        { "$1,000", "1000", 1 }, { "-$5", "-5", 1 }, { "$-5", "-5", 1 }, { "7-$5", "5", 1 }, { "-\xe2\x82\xac" "5", "-5", 1 }, { "-\xc2\xa3" "5", "-5", 1 },
        { "5$", "5", 1 }, { "5\xe2\x82\xac", "5", 1 }, { "50%", "50", 1 }, { "50%", "0.5", FORM }, { "\\boxed{5}", "5", 1 }, { "5.", "5", 1 }, { "5...", "5", 1 },
        { "3.50", "3.5", 1 }, { "3.5", "3.05", FORM }, { ".5", "0.5", 1 }, { "-.5", "-0.5", 1 }, { "is...5", "5", 1 }, { "x.5", "5", 1 }, { "1.2.3", "3", 1 },
        { "5.0", "5", 1 }, { "005", "5", 1 }, { "0.30000000000000004", "0.3", 1 }, { "0.3", "0.30000000000000004", 1 }, { "0.3000001", "0.3", FORM },
        { "9.9999999999", "10", 1 }, { "10", "9.9999999999", 1 }, { "10.0000001", "10", FORM }, { "9.9999999", "10", FORM },
        { "1e3", "1000", 1 }, { "1E+3", "1000", 1 }, { "25e-1", "2.5", 1 }, { "2e", "2", 1 }, { "2e+", "2", 1 }, { "2eggs", "2", 1 }, { "2e-x", "2", 1 },
        { "1e999", "1e999", 1 }, { "1e999", "2e999", FORM }, { "1e999", "1e998", FORM }, { "1e999", "1", FORM }, { "1e-999", "0", FORM }, { "0e999", "0", 1 },
        { "1e-999", "2e-999", FORM }, { "0", "1e-999", FORM }, { "1e99999999999999999999999", "1", FORM }, { "1e-99999999999999999999999", "1", FORM },
        { "1e18446744073709551616", "1", FORM }, { "0", "0.5", FORM }, { "0.5", "0", FORM }, { "0", "7", FORM },
        { "12345678901234567890123", "12345678901234567890123", 1 }, { "12345678901234567890124", "12345678901234567890123", FORM },
        { "9007199254740993", "9007199254740992", FORM }, { "1000000000001", "1000000000000", FORM },
        { "99999999999999999999999999999999999999999999999998", "99999999999999999999999999999999999999999999999999", FORM },
        { "100000000000000000000000000000000000000000000000", "100000000000000000000000000000000000000000000000", 1 },
        { "1000000000000000000000000000000000000000000000001", "1000000000000000000000000000000000000000000000000", FORM },
        { "0.3333333333333333333333333333333333333333333333333333", "0.33333333333333333333", 1 },
        { "0.0000000000000000000000000000000000000000000000001", "1e-49", 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) { expect_reward(REWARD_number, "How many?", cases[i].response, cases[i].answer, cases[i].want); }
    RewardText zeros = { "5\0 7\0", 5 };
    expect(judge(REWARD_number, text(""), zeros, text("7")) == 1);
}

// However a number is written it is itself, and not the next one.
static void test_numbers_in_all_writings(void) {
    Rng rng = rng_seed(3, 0, 0);
    for (int i = 0; i < 2000; i++) {
        int n = ((int)(rng_u32(&rng) >> (1 + i % 31)) - 1000) * (i & 1 ? 1 : -1), k = 0;
        char plain[32], commas[32], tail[64], scaled[32], next[32];
        snprintf(plain, sizeof(plain), "%d", n);
        for (int at = 0, length = (int)strlen(plain); at < length; at++) {
            if (at > (n < 0) && (length - at) % 3 == 0) { commas[k++] = ','; }
            commas[k++] = plain[at];
        }
        commas[k] = '\0';
        snprintf(tail, sizeof(tail), "3 is %s.000%%.", commas);
        snprintf(scaled, sizeof(scaled), "%d.%05de5", n / 100000, abs(n % 100000));
        snprintf(next, sizeof(next), "%d", n + 1);
        expect_reward(REWARD_number, "", commas, plain, 1);
        expect_reward(REWARD_number, "", tail, plain, 1);
        if (abs(n) >= 100000) { expect_reward(REWARD_number, "", scaled, plain, 1); }
        expect_reward(REWARD_number, "", next, plain, FORM);
    }
}

static void test_expressions(void) {
    static const struct { const char *prompt, *response; double want; } cases[] = {
        { "3 5 7>22:", "3*5+7", 1 }, { "3 5 7>22:", " 7 + 5 * 3 \n", 1 }, { "3 5 7>22:", "(7+(3)*((5)))", 1 }, { "3 5 7>22:", "3+5*7", FORM },
        { "3 5 7>22:", "22", 0 }, { "3 5 7>22:", "3*5+7=22", 0 }, { "3 5 7>22:", "15+7", 0 }, { "3 5 7>8:", "3+5", 0 }, { "3 5 7>8:", "3+5+7-7", 0 },
        { "3 5 7>22:", "3*5+", 0 }, { "3 5 7>22:", "(3*5+7", 0 }, { "3 5 7>22:", "3*5+7)", 0 }, { "3 5 7>22:", "3*5 7", 0 }, { "3 5 7>22:", "", 0 },
        { "3 5 7>22:", "()3*5+7", 0 }, { "3 5 7>22:", "3(5)+7", 0 }, { "3 5 7>22:", "3*5+7x", 0 }, { "3 5 7>22:", "x3*5+7", 0 }, { "3 5 7>22:", "3x5+7", 0 },
        { "3 5>8", "5+3", 1 }, { "3 5>-2", "3-5", 1 }, { "3 5>2", "-3+5", 0 }, { "3 5>2", "5+-3", 0 }, { "3 5>8", "+3+5", 0 }, { "3 5>8", "5--3", 0 },
        { "3 3>6", "3+3", 1 }, { "3 5>6", "3+3", 0 }, { "3 3 1>7", "3+3+1", 1 }, { "3 5>8", "03+5", 1 }, { "35>35", "35", 1 }, { "3 5>35", "35", 0 },
        { "8 3 2>1", "8-3-2", FORM }, { "8 3 2>3", "8-3-2", 1 }, { "8 3 2>7", "8-(3-2)", 1 }, { "8 4 2>1", "8/4/2", 1 }, { "8 4 2>4", "8/(4/2)", 1 },
        { "8 4 2>0", "8/4-2", 1 }, { "1 3 3>1", "1/3*3", 1 }, { "1 3 6>2", "6*(1/3)", 1 }, { "8 3 3 8>24", "8/(3-8/3)", 1 }, { "1 5 5 5>24", "5*(5-1/5)", 1 },
        { "7 2>3", "7/2", FORM }, { "7 2>4", "7/2", FORM }, { "1 2 3 6>1", "1/2+1/3", 0 }, { "1 2 1 3 1 6>1", "1/2+1/3+1/6", 1 }, { "2 3 4>-12", "4*(2-3)/1", 0 },
        { "5 0>5", "5/0", FORM }, { "5 0>0", "5/0", FORM }, { "0 5>0", "0/5", 1 }, { "1 1 5>0", "5/(1-1)", FORM }, { "1 1 5 0>0", "0*(5/(1-1))", FORM },
        { "2 1 5 4>1", "(5-4)/(2-1)", 1 }, { "1 2 6>-6", "6/(1-2)", 1 }, { "1 2 3 4>1", "(1-2)/(3-4)", 1 },
        { "9223372036854775807 1>0", "9223372036854775807+1", FORM }, { "9223372036854775807 1>-9223372036854775807", "1*9223372036854775807", FORM },
        { "9223372036854775807 9223372036854775807>1", "9223372036854775807*9223372036854775807", FORM },
        { "9223372036854775807 2>-9223372036854775807", "9223372036854775807+2", FORM },
        { "9223372036854775807 9223372036854775807>1", "9223372036854775807/9223372036854775807", 1 },
        { "0 9223372036854775807 1 1>1", "1/(0-9223372036854775807-1)", FORM }, { "9223372036854775807 1 1>9223372036854775806", "9223372036854775807*1-1", 1 },
        { "4294967296 4294967296 8>1", "4294967296/(4294967296*8)", FORM }, { "4294967296 4294967296 2 2>1", "4294967296*2/4294967296/2", 1 },
        { "3 5>8", "18446744073709551619+5", 0 }, { "3 5>8", "99999999999999999999999999999999+5", 0 },
        { "Numbers:3 5 7>22:", "3*5+7", 1 }, { "Use 3 5  7 > 22\n", "3*5+7", 1 }, { "1 2>3: 1+2\n3 5 7>22:", "3*5+7", 1 }, { "1 2>3: 1+2\n3 5 7>22:", "1+2", 0 },
        { "<|user|>3 5 7>22:<|model|>", "3*5+7", 1 }, { "3 5>8 -> ", "3+5", 1 }, { "x>y", "3", 0 }, { "3 5 7:", "3", 0 },
        { "", "3", 0 }, { ">", "3", 0 }, { "3>", "3", 0 }, { ">3", "3", 0 }, { "3>-", "3", 0 }, { "3>3.5", "3", 0 }, { "3>3x", "3", 0 }, { "0.3 5>8", "3+5", 0 },
        { "1,3 5>8", "3+5", 0 }, { "-3 5>8", "3+5", 0 }, { "x3 5>8", "3+5", 0 }, { "3>99999999999999999999", "3", 0 }, { "99999999999999999999>3", "3", 0 },
        { "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1>16", "1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", 1 },
        { "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5>5", "0+0+0+0+0+0+0+0+0+0+0+0+0+0+0+0+5", 0 },
        { "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1>17", "1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) { expect_reward(REWARD_expression, cases[i].prompt, cases[i].response, "", cases[i].want); }
    RewardText zero = { "3*5+7\0", 6 };
    expect(judge(REWARD_expression, text("3 5 7>22:"), zero, text("")) == 0);
}

// As deep as MAX_DEPTH, and one deeper.
static void test_depth(void) {
    char response[200];
    for (int depth = 64; depth <= 65; depth++) {
        memset(response, '(', (size_t)depth);
        response[depth] = '7';
        memset(response + depth + 1, ')', (size_t)depth);
        response[2 * depth + 1] = '\0';
        expect_reward(REWARD_expression, "7>7", response, "", depth == 64 ? 1 : 0);
    }
    expect_reward(REWARD_expression, "1 1 1 1 1>5", // many, but not deep
        "(((((((((((((((1)))))))))))))))+(((((((((((((((1)))))))))))))))+(((((((((((((((1)))))))))))))))+"
        "(((((((((((((((1)))))))))))))))+(((((((((((((((1)))))))))))))))", "", 1);
}

// A random expression over numbers[first..last), and its value.
static double draw_expression(Rng* rng, char* to, size_t size, const int* numbers, int first, int last) {
    if (last - first == 1) {
        snprintf(to, size, rng_u32(rng) & 1 ? "%d" : " ( %d)", numbers[first]);
        return numbers[first];
    }
    char left[512], right[512];
    int split = first + 1 + (int)(rng_u32(rng) % (uint32_t)(last - first - 1));
    char sign = "+-*/"[rng_u32(rng) % 4];
    double a = draw_expression(rng, left, sizeof(left), numbers, first, split), b = draw_expression(rng, right, sizeof(right), numbers, split, last);
    expect((size_t)snprintf(to, size, "(%s%c%s)", left, sign, right) < size);
    return sign == '+' ? a + b : sign == '-' ? a - b : sign == '*' ? a * b : fabs(b) < 1e-9 ? NAN : a / b;
}

static void test_random_expressions(void) {
    Rng rng = rng_seed(5, 0, 0);
    int right = 0;
    for (int i = 0; i < 20000; i++) {
        int numbers[5], count = 1 + i % 5, at = 0;
        char response[2048], prompt[128];
        for (int k = 0; k < count; k++) { numbers[k] = (int)(rng_u32(&rng) % 10); }
        double value = draw_expression(&rng, response, sizeof(response), numbers, 0, count);
        for (int k = count; k-- > 0;) { at += snprintf(prompt + at, sizeof(prompt) - (size_t)at, "%d ", numbers[k]); }
        int exists = isfinite(value), whole = exists && fabs(value - round(value)) < 1e-9;
        snprintf(prompt + at, sizeof(prompt) - (size_t)at, ">%d:", exists ? (int)round(value) : 0);
        expect_reward(REWARD_expression, prompt, response, "", whole ? 1 : FORM);
        right += whole;
        snprintf(prompt + at, sizeof(prompt) - (size_t)at, ">%d:", exists ? (int)round(value) + 1 : 1);
        expect_reward(REWARD_expression, prompt, response, "", FORM);
    }
    expect(right > 5000 && right < 19000);
}

static void test_faults(void) {
    static const struct { RewardRule rule; const char *prompt, *answer, *about; } cases[] = {
        { REWARD_exact, "", "yes", NULL }, { REWARD_exact, "", " \n", "the answer is empty" },
        { REWARD_number, "", "#### 5", NULL }, { REWARD_number, "", "5 ####", "the answer has no number" }, { REWARD_number, "", "", "the answer has no number" },
        { REWARD_expression, "3>3", "", NULL }, { REWARD_expression, "3 5", "", "the prompt has no numbers" }, { REWARD_expression, "", "3>3", "the prompt has no" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        RewardCase c = { text(cases[i].prompt), { NULL, 0 }, text(cases[i].answer) };
        const char* fault = reward_fault(cases[i].rule, &c);
        expect(cases[i].about ? fault && strstr(fault, cases[i].about) : !fault);
    }
}

// A megabyte of one thing takes milliseconds in every place.
static void test_long_texts(void) {
    enum { N = 1 << 20 };
    static const char* const things[] = {
        "(", ")", "-", "- ", "1", "1+", "1,", ",111", "1.", ".", "0", "9", "1e", "1e-", "$", "-$", "\xe2\x88\x92", "#", "####", "#### ", " ", "\n", ">", "1>", "1 >",
        "> 1", " >", "1 ", "1 1>1 ", "(1+", "(1)*", "\xff", "1e9", "e", "0.", "00,000",
    };
    char* long_text = malloc(N);
    for (size_t i = 0; i < COUNT(things); i++) {
        size_t n = strlen(things[i]);
        for (size_t k = 0; k < N; k++) { long_text[k] = things[i][k % n]; }
        RewardText t = { long_text, N };
        clock_t began = clock();
        for (RewardRule rule = 0; rule < NUM_REWARDS; rule++) {
            (void)judge(rule, text("3 5 7>22:"), t, text("22"));
            (void)judge(rule, t, text("3*5+7"), text("22"));
            (void)judge(rule, text("3 5 7>22:"), text("3*5+7"), t);
            (void)judge(rule, t, t, t);
        }
        expect(clock() - began < 3 * CLOCKS_PER_SEC);
    }
    memset(long_text, ' ', N);
    memcpy(long_text + N / 2, "3*5+7", 5);
    expect(judge(REWARD_expression, text("3 5 7>22:"), (RewardText){ long_text, N }, text("")) == 1);
    memset(long_text, '0', N);
    memcpy(long_text + N - 2, ".7", 2);
    expect(judge(REWARD_number, text(""), (RewardText){ long_text, N }, text("0.7")) == 1);
    long_text[0] = '1'; // 1000...000.7
    expect(judge(REWARD_number, text(""), (RewardText){ long_text, N }, text("0.7")) == FORM);
    memset(long_text, '0', N);
    memcpy(long_text, "0.", 2);
    long_text[N - 1] = '7';
    expect(judge(REWARD_number, text(""), (RewardText){ long_text, N }, text("7e-1048574")) == 1);
    free(long_text);
}

// Random bytes, most of them of those that mean something; the sanitizers watch.
static void test_random_texts(void) {
    static const char alphabet[] = "0123456789012345 ()+-*/.,eE$%#>:\n\xe2\x88\x92\xc2\xa3";
    Rng rng = rng_seed(7, 0, 0);
    for (int i = 0; i < 60000; i++) {
        char bytes[3][40];
        RewardText t[3];
        for (int k = 0; k < 3; k++) {
            size_t n = rng_u32(&rng) % (sizeof(bytes[k]) + 1);
            for (size_t j = 0; j < n; j++) {
                uint32_t r = rng_u32(&rng);
                bytes[k][j] = r % 16 == 0 ? (char)(r >> 8) : alphabet[(r >> 8) % (sizeof(alphabet) - 1)];
            }
            t[k] = (RewardText){ bytes[k], n };
        }
        if (i % 2) { t[0] = text("1 2 3>5"); }
        for (RewardRule rule = 0; rule < NUM_REWARDS; rule++) {
            double reward = judge(rule, t[0], t[1], t[2]);
            RewardCase c = { t[0], t[1], t[2] };
            expect(reward == 0.0 || reward == FORM || reward == 1.0);
            expect(reward != 1.0 || reward_fault(rule, &c) == NULL);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// A program judges. This one is its own program, too: "PATH answer HOW".

static char own_path[512];

static const char* own_command(const char* how) {
    static char command[1024];
    snprintf(command, sizeof(command), "'%s' answer %s", own_path, how);
    return command;
}

// What stands between the quotes of the response.
static void print_response(const char* line, int width) {
    const char* key = "\"response\": \"";
    const char* at = strstr(line, key);
    if (!at) { exit(5); }
    printf("%*.*s\n", width, (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

static int has_children(void) { return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD; }

// each: a line, an answer. wide: of 900 bytes each. ten: ten lines, then ten answers. dribble: a byte at a time. children: does it
// have any?
static int answer(const char* how) {
    char* lines[10] = {0};
    size_t room[10] = {0};
    int kept = 0, many = strcmp(how, "ten") == 0 ? 10 : 1;
    if (strcmp(how, "dribble") == 0) { setvbuf(stdout, NULL, _IONBF, 0); }
    while (getline(&lines[kept], &room[kept], stdin) > 0) {
        if (strcmp(how, "children") == 0) { printf("%d\n", has_children()); fflush(stdout); continue; }
        if (++kept < many) { continue; }
        for (int i = 0; i < kept; i++) { print_response(lines[i], strcmp(how, "wide") == 0 ? 900 : 0); }
        fflush(stdout);
        kept = 0;
    }
    for (int i = 0; i < 10; i++) { free(lines[i]); }
    return 0;
}

enum { MOST = 4000 };
static RewardCase cases[MOST];
static double rewards[MOST];
static char numbers[MOST][16];

static void fill_cases(size_t count, RewardText prompt) {
    for (size_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%g", (double)i / 4 - 3);
        cases[i] = (RewardCase){ prompt, text(numbers[i]), text("4") };
        rewards[i] = NAN;
    }
}

static void expect_filled(size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (rewards[i] == (double)i / 4 - 3) { continue; }
        fprintf(stderr, "reward %zu is %g\n", i, rewards[i]);
        test_failures++;
        return;
    }
}

// One batch of `count`, by a program that is given `seconds` and is started anew `restarts` times.
static void ask(const char* command, double seconds, int restarts, size_t count) {
    RewardCommand* c = reward_command_start(command, seconds, restarts);
    fill_cases(count, text("p"));
    reward_command_batch(c, rewards, cases, count, NULL);
    reward_command_stop(c);
}

static int open_files(void) {
    DIR* folder = opendir("/proc/self/fd");
    int n = 0;
    while (folder && readdir(folder)) { n++; }
    if (folder) { closedir(folder); }
    return n;
}

static void test_batches(void) {
    static const char* const ways[] = { "each", "dribble" };
    int files = open_files();
    for (size_t w = 0; w < COUNT(ways); w++) {
        RewardCommand* c = reward_command_start(own_command(ways[w]), 30.0, 0);
        for (size_t count = 0; count < 40; count += 13) {
            fill_cases(count, text("p"));
            reward_command_batch(c, rewards, cases, count, NULL);
            expect_filled(count);
        }
        reward_command_stop(c);
    }
    expect(open_files() == files && !has_children());
}

// More than both pipes hold, so that who only writes, or only reads, waits forever.
static void test_large_batches(void) {
    static char prompt[1000];
    memset(prompt, 'p', sizeof(prompt));
    static const char* const ways[] = { "wide", "each", "ten" };
    for (size_t w = 0; w < COUNT(ways); w++) {
        RewardCommand* c = reward_command_start(own_command(ways[w]), 30.0, 0);
        for (int i = 0; i < 2; i++) {
            fill_cases(MOST, (RewardText){ prompt, sizeof(prompt) });
            reward_command_batch(c, rewards, cases, MOST, NULL);
            expect_filled(MOST);
        }
        reward_command_stop(c);
    }
}

static void test_one_long_response(void) {
    enum { N = 3 << 20 };
    char* bytes = malloc(N);
    memset(bytes, 0xff, N);
    RewardCommand* c = reward_command_start("while read -r line; do echo ${#line}; done", 60.0, 0);
    RewardCase one = { { bytes, N / 64 }, text(""), text("") }; // a shell reads byte by byte
    reward_command_batch(c, rewards, &one, 1, NULL);
    expect(rewards[0] == N / 64 * 6 + strlen("{\"prompt\": \"\", \"response\": \"\", \"answer\": \"\"}"));
    reward_command_stop(c);
    RewardCase whole = { text(""), { bytes, N }, text("") };
    c = reward_command_start("head -n 1 >/dev/null; echo 0.5; cat >/dev/null", 60.0, 0);
    reward_command_batch(c, rewards, &whole, 1, NULL);
    expect(rewards[0] == 0.5);
    reward_command_stop(c);
    free(bytes);
}

// What arrives is JSON with the bytes that were sent, as far as JSON has them.
static void test_json(void) {
    char every[256], command[600];
    for (int i = 0; i < 256; i++) { every[i] = (char)i; }
    const RewardCase sent[] = {
        { text("say \"hi\"\\\n"), text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), { "a\0b", 3 } },
        { { every, 128 }, { every + 128, 128 }, text("") },
        { text("cut \xe2\x82"), text("\xed\xa0\x80\xc0\x80"), text("}{") },
    };
    const char* path = scratch("sent.jsonl");
    snprintf(command, sizeof(command), "while read -r line; do printf '%%s\\n' \"$line\" >>'%s'; echo 1; done", path);
    RewardCommand* c = reward_command_start(command, 30.0, 0);
    reward_command_batch(c, rewards, sent, COUNT(sent), NULL);
    reward_command_stop(c);
    Json json = json_open(path);
    const JsonValue* v = json.root.first;
    for (size_t i = 0; i < COUNT(sent) && v; i++, v = v->next) {
        const RewardText texts[] = { sent[i].prompt, sent[i].response, sent[i].answer };
        static const char* const keys[] = { "prompt", "response", "answer" };
        for (int k = 0; k < 3; k++) {
            const JsonValue* got = json_member(&json, v, keys[k]);
            int same = got && got->bytes == texts[k].bytes && memcmp(got->text, texts[k].text, got->bytes) == 0;
            int replaced = (i == 1 && k == 1) || (i == 2 && k < 2);
            expect(same != replaced);
            if (i == 1 && k == 1) { expect(got && got->bytes == 3 * 128 && memcmp(got->text, "\xef\xbf\xbd\xef\xbf\xbd", 6) == 0); }
            if (i == 2 && k == 0) { expect(got && strcmp(got->text, "cut \xef\xbf\xbd\xef\xbf\xbd") == 0); }
        }
    }
    expect(v == NULL && json.root.first != NULL);
    json_close(&json);
}

static void test_garbage(void) {
    static const struct { const char *command, *about; } bad[] = {
        { "read l; echo good", "answered 'good' to response 1, which is no number" },
        { "read l; echo 1; echo 2x", "answered '2x' to response 2, which is no number" },
        { "read l; echo 1 2", "answered '1 2' to response 1, which is no number" },
        { "read l; echo", "answered '' to response 1, which is no number" },
        { "read l; echo .", "which is no number" },
        { "read l; printf '1\\0\\n'", "answered '1?' to response 1, which is no number" },
        { "read l; printf '\\377\\n'", "answered '?' to response 1" },
        { "read l; printf '%01000d\\nx' 1; head -c 2000 /dev/zero; sleep 100", "answered a line of 1024 bytes or more" },
        { "cat /dev/zero", "answered a line of 1024 bytes or more" },
        { "read l; printf '%0100dx\\n' 1; sleep 100", "answered '000000000000000000000000000000000000000000000000000000000...' to response 1" },
        { "read l; echo nan", "answered 'nan' to response 1, which is not finite" },
        { "read l; echo -inf", "which is not finite" },
        { "read l; echo 1e999", "which is not finite" },
        { "yes 1", "answered more lines than it was sent" },
        { "while read l; do echo 1; echo 2; done", "answered more lines than it was sent" },
        { "read l; read l; printf '1\\n2\\n3'; sleep 100", "answered more lines than it was sent" },
        { "read l; read l; printf '1\\n2\\n'; cat; echo 3", "reward command 'read l; read l; printf '1\\n2\\n'; cat; echo 3' answered more lines than" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) { expect_dies(bad[i].about, ask(bad[i].command, 20.0, 3, 2)); }
}

// One answer too many that comes when the batch is over.
static void test_late_answer(void) {
    RewardCommand* c = NULL;
    expect_dies("answered more lines than it was sent",
        c = reward_command_start("read l; echo 1; sleep 0.1; echo 2; read l; echo 3; cat >/dev/null", 20.0, 0);
        fill_cases(1, text("p"));
        reward_command_batch(c, rewards, cases, 1, NULL);
        nanosleep(&(struct timespec){ .tv_nsec = 600000000 }, NULL);
        reward_command_batch(c, rewards, cases, 1, NULL));
}

static void test_numbers_of_a_program(void) {
    RewardCommand* c = reward_command_start("while read -r l; do printf ' -2.5e-1\\t\\r\\n'; done", 20.0, 0);
    fill_cases(3, text("p"));
    reward_command_batch(c, rewards, cases, 3, NULL);
    expect(rewards[0] == -0.25 && rewards[2] == -0.25);
    reward_command_stop(c);
}

static void test_too_few(void) {
    static const struct { const char* command; double seconds; size_t count; const char* about; } bad[] = {
        { "exit 3", 20.0, 2, "reward command 'exit 3' ended with status 3 after 0 of 2 answers" },
        { "read l; echo 1; exit 4", 20.0, 3, "ended with status 4 after 1 of 3 answers" },
        { "kill -11 $$", 20.0, 1, "was ended by signal 11 after 0 of 1 answers" },
        { "exit 0", 20.0, MOST, "ended with status 0 after 0 of 4000 answers" }, // SIGPIPE
        { "read l; echo 1; exec <&-; sleep 100", 1.0, MOST, "gave 1 of 4000 answers in 1 seconds" },
        { "read l; exec <&-; yes 1 | head -n 4000; exit 7", 20.0, MOST, "ended with status 7 after 4000 of 4000 answers" },
        { "exec >&-; sleep 100", 20.0, 1, "closed its output after 0 of 1 answers" },
        { "sleep 100", 0.3, 1, "gave 0 of 1 answers in 0.3 seconds" },
        { "read l; echo 1; printf 2; sleep 100", 1.0, 2, "gave 1 of 2 answers in 1 seconds" },
        { "trap '' TERM INT HUP; while :; do sleep 1; done", 0.3, 1, "gave 0 of 1 answers" },
        { "read l; printf 1; exit 0", 20.0, 1, "ended with status 0 after 0 of 1 answers" },
        { "exit 1 # a\tb\n\xff", 20.0, 1, "reward command 'exit 1 # a?b?\?' ended with status 1" },
        { "exit 6; a command whose name is so long that no message could show all of it", 20.0, 1, "no message c...' ended" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) { expect_dies(bad[i].about, ask(bad[i].command, bad[i].seconds, 0, bad[i].count)); }
}

static void test_slow(void) {
    double began = seconds_now();
    ask("while read -r l; do sleep 0.1; echo 2; done", 20.0, 0, 5);
    expect(rewards[0] == 2 && rewards[4] == 2 && seconds_now() - began >= 0.5);
    expect_dies("of 10 answers in 0.55 seconds", ask("while read -r l; do sleep 0.1; echo 2; done", 0.55, 0, 10)); // for all, not for each
}

// ---------------------------------------------------------------------------------------------
// Restarts, and what is left behind.

static char* said; // on stderr, until stderr_back()
static int kept_stderr;

static void stderr_to_file(void) {
    FILE* f = fopen(scratch("stderr"), "w");
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    expect(f && dup2(fileno(f), STDERR_FILENO) >= 0 && fclose(f) == 0);
}

static void stderr_back(void) {
    static char kept[4096];
    fflush(stderr);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    FILE* f = fopen(scratch("stderr"), "r");
    size_t n = f ? fread(kept, 1, sizeof(kept) - 1, f) : 0;
    if (f) { fclose(f); }
    kept[n] = '\0';
    said = kept;
}

static size_t size_of(const char* path) {
    FILE* f = fopen(path, "r");
    size_t n = 0;
    while (f && getc(f) != EOF) { n++; }
    if (f) { fclose(f); }
    return n;
}

// Dies in its first run after an answer that does not count, hangs in its second; and again before the second batch.
static void test_restarts(void) {
    char command[2000];
    const char* runs = scratch("runs");
    snprintf(command, sizeof(command),
        "echo >>'%s'; case $(wc -l <'%s') in 1) read l; echo 5; exit 9 ;; 2) sleep 100 ;; 3) head -n 3 | sed -u 's/.*/7/' ;; *) sed -u 's/.*/8/' ;; esac", runs, runs);
    int files = open_files();
    stderr_to_file();
    RewardCommand* c = reward_command_start(command, 3.0, 2);
    fill_cases(3, text("p"));
    reward_command_batch(c, rewards, cases, 3, NULL);
    int sevens = rewards[0] == 7 && rewards[1] == 7 && rewards[2] == 7;
    fill_cases(3, text("p"));
    reward_command_batch(c, rewards, cases, 3, NULL);
    int eights = rewards[0] == 8 && rewards[1] == 8 && rewards[2] == 8;
    reward_command_stop(c);
    stderr_back();
    expect(sevens && eights && size_of(runs) == 4);
    expect(strstr(said, "note: reward command 'echo >>") && strstr(said, "ended with status 9 after 1 of 3 answers; started anew (1 of 2)\n"));
    expect(strstr(said, "gave 0 of 3 answers in 3 seconds") && strstr(said, "started anew (2 of 2)\n"));
    expect(strstr(said, "ended with status 0 after 0 of 3 answers; started anew (1 of 2)\n"));
    expect(open_files() == files && !has_children());
}

static void test_restarts_end(void) {
    char command[600];
    const char* runs = scratch("all_runs");
    snprintf(command, sizeof(command), "echo >>'%s'; exit 2", runs);
    int unused;
    pid_t child = test_fork(&unused);
    if (child == 0) {
        stderr_to_file();
        ask(command, 20.0, 3, 1);
        exit(0);
    }
    close(unused);
    int status;
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 1 && size_of(runs) == 4);
}

static int is_running(int pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE* f = fopen(path, "r");
    int found = f && fscanf(f, "%*d %*s %c", &state) == 1;
    if (f) { fclose(f); }
    return found && state != 'Z' && state != 'X';
}

// The processes that wrote their number into the file end within seconds.
static void expect_gone(const char* path, int count) {
    FILE* f = fopen(path, "r");
    int pid, found = 0;
    while (f && fscanf(f, "%d", &pid) == 1) {
        double began = seconds_now();
        while (is_running(pid) && seconds_now() - began < 5.0) { nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL); }
        expect(!is_running(pid));
        if (is_running(pid)) { kill(pid, SIGKILL); }
        found++;
    }
    if (f) { fclose(f); }
    expect(found == count);
    unlink(path);
}

static void test_nothing_is_left(void) {
    char command[600];
    const char* pids = scratch("pids");
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; while read -r l; do echo 1; done", pids);
    double began = seconds_now();
    ask(command, 30.0, 0, 2); // it ends, what it began does not
    expect(seconds_now() - began < 20.0);
    expect_gone(pids, 2);
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; while read -r l; do echo 1; done; sleep 300", pids);
    ask(command, 1.0, 0, 2);
    expect_gone(pids, 2);
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; read l; echo x; sleep 300", pids);
    expect_dies("no number", ask(command, 20.0, 0, 2));
    expect_gone(pids, 2);
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; sleep 300", pids);
    expect_dies("gave 0 of 2", ask(command, 1.0, 0, 2));
    expect_gone(pids, 2);
}

static Rewarder open_with(const char* a, const char* b, const char* c, const char* d) {
    char* argv[] = { "test", (char*)a, (char*)b, (char*)c, (char*)d };
    RewardOptions o = reward_defaults;
    OptionTable table = reward_option_table(&o);
    options_parse(&table, 1, a == NULL ? 1 : c == NULL ? 3 : 5, argv, "");
    return rewarder_open(&o);
}

// The flag that ends the wait is set by somebody else, so that no signal interrupts anything here.
static void test_stopped(void) {
    char command[600];
    const char* pids = scratch("pids");
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; read l; echo 1; cat >/dev/null", pids);
    volatile sig_atomic_t* stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(stop != MAP_FAILED, "no shared memory");
    *stop = 0;
    int files = open_files();
    RewardCommand* c = reward_command_start(command, 60.0, 3);
    fill_cases(2, text("p"));
    double began = seconds_now();
    pid_t child = fork();
    if (child == 0) {
        nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        *stop = 1;
        _exit(0);
    }
    expect(reward_command_batch(c, rewards, cases, 2, stop) == 0);
    expect(seconds_now() - began < 20.0);
    expect_gone(pids, 2);
    int mine[3]; // with the numbers of the pipes that are no more
    for (int i = 0; i < 3; i++) { mine[i] = dup(STDERR_FILENO); }
    reward_command_stop(c);
    expect(open_files() == files + 3);
    for (int i = 0; i < 3; i++) { close(mine[i]); }
    waitpid(child, NULL, 0);
    munmap((void*)(uintptr_t)stop, sizeof(*stop));
    Rewarder r = open_with("--reward", "exact", NULL, NULL); // a rule is never waited for
    expect(rewarder_give(&r, rewards, cases, 2, &(volatile sig_atomic_t){ 1 }) == 1);
    rewarder_close(&r);
}

// We are killed, and cannot do a thing about it.
static void test_nothing_is_left_of_a_killed_run(void) {
    char command[600];
    const char* pids = scratch("pids");
    snprintf(command, sizeof(command), "sleep 300 & echo $! $$ >'%s'; read -r l; echo 1; exec sleep 300", pids);
    int out;
    pid_t child = test_fork(&out);
    if (child == 0) {
        RewardCommand* c = reward_command_start(command, 20.0, 0);
        fill_cases(1, text("p"));
        reward_command_batch(c, rewards, cases, 1, NULL);
        kill(getpid(), SIGKILL);
    }
    close(out);
    waitpid(child, NULL, 0);
    expect_gone(pids, 2);
}

// A program may wait for all its children; the watcher is none of them.
static void test_watcher_is_no_child(void) {
    char command[1100];
    snprintf(command, sizeof(command), "exec %s", own_command("children"));
    ask(command, 20.0, 0, 1);
    expect(rewards[0] == 0);
}

// ---------------------------------------------------------------------------------------------
// By options.

static void test_options(void) {
    const RewardCase two[] = { { text("1 2>3"), text("1+2"), text("1+2") }, { text("1 2>3"), text("2-1"), text("1+2") } };
    static const struct { const char *rule, *form; double first, second; } rules[] = {
        { "exact", "0", 1, 0 }, { "number", "0.1", 1, 0.1 }, { "expression", "0.1", 1, 0.1 }, { "expression", "0", 1, 0 },
    };
    for (size_t i = 0; i < COUNT(rules); i++) {
        Rewarder r = open_with("--reward", rules[i].rule, "--reward-form", rules[i].form);
        rewarder_give(&r, rewards, two, 2, NULL);
        expect(rewards[0] == rules[i].first && rewards[1] == rules[i].second);
        rewarder_close(&r);
    }
    Rewarder r = open_with("--reward-command", "while read -r l; do echo 3; done", "--reward-seconds", "20");
    rewarder_give(&r, rewards, two, 2, NULL);
    expect(rewards[0] == 3 && rewards[1] == 3);
    rewarder_close(&r);
    expect_dies("give --reward, --reward-command or --reward-model", open_with(NULL, NULL, NULL, NULL));
    expect_dies("one of them only", open_with("--reward", "exact", "--reward-command", "cat"));
    expect_dies("--reward", open_with("--reward", "numbers", NULL, NULL));
    expect_dies("--reward-form", open_with("--reward-command", "cat", "--reward-form", "0.1"));
    expect_dies("--reward-form", open_with("--reward", "exact", "--reward-form", "0.1"));
    expect_dies("--reward-seconds", open_with("--reward-command", "cat", "--reward-seconds", "0"));
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "exact", test_exact },
        { "numbers", test_numbers },
        { "numbers_in_all_writings", test_numbers_in_all_writings },
        { "expressions", test_expressions },
        { "depth", test_depth },
        { "random_expressions", test_random_expressions },
        { "faults", test_faults },
        { "long_texts", test_long_texts },
        { "random_texts", test_random_texts },
        { "batches", test_batches },
        { "large_batches", test_large_batches },
        { "one_long_response", test_one_long_response },
        { "json", test_json },
        { "garbage", test_garbage },
        { "late_answer", test_late_answer },
        { "numbers_of_a_program", test_numbers_of_a_program },
        { "too_few", test_too_few },
        { "slow", test_slow },
        { "restarts", test_restarts },
        { "restarts_end", test_restarts_end },
        { "nothing_is_left", test_nothing_is_left },
        { "stopped", test_stopped },
        { "nothing_is_left_of_a_killed_run", test_nothing_is_left_of_a_killed_run },
        { "watcher_is_no_child", test_watcher_is_no_child },
        { "options", test_options },
    };
    if (argc == 3 && strcmp(argv[1], "answer") == 0) { return answer(argv[2]); }
    ssize_t n = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
    if (n < 0) { perror("/proc/self/exe"); return 1; }
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
