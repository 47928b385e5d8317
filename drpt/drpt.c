// drpt.c -- what happens when. The numbers are in gather, solve and assemble, on either device.
#include "drpt.h"
#include "assemble.h"
#include "gather.h"
#include "../llmc/check.h"

#include <omp.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// What a run can be told.

#define METHOD_NAME(name, ...) #name,
static const char* const method_names[] = { DRPT_METHODS(METHOD_NAME) };
#define METHOD_NEEDS(name, needs, ...) needs,
static const int method_needs[] = { DRPT_METHODS(METHOD_NEEDS) };
#define METHOD_CHOICE(name, ...) "|" #name
#define METHOD_HELP(name, needs, help) "\n        " #name ": " help
static const char* const group_names[] = { "layer", "sublayer", "block", "global" };

const DrptOptions drpt_defaults = { .group = "layer", .weigh = "rows", .keep = 0.5, .mix = 0.5 };

#define AT(field) offsetof(DrptOptions, field)
static const Option options[] = {
    { .name = "The regularizer" },
    { "method",       NULL, OPTION_TEXT,   AT(method),       0, 0,    &(DRPT_METHODS(METHOD_CHOICE))[1],
      "the feasible set; subset with --target, else full" DRPT_METHODS(METHOD_HELP) "\n       " },
    { "group",        NULL, OPTION_TEXT,   AT(group),        0, 0,    "layer|sublayer|block|global", "what shares a projection" },
    { "keep",         NULL, OPTION_REAL,   AT(keep),         0, 1,    NULL, "kept fraction of the general rows (subset, random)" },
    { "ridge",        NULL, OPTION_REAL,   AT(ridge),        0, 1e9,  NULL, "added to K's diagonal, in units of its mean (span, cone)" },
    { "mix",          NULL, OPTION_REAL,   AT(mix),          0, 1,    NULL, "weight of the target gradient (mix)" },
    { "weigh",        NULL, OPTION_TEXT,   AT(weigh),        0, 0,    "rows|tokens", "what counts alike: each row's token mean, or each trained token" },
    { "log-geometry", NULL, OPTION_SWITCH, AT(log_geometry), 0, 1,    NULL, "scores, weights and angles of every step and group, into geometry.csv" },
    { "score",    NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "sketch",   NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "strength", NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "tau",      NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "radius",   NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "rescale",  NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "rank",     NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "sides",    NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
    { "refresh",  NULL, OPTION_LATER, 0, 0, 0, NULL, "" },
};

OptionTable drpt_option_table(DrptOptions* o) {
    return (OptionTable){ options, sizeof(options) / sizeof(options[0]), o };
}

static int position(const char* const* names, int count, const char* name, const char* option) {
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0) { i++; }
    check(i < count, "--%s %s: there is none of that name", option, name);
    return i;
}

// ---------------------------------------------------------------------------------------------
// Memory, taken once.

static void layout(Drpt* d, int widest) {
    size_t n = (size_t)d->n, m = (size_t)d->m;
    d->weight = arena_take(&d->arena, sizeof(float) * (n + m));
    if (d->plain) { d->scratch = arena_take(&d->arena, 0); return; } // nothing is scaled
    size_t gather = gather_scratch(d->n, d->m, d->T, widest), assemble = assemble_scratch(d->n + d->m, d->T);
    d->scratch_size = (gather > assemble ? gather : assemble) + 16;
    d->statistics.K = arena_take(&d->arena, sizeof(double) * n * n);
    d->statistics.s = arena_take(&d->arena, sizeof(double) * n);
    d->statistics.partial = arena_take(&d->arena, sizeof(double) * gather_partial(d->n, d->m, d->threads));
    d->statistics.score = d->statistics.s;
    d->alpha = arena_take(&d->arena, sizeof(double) * n);
    d->work = arena_take(&d->arena, sizeof(double) * solve_work(d->n));
    d->scratch = arena_take(&d->arena, sizeof(float) * d->scratch_size * (size_t)d->threads);
}

Drpt drpt_create(const DrptOptions* o, int n, int m, int T, int widest, uint64_t seed) {
    Drpt d = { .n = n, .m = m, .T = T, .threads = omp_get_max_threads() };
    const char* method = o->method ? o->method : m > 0 ? "subset" : "full";
    d.method = (Method)position(method_names, NUM_METHODS, method, "method");
    d.group = (DrptGroup)position(group_names, 4, o->group, "group");
    d.knobs = (Knobs){ .keep = o->keep, .ridge = o->ridge, .mix = o->mix, .seed = seed };
    d.plain = d.method == METHOD_full && m == 0;
    check(d.method == METHOD_full || m > 0, "--method %s needs target rows: give --target, or --method full", method);
    check(d.method == METHOD_target || n > 0, "--method %s needs general rows: give --general, or --method target", method);
    layout(&d, widest);
    arena_alloc(&d.arena, "the regularizer");
    layout(&d, widest);
    for (int b = 0; b < n + m; b++) { d.weight[b] = 1.0f; }
    return d;
}

void drpt_free(Drpt* d) { arena_free(&d->arena); }

int drpt_keeps_blocks(const Drpt* d) { return !d->plain && d->group == DRPT_GLOBAL; }

void drpt_begin(Drpt* d, uint64_t step, int first, const unsigned char* usable, double share) {
    d->step = step;
    d->usable = usable;
    d->share = share;
    d->num_groups = d->num_sites = 0;
    if (first) {
        d->dot_ut = d->norm_t2 = 0.0;
        d->rows_dropped = d->groups_skipped = 0;
    }
}

// ---------------------------------------------------------------------------------------------
// Recording.

// FNV-1a over the words of the factors: a buffer that moved on since it was recorded is a silent error otherwise.
static uint64_t hash_words(uint64_t hash, const void* words, size_t count) {
    for (size_t i = 0; words && i < count; i++) {
        uint32_t word;
        memcpy(&word, (const char*)words + i * sizeof(word), sizeof(word));
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t checksum(const Drpt* d, const Site* s) {
    size_t positions = (size_t)(d->n + d->m) * d->T, rows = (size_t)s->rows, cols = (size_t)s->cols;
    uint64_t hash = hash_words(0xcbf29ce484222325u, s->dout, positions * (s->kind == SITE_POSITION ? cols : rows));
    hash = hash_words(hash, s->inp, positions * (s->kind == SITE_LAYERNORM ? rows : cols));
    hash = hash_words(hash, s->dlookup, positions * cols);
    hash = hash_words(hash, s->mean, positions);
    hash = hash_words(hash, s->rstd, positions);
    return hash_words(hash, s->tokens, positions);
}

// In plain training there is nothing to wait for: every row has weight 1 and the gradient is formed at once.
static void record(Drpt* d, Site s) {
    s.block = d->block;
    if (d->plain) { drpt_assemble(&s, d->weight, d->n, d->T, d->scratch, d->scratch_size, d->threads); return; }
    check(d->num_sites < DRPT_MAX_SITES, "the model has more than %d layers", DRPT_MAX_SITES);
    d->site[d->num_sites] = s;
    d->checksum[d->num_sites++] = d->verify ? checksum(d, &s) : 0;
}

void drpt_site(Drpt* d, const char* name, float* dweight, float* dbias, const float* dout, const float* inp, int C, int OC) {
    record(d, (Site){ .kind = SITE_LINEAR, .name = name, .dweight = dweight, .dbias = dbias, .dout = dout, .inp = inp,
                      .rows = OC, .cols = C, .stride = OC, .parts = 1 });
}

void drpt_site_layernorm(Drpt* d, const char* name, float* dweight, float* dbias, const float* dout, const float* inp,
                         const float* mean, const float* rstd, int C) {
    record(d, (Site){ .kind = SITE_LAYERNORM, .name = name, .dweight = dweight, .dbias = dbias, .dout = dout, .inp = inp,
                      .mean = mean, .rstd = rstd, .rows = C, .cols = 1, .stride = C, .parts = 1 });
}

void drpt_site_position(Drpt* d, const char* name, float* dweight, const float* dout, int C) {
    record(d, (Site){ .kind = SITE_POSITION, .name = name, .dweight = dweight, .dout = dout, .rows = d->T, .cols = C, .stride = C, .parts = 1 });
}

void drpt_site_token(Drpt* d, const char* name, float* dweight, const float* dout, const float* inp,
                     const float* dlookup, const int* tokens, int C, int V) {
    record(d, (Site){ .kind = SITE_TOKEN, .name = name, .dweight = dweight, .dout = dout, .inp = inp,
                      .dlookup = dlookup, .tokens = tokens, .rows = V, .cols = C, .stride = V, .parts = 1 });
}

// ---------------------------------------------------------------------------------------------
// Projecting.

// <u,t> = alpha's + beta q, and |u|^2 = alpha'K alpha + 2 beta alpha's + beta^2 q where K is known.
static double dot_with_target(const Drpt* d) {
    double dot = d->beta * d->statistics.q;
    for (int i = 0; i < d->n; i++) { dot += d->alpha[i] != 0.0 ? d->alpha[i] * d->statistics.s[i] : 0.0; }
    return dot;
}

static double squared_norm(const Drpt* d) {
    double sum = d->beta * d->beta * d->statistics.q;
    for (int i = 0; i < d->n; i++) {
        if (d->alpha[i] == 0.0) { continue; }
        sum += 2.0 * d->beta * d->alpha[i] * d->statistics.s[i];
        for (int j = 0; j < d->n; j++) {
            sum += d->alpha[j] != 0.0 ? d->alpha[i] * d->alpha[j] * d->statistics.K[i * d->n + j] : 0.0;
        }
    }
    return sum;
}

void drpt_log_geometry(Drpt* d, FILE* file, int with_header) {
    d->geometry = file;
    if (!with_header) { return; }
    fprintf(file, "step,group,beta,update_cos,update_ratio,dropped,skipped");
    for (int i = 0; i < d->n; i++) { fprintf(file, ",score_%d", i); }
    for (int i = 0; i < d->n; i++) { fprintf(file, ",alpha_%d", i); }
    fputc('\n', file);
}

static void log_group(const Drpt* d, const Site* first, const Site* last, Verdict v) {
    double u = sqrt(fmax(0.0, squared_norm(d))), t = sqrt(d->statistics.q), dot = dot_with_target(d);
    fprintf(d->geometry, "%llu,", (unsigned long long)d->step);
    if (first->block >= 0) { fprintf(d->geometry, "h%d.", first->block); }
    fprintf(d->geometry, first == last ? "%s" : "%s..%s", first->name, last->name);
    fprintf(d->geometry, ",%.9g,%.9g,%.9g,%d,%d", d->beta, u * t > 0.0 ? dot / (u * t) : 0.0, t > 0.0 ? u / t : 0.0,
            v.dropped, v.skipped);
    for (int i = 0; i < d->n; i++) { fprintf(d->geometry, ",%.9g", d->statistics.s[i]); }
    for (int i = 0; i < d->n; i++) { fprintf(d->geometry, ",%.9g", d->alpha[i]); }
    fputc('\n', d->geometry);
}

// What the statistics are needed for: the method; the angle to the target, which every step logs; the geometry.
static int needs(const Drpt* d) {
    int log = d->method == METHOD_target ? NEEDS_Q : NEEDS_S;
    return method_needs[d->method] | log | (d->geometry ? NEEDS_S | NEEDS_K : 0);
}

static void gather(Drpt* d, const Site* site, int count) {
    Statistics* s = &d->statistics;
    memset(s->K, 0, sizeof(double) * (size_t)d->n * d->n);
    memset(s->s, 0, sizeof(double) * (size_t)d->n);
    s->q = 0.0;
    Gather g = { .n = d->n, .m = d->m, .T = d->T, .threads = d->threads, .needs = needs(d),
                 .scratch = d->scratch, .part = d->scratch_size };
    for (int i = 0; i < count; i++) { drpt_gather(s, &site[i], &g); }
}

static Verdict solve(Drpt* d) {
    Knobs knobs = d->knobs;
    knobs.seed += 0x2545f4914f6cdd1du * d->step + 0x5851f42d4c957f2du * (uint64_t)d->num_groups++; // random: each group of each step its own
    Verdict v = drpt_solve(d->alpha, &d->beta, d->method, &d->statistics, d->usable, needs(d), d->n, knobs, d->work);
    for (int i = 0; i < d->n; i++) { d->weight[i] = (float)(d->alpha[i] *= d->share); } // from here on, of the update as it is
    for (int j = 0; j < d->m; j++) { d->weight[d->n + j] = (float)d->beta; }
    d->rows_dropped += v.dropped;
    d->groups_skipped += v.skipped;
    d->dot_ut += isfinite(d->statistics.q) ? dot_with_target(d) : 0.0;
    d->norm_t2 += isfinite(d->statistics.q) ? d->statistics.q : 0.0;
    return v;
}

static void project_group(Drpt* d, const Site* site, int count) {
    gather(d, site, count);
    Verdict v = solve(d);
    if (d->geometry) { log_group(d, &site[0], &site[count - 1], v); }
    for (int i = 0; i < count; i++) {
        drpt_assemble(&site[i], d->weight, d->n + d->m, d->T, d->scratch, d->scratch_size, d->threads);
    }
}

void drpt_project(Drpt* d, DrptGroup complete) {
    if (d->group > complete) { return; }
    for (int i = 0; d->verify && i < d->num_sites; i++) {
        check(checksum(d, &d->site[i]) == d->checksum[i], "%s: a buffer changed between drpt_site() and drpt_project()", d->site[i].name);
    }
    int count = d->group == DRPT_LAYER ? 1 : d->num_sites;
    for (int i = 0; i < d->num_sites; i += count) { project_group(d, &d->site[i], count); }
    d->num_sites = 0;
}
