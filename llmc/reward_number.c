// reward_number.c -- is the response's last number the answer's?
//
// Decimals are compared as they are written, of any length and any exponent, so that no rounding makes numbers equal.
#include "reward_rules.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { MAX_DIGITS = 40 };

// 0.d1d2d3... * 10^exponent, without zeros at either end; zero has no digits.
typedef struct {
    int negative, count;
    int cut;                 // there were more digits than are kept
    int64_t exponent, zeros; // zeros: read, and not kept unless another digit follows
    unsigned char digit[MAX_DIGITS];
} Decimal;

static void add_digit(Decimal* d, int digit, int is_fraction) {
    if (d->count == 0 && digit == 0) {
        d->exponent -= is_fraction;
        return;
    }
    d->exponent += !is_fraction;
    if (digit == 0) {
        d->zeros++;
        return;
    }
    for (; d->zeros > 0 && d->count < MAX_DIGITS; d->zeros--) { d->digit[d->count++] = 0; }
    d->zeros = 0;
    if (d->count == MAX_DIGITS) { d->cut = 1; } else { d->digit[d->count++] = (unsigned char)digit; }
}

static const char* read_digits(Decimal* d, const char* at, const char* end, int is_fraction) {
    for (; at < end && is_digit(*at); at++) { add_digit(d, *at - '0', is_fraction); }
    return at;
}

static int is_thousands_group(const char* at, const char* end) {
    return end - at >= 4 && at[0] == ',' && is_digit(at[1]) && is_digit(at[2]) && is_digit(at[3]) && !(end - at > 4 && is_digit(at[4]));
}

// Behind the e. A power beyond all sense stays where its sum with a count of digits cannot overflow.
static const char* read_power(Decimal* d, const char* at, const char* end) {
    const int64_t most = 1000000000000000;
    int64_t power = 0;
    int negative = *at == '-';
    for (at += *at == '-' || *at == '+'; at < end && is_digit(*at); at++) {
        power = power < most ? 10 * power + (*at - '0') : power;
    }
    d->exponent += negative ? -power : power;
    return at;
}

// The number that begins at a digit, or at a point before one; 12,345.6e-7. Returns where it ends.
static const char* read_decimal(Decimal* d, const char* at, const char* end) {
    const char* first = at;
    *d = (Decimal){0};
    at = read_digits(d, at, end, 0);
    if (at > first && at - first <= 3) {
        while (is_thousands_group(at, end)) { at = read_digits(d, at + 1, at + 4, 0); }
    }
    if (end - at >= 2 && at[0] == '.' && is_digit(at[1])) { at = read_digits(d, at + 1, end, 1); }
    if (end - at >= 2 && (at[0] | 32) == 'e') {
        int is_signed = end - at >= 3 && (at[1] == '-' || at[1] == '+');
        if (is_digit(at[1 + is_signed])) { at = read_power(d, at + 1, end); }
    }
    if (d->count == 0) { d->exponent = 0; }
    return at;
}

static size_t ends_with(const char* begin, const char* end, const char* tail) {
    size_t n = strlen(tail);
    return (size_t)(end - begin) >= n && memcmp(end - n, tail, n) == 0 ? n : 0;
}

// Is there a minus before the number at `at`, perhaps with a currency sign between, and is it a sign? 7-5 has none.
static int has_minus(const char* begin, const char* at) {
    static const char* const currencies[] = { "$", "\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5" }; // dollar, euro, pound, yen
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(currencies) / sizeof(currencies[0]) && bytes == 0; i++) { bytes = ends_with(begin, at, currencies[i]); }
    at -= bytes;
    bytes = ends_with(begin, at, "-") + ends_with(begin, at, "\xe2\x88\x92"); // U+2212, the minus of typesetters
    at -= bytes;
    return bytes > 0 && (at == begin || !(is_digit(at[-1]) || is_letter(at[-1]) || at[-1] == ')'));
}

// A point before a digit begins a number unless it ends something else: .5, but not x.5 or ...5
static int is_leading_point(const char* begin, const char* at, const char* end) {
    return *at == '.' && end - at >= 2 && is_digit(at[1])
        && (at == begin || !(is_digit(at[-1]) || is_letter(at[-1]) || at[-1] == '.'));
}

// The first number from `at` on. Returns where it ends, or NULL if there is none.
static const char* find_number(Decimal* d, const char* begin, const char* at, const char* end) {
    while (at < end && !is_digit(*at) && !is_leading_point(begin, at, end)) { at++; }
    if (at == end) { return NULL; }
    const char* number = at;
    at = read_decimal(d, at, end);
    d->negative = d->count > 0 && has_minus(begin, number);
    return at;
}

static int last_number(Decimal* last, RewardText t) {
    Decimal d;
    int found = 0;
    for (const char *at = t.text, *end = at + t.bytes; (at = find_number(&d, t.text, at, end)) != NULL; found = 1) { *last = d; }
    return found;
}

static int answers_number(Decimal* d, RewardText t) {
    const char* end = t.text + t.bytes;
    for (const char* at = end; at - t.text >= 4; at--) {
        if (ends_with(t.text, at, "####")) { return find_number(d, at, at, end) != NULL; }
    }
    return last_number(d, t);
}

static double mantissa(const Decimal* d) {
    double m = 0.0;
    for (int i = d->count; i-- > 0;) { m = (m + d->digit[i]) / 10.0; }
    return m;
}

// Whole numbers are equal if they are the same. With a fraction, they may differ by what arithmetic in doubles leaves:
// 0.30000000000000004 is 0.3.
static int same_number(const Decimal* a, const Decimal* b) {
    const double tolerance = 1e-9;
    int whole = a->exponent >= a->count && b->exponent >= b->count;
    int64_t shift = a->exponent - b->exponent;
    if (a->negative != b->negative || shift < -1 || shift > 1) { return 0; }
    if (whole) { return shift == 0 && !a->cut && !b->cut && a->count == b->count && memcmp(a->digit, b->digit, (size_t)a->count) == 0; }
    double x = mantissa(a) * (shift == 1 ? 10.0 : shift == -1 ? 0.1 : 1.0), y = mantissa(b);
    return fabs(x - y) <= tolerance * y;
}

Verdict judge_number(const RewardCase* c) {
    Decimal found, wanted;
    if (!last_number(&found, c->response)) { return NO_FORM; }
    return answers_number(&wanted, c->answer) && same_number(&found, &wanted) ? RIGHT : WRONG;
}

const char* fault_number(const RewardCase* c) {
    Decimal wanted;
    return answers_number(&wanted, c->answer) ? NULL : "the answer has no number";
}
