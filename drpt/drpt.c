// drpt.c -- what happens when. The numbers are in gather, solve and assemble, on either device: nothing here reads an array of it.
#include "drpt.h"
#include "assemble.h"
#include "gather.h"
#include "probe.h"
#include "../llmc/check.h"
#include "../llmc/device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// What a run can be told.

#define NAME(name, ...) #name,
#define CHOICE(name, ...) "|" #name
#define HELP(name, needs, help) "\n        " #name ": " help
#define SHORT_HELP(name, help) "\n        " #name ": " help
static const char* const method_names[] = { DRPT_METHODS(NAME) };
static const char* const rescale_names[] = { DRPT_RESCALES(NAME) };
static const char* const route_names[] = { DRPT_ROUTES(NAME) };
static const char* const sides_names[] = { DRPT_SIDES(NAME) };
static const char* const group_names[] = { "matrix", "layer", "sublayer", "block", "global" };
#define COUNT(names) (int)(sizeof(names) / sizeof(names[0]))

const DrptOptions drpt_defaults = {
    .group = "layer", .weigh = "rows", .keep = 0.5, .mix = 0.5, .tau = 1.0, .radius = 0.5, .strength = "1", .rescale = "none",
    .metric = "gradient", .score = "auto", .sketch = 64, .rank = 32, .sides = "both", .refresh = 20, .forget = 0.5,
};

#define AT(field) offsetof(DrptOptions, field)
static const Option options[] = {
    { .name = "The regularizer" },
    { "method",       NULL, OPTION_TEXT,   AT(method),       0, 0,    &(DRPT_METHODS(CHOICE))[1],
      "the feasible set; subset with --target (but with --iif full), else full" DRPT_METHODS(HELP) "\n       " },
    { "group",        NULL, OPTION_TEXT,   AT(group),        0, 0,    "matrix|layer|sublayer|block|global",
      "what shares a projection; matrix: a layer, but Q, K and V apart" },
    { "keep",         NULL, OPTION_REAL,   AT(keep),         0, 1,    NULL, "kept fraction of the general rows (subset, random, greedy, capped)" },
    { "ridge",        NULL, OPTION_REAL,   AT(ridge),        0, 1e9,  NULL,
      "added to K's diagonal, in units of its mean (span, cone, simplex, capped)" },
    { "tau",          NULL, OPTION_REAL,   AT(tau),          0, 1e9,  NULL,
      "weight of |u|^2/2 against <u,t>; 1 projects, 0 only ranks (greedy, span, cone, simplex, capped)" },
    { "mix",          NULL, OPTION_REAL,   AT(mix),          0, 1,    NULL, "weight of the target gradient (mix)" },
    { "radius",       NULL, OPTION_REAL,   AT(radius),       0, 1e9,  NULL, "in units of the general mean's length (trust, cagrad, --rescale cap)" },
    { "strength",     NULL, OPTION_TEXT,   AT(strength),     0, 0,    NULL,
      "u = (1 - x) t + x P(t), x from 0 to 1; auto: from how the target rows agree on what P leaves out (span, cone, simplex, capped)" },
    { "rescale",      NULL, OPTION_TEXT,   AT(rescale),      0, 0,    &(DRPT_RESCALES(CHOICE))[1],
      "the update's length" DRPT_RESCALES(SHORT_HELP) "\n       " },
    { "metric",       NULL, OPTION_TEXT,   AT(metric),       0, 0,    "gradient|adam", "of the scores; adam: <g, t / (sqrt(v) + eps)> (subset, filter)" },
    { "normalise",    NULL, OPTION_SWITCH, AT(normalise),    0, 1,    NULL,
      "each layer's scores by their mean magnitude before a group adds them up, a control (subset, filter)" },
    { "score",        NULL, OPTION_TEXT,   AT(score),        0, 0,    &(DRPT_ROUTES(CHOICE))[1],
      "how inner products are found" DRPT_ROUTES(SHORT_HELP) "\n       " },
    { "sketch",       NULL, OPTION_INT,    AT(sketch),       1, 4096, NULL, "numbers that a side of a gradient is projected to (--score sketch)" },
    { "rank",         NULL, OPTION_INT,    AT(rank),         1, 65536, NULL, "of a basis (inside, outside)" },
    { "sides",        NULL, OPTION_TEXT,   AT(sides),        0, 0,    &(DRPT_SIDES(CHOICE))[1], "of a matrix that a basis restricts (inside, outside)" },
    { "refresh",      NULL, OPTION_INT,    AT(refresh),      1, 1e9,  NULL, "steps between new bases (inside, outside), or new sketches" },
    { "forget",       NULL, OPTION_REAL,   AT(forget),       0, 1,    NULL, "what a basis keeps of its past at a refresh: 0 nothing, 1 all" },
    { "weigh",        NULL, OPTION_TEXT,   AT(weigh),        0, 0,    "rows|tokens", "what counts alike: each row's token mean, or each trained token" },
    { "log-geometry", NULL, OPTION_SWITCH, AT(log_geometry), 0, 1,    NULL, "scores, weights and angles of every step and group, into geometry.csv" },
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

// Negative: auto.
static double parse_strength(const char* text) {
    char* end;
    if (strcmp(text, "auto") == 0) { return -1.0; }
    double x = strtod(text, &end);
    check(end != text && *end == '\0' && x >= 0.0 && x <= 1.0, "--strength %s: a number from 0 to 1, or auto", text);
    return x;
}

static int is_one_of(Method method, const Method* list, int count) {
    for (int i = 0; i < count; i++) { if (list[i] == method) { return 1; } }
    return 0;
}
#define IS_ONE_OF(method, ...) is_one_of(method, (const Method[]){ __VA_ARGS__ }, (int)(sizeof((Method[]){ __VA_ARGS__ }) / sizeof(Method)))

static void check_rows(Method method, const char* name, int n, int m) {
    check(method == METHOD_full || m > 0, "--method %s needs target rows: give --target, or --method full", name);
    check(method == METHOD_target || n > 0, "--method %s needs general rows: give --general, or --method target", name);
}

// A knob that its method would ignore is a misunderstanding.
static void check_knobs(const DrptOptions* o, Method method, const char* name, Knobs k, int m) {
    int is_convex = IS_ONE_OF(method, METHOD_span, METHOD_cone, METHOD_simplex, METHOD_capped);
    int is_basis = IS_ONE_OF(method, METHOD_inside, METHOD_outside), by_score = IS_ONE_OF(method, METHOD_subset, METHOD_filter);
    check(k.strength == 1.0 || (!is_basis && !IS_ONE_OF(method, METHOD_full, METHOD_target, METHOD_mix)),
          "--strength %s: --method %s has no projection to soften", o->strength, name);
    check(k.strength >= 0.0 || is_convex, "--strength auto: works with span, cone, simplex and capped, not with --method %s", name);
    check(k.strength >= 0.0 || m >= 2, "--strength auto: compares target rows with each other; give --target-batch 2 or more");
    check(k.rescale == RESCALE_none || (m > 0 && !is_basis), "--rescale %s: --method %s has no length to choose", o->rescale, name);
    check(k.tau > 0.0 || k.ridge > 0.0 || !IS_ONE_OF(method, METHOD_span, METHOD_cone),
          "--tau 0: --method %s needs --ridge then, or has no end", name);
    check(strcmp(o->metric, "adam") != 0 || (by_score && k.strength == 1.0 && k.rescale == RESCALE_none),
          "--metric adam: ranks the rows of --method subset and filter, without --strength and --rescale");
    check(!o->normalise || (by_score && strcmp(o->metric, "adam") != 0),
          "--normalise: ranks the rows of --method subset and filter, in --metric gradient");
    check(!o->normalise || strcmp(o->group, "sublayer") == 0 || strcmp(o->group, "block") == 0 || strcmp(o->group, "global") == 0,
          "--normalise: --group %s has one layer's scores alone; use sublayer, block or global", o->group);
    check(!is_basis || strcmp(o->group, "layer") == 0 || strcmp(o->group, "matrix") == 0,
          "--group %s: a basis belongs to one matrix; use layer or matrix", o->group);
}

// A row's own part must be known by itself, exactly, and in the scores' metric.
static void check_own_rows(const DrptOptions* o, Knobs k, int n, int m) {
    static const char* const why = "cannot leave a row out of its own score; give --leave-one-out 0";
    check(n == m, "%d target rows are not the %d general rows", m, n);
    check(k.strength >= 0.0, "--strength auto: %s", why);
    check(strcmp(o->metric, "adam") != 0, "--metric adam: %s", why);
    check(!o->normalise, "--normalise: %s", why);
    check(strcmp(o->score, "sketch") != 0, "--score sketch: %s", why);
}

// ---------------------------------------------------------------------------------------------
// Memory, taken once.

static void layout(Drpt* d) {
    size_t groups = d->plain ? 0 : DRPT_MAX_SITES, n = (size_t)d->n;
    d->label = arena_take(&d->arena, sizeof(GroupLabel) * groups);
    d->result = arena_take(&d->arena, sizeof(GroupResult) * groups);
    d->alphas = arena_take(&d->arena, sizeof(double) * groups * n);
    d->scores = arena_take(&d->arena, sizeof(double) * groups * n);
    d->basis_result = arena_take(&d->arena, sizeof(BasisResult) * (d->basis ? groups : 0));
}

// No more rows than this have a weight, whatever the statistics are.
static int most_weighed(const Drpt* d) {
    int k = solve_count(d->knobs.keep, d->n);
    switch (d->method) {
        case METHOD_target: return d->m;
        case METHOD_random:
        case METHOD_subset:
        case METHOD_greedy: return d->knobs.strength == 1.0 ? k : k + d->m;
        case METHOD_full:
        case METHOD_filter:
        case METHOD_span:
        case METHOD_cone:
        case METHOD_simplex:
        case METHOD_capped: return d->knobs.strength == 1.0 ? d->n : d->n + d->m;
        default:            return d->n + d->m;
    }
}

static void take_memory(Drpt* d, int widest) {
    layout(d);
    arena_alloc(&d->arena, "the regularizer");
    layout(d);
    d->alpha = d->alphas;
    if (d->basis) { d->groups = groups_create_for_bases(d->n); }
    if (d->plain || d->basis) { return; } // nothing is scaled
    size_t gather = gather_scratch(d->n, d->m, d->T, widest), assemble = assemble_scratch(most_weighed(d), d->T, widest);
    d->scratch_size = (gather > assemble ? gather : assemble) + 16;
    d->scratch = device_alloc(sizeof(float) * d->scratch_size * (size_t)d->threads, "the regularizer");
    d->groups = groups_create(d->n, d->m, d->rows.domains, d->needs & NEEDS_ROWS, d->gather.metric || d->normalise,
                              gather_partial(d->n, d->m, d->threads));
    d->gather.scratch = d->scratch;
    d->gather.part = d->scratch_size;
    d->gather.tables = gather_tables(d->n, d->m);
}

// What the statistics are needed for: the method; the angle to the target, which every step logs; the geometry.
static int needs_of(const Drpt* d) {
    int log = d->method == METHOD_target ? NEEDS_Q : NEEDS_S;
    return solve_needs(d->method, d->knobs) | log | (d->geometry && !d->gather.metric ? NEEDS_S | NEEDS_K : 0) | (d->rows.own_rows ? NEEDS_ROWS : 0);
}

// How many rows will have a weight, roughly: what the update costs.
static double rows_weighed(const Drpt* d) {
    if (d->knobs.strength != 1.0) { return d->n; }
    if (IS_ONE_OF(d->method, METHOD_subset, METHOD_random, METHOD_greedy)) { return solve_count(d->knobs.keep, d->n); }
    return IS_ONE_OF(d->method, METHOD_filter, METHOD_cone, METHOD_simplex) ? 0.5 * d->n : d->n;
}

static Gather gather_plan(const Drpt* d, const DrptOptions* o) {
    return (Gather){
        .n = d->n, .m = d->m, .T = d->T, .threads = d->threads, .metric = o->scores_only || strcmp(o->metric, "adam") == 0, .given = o->scores_only,
        .route = (Route)position(route_names, NUM_ROUTES, o->score, "score"),
        .weighed = rows_weighed(d), .keep_gradients = d->group <= DRPT_LAYER && group_batch() == 1 && !o->scores_only,
    };
}

DrptChoice drpt_choose(const DrptOptions* o, int n, int m, uint64_t seed) {
    const char* method = o->method ? o->method : m > 0 ? "subset" : "full";
    DrptChoice c = {
        .method = (Method)position(method_names, NUM_METHODS, method, "method"),
        .group = (DrptGroup)position(group_names, COUNT(group_names), o->group, "group"),
        .knobs = { .keep = o->keep, .ridge = o->ridge, .mix = o->mix, .tau = o->tau, .radius = o->radius, .strength = parse_strength(o->strength),
                   .rescale = (Rescale)position(rescale_names, NUM_RESCALES, o->rescale, "rescale"), .seed = seed },
        .normalise = o->normalise, .sides = (Sides)position(sides_names, NUM_SIDES, o->sides, "sides"),
    };
    if (!o->scores_only) { check_rows(c.method, method, n, m); }
    check_knobs(o, c.method, method, c.knobs, m);
    if (o->own_rows) { check_own_rows(o, c.knobs, n, m); }
    return c;
}

Drpt drpt_create(const DrptOptions* o, int n, int m, int T, int widest, int domains, uint64_t seed) {
    DrptChoice c = drpt_choose(o, n, m, seed);
    Drpt d = { .method = c.method, .group = c.group, .knobs = c.knobs, .normalise = c.normalise, .n = n, .m = m, .T = T, .places = T,
               .threads = device_threads(), .refresh = o->refresh, .scores_only = o->scores_only, .plain = c.method == METHOD_full && m == 0,
               .rows = { .n = n, .m = m, .domains = domains > 0 ? domains : 1 } };
    d.rows.own_rows = o->own_rows && solve_needs(d.method, d.knobs) & NEEDS_S;
    d.needs = needs_of(&d);
    d.gather = gather_plan(&d, o);
    if (IS_ONE_OF(d.method, METHOD_inside, METHOD_outside)) {
        d.basis = basis_create(o->rank, c.sides, o->forget, seed, d.threads);
    } else if (d.gather.route == ROUTE_sketch && !d.plain) {
        d.sketches = d.gather.sketches = sketch_create(o->sketch, n, m, T, seed);
    }
    take_memory(&d, widest);
    return d;
}

void drpt_free(Drpt* d) {
    basis_free(d->basis);
    sketch_free(d->sketches);
    free(d->gather.kept);
    gather_tables_free(d->gather.tables);
    device_free(d->scratch);
    groups_free(&d->groups);
    stopwatch_free(&d->stopwatch);
    arena_free(&d->arena);
}

void drpt_moments(Drpt* d, const float* grads, const float* v, const int* updates, double beta2, double eps) {
    d->grads = grads;
    d->v = v;
    d->updates = updates;
    d->beta2 = beta2;
    d->gather.eps = (float)eps;
}

int drpt_keeps_blocks(const Drpt* d) { return !d->plain && d->group == DRPT_GLOBAL; }
int drpt_has_state(const Drpt* d) { return d->basis != NULL; }
void drpt_save(const Drpt* d, const char* path) { basis_write(d->basis, path); }
void drpt_load(Drpt* d, const char* path) { basis_read(d->basis, path); }

int drpt_wants_general(const Drpt* d, uint64_t step) { return !d->basis || step % (uint64_t)d->refresh == 0; }

void drpt_begin(Drpt* d, uint64_t step, const unsigned char* usable, const int* domain) {
    d->step = step;
    d->domain = domain;
    d->rows.usable = usable;
    d->rows.domain = domain;
    if (!d->plain) { d->rows = groups_rows(&d->groups, d->rows); }
    d->with_general = drpt_wants_general(d, step);
    d->num_groups = d->num_sites = d->next_index = 0;
    d->dot_ut = d->norm_t2 = d->basis || d->gather.metric ? NAN : 0.0;
    d->rows_dropped = d->groups_skipped = 0;
    d->gather.correction = d->updates && *d->updates > 0 ? (float)(1.0 / (1.0 - pow(d->beta2, *d->updates))) : 1.0f;
    if (d->sketches && d->sketch_age != step / (uint64_t)d->refresh + 1) {
        d->sketch_age = step / (uint64_t)d->refresh + 1;
        sketch_refresh(d->sketches, d->knobs.seed + 0x9e3779b97f4a7c15u * d->sketch_age);
    }
    if (d->probe) { probe_restart(d->probe); }
}

// ---------------------------------------------------------------------------------------------
// Recording.

// FNV-1a over the words of the factors: a buffer that moved on since it was recorded is a silent error otherwise.
static uint64_t hash_words(uint64_t hash, const void* words, size_t bytes) {
    if (!words || bytes == 0) { return hash; }
    char* host = device_open((void*)words, bytes);
    for (size_t at = 0; at < bytes; at += sizeof(uint32_t)) {
        uint32_t word = 0;
        memcpy(&word, host + at, bytes - at < sizeof(word) ? bytes - at : sizeof(word));
        hash = (hash ^ word) * 0x100000001b3u;
    }
    device_close(host, (void*)words, bytes, 0);
    return hash;
}

static uint64_t checksum(const Drpt* d, const Site* s) {
    size_t positions = (size_t)((d->with_general ? d->n : 0) + d->m) * d->T, rows = (size_t)s->rows, cols = (size_t)s->cols;
    size_t columns = s->kind == SITE_POSITION ? cols : (size_t)s->stride;
    const Real* dout = s->dout ? device_reals(s->dout, -(ptrdiff_t)((size_t)s->part * rows)) : NULL; // of a fused projection, the whole
    uint64_t hash = hash_words(0xcbf29ce484222325u, dout, device_real_size() * positions * columns);
    hash = hash_words(hash, s->inp, device_real_size() * positions * (s->kind == SITE_LAYERNORM ? rows : cols));
    hash = hash_words(hash, s->dlookup, device_real_size() * positions * cols);
    hash = hash_words(hash, s->mean, sizeof(float) * positions);
    hash = hash_words(hash, s->rstd, sizeof(float) * positions);
    return hash_words(hash, s->tokens, sizeof(int) * positions);
}

// In plain training there is nothing to wait for: every row has weight 1 and the gradient is formed at once.
static void record(Drpt* d, Site s) {
    s.block = d->block;
    s.index = d->next_index++;
    if (s.parts == 0) {
        s.parts = 1;
        s.stride = s.rows;
    }
    if (d->plain) { drpt_assemble(&s, NULL, d->n, d->n, d->T, d->scratch, d->scratch_size, d->threads); return; }
    if (d->scores_only) {
        s.vweight = s.dweight;
        s.vbias = s.dbias;
    } else if (d->gather.metric) {
        s.vweight = d->v + (s.dweight - d->grads);
        s.vbias = s.dbias ? d->v + (s.dbias - d->grads) : NULL;
    }
    check(d->num_sites < DRPT_MAX_SITES, "the model has more than %d layers", DRPT_MAX_SITES);
    d->site[d->num_sites] = s;
    d->checksum[d->num_sites++] = d->verify ? checksum(d, &s) : 0;
}

void drpt_site(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp, int C, int OC) {
    record(d, (Site){ .kind = SITE_LINEAR, .name = name, .dweight = dweight, .dbias = dbias, .dout = dout, .inp = inp,
                      .rows = OC, .cols = C });
}

void drpt_site_fused(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp, int C, int OC) {
    if (d->plain || d->group != DRPT_MATRIX) { drpt_site(d, name, dweight, dbias, dout, inp, C, OC); return; }
    int parts = (int)strlen(name), rows = OC / parts;
    for (int i = 0; i < parts; i++) {
        size_t at = (size_t)i * (size_t)rows;
        record(d, (Site){ .kind = SITE_LINEAR, .name = name, .dweight = dweight + at * (size_t)C, .dbias = dbias + at, .dout = device_reals(dout, (ptrdiff_t)at), .inp = inp,
                          .rows = rows, .cols = C, .stride = OC, .part = i, .parts = parts });
    }
}

void drpt_site_layernorm(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp,
                         const float* mean, const float* rstd, int C) {
    record(d, (Site){ .kind = SITE_LAYERNORM, .name = name, .dweight = dweight, .dbias = dbias, .dout = dout, .inp = inp,
                      .mean = mean, .rstd = rstd, .rows = C, .cols = 1 });
}

void drpt_site_position(Drpt* d, const char* name, float* dweight, const Real* dout, int C) {
    record(d, (Site){ .kind = SITE_POSITION, .name = name, .dweight = dweight, .dout = dout, .rows = d->places, .cols = C });
}

void drpt_site_token(Drpt* d, const char* name, float* dweight, const Real* dout, const Real* inp,
                     const Real* dlookup, const int* tokens, int C, int V, int stride) {
    int rows = d->plain ? stride : V; // a product without gaps: it adds zeros to the rows behind V
    record(d, (Site){ .kind = dout ? SITE_TOKEN : SITE_LOOKUP, .name = name, .dweight = dweight, .dout = dout, .inp = inp,
                      .dlookup = dlookup, .tokens = tokens, .rows = rows, .cols = C, .stride = stride, .parts = 1 });
}

// ---------------------------------------------------------------------------------------------
// Projecting.

const char* drpt_site_name(const Site* s, char* name, size_t size) {
    char block[16] = "";
    if (s->block >= 0) { snprintf(block, sizeof(block), "h%d.", s->block); }
    if (s->parts > 1) { snprintf(name, size, "%s%c", block, s->name[s->part]); }
    else { snprintf(name, size, "%s%s", block, s->name); }
    return name;
}

// A value that was not measured is an empty cell.
static void cell(FILE* f, double x) {
    fputc(',', f);
    if (!isnan(x)) { fprintf(f, "%.9g", x); }
}

void drpt_log_geometry(Drpt* d, FILE* file, int with_header) {
    d->geometry = file;
    d->needs = needs_of(d);
    if (!with_header) { return; }
    if (d->basis) { fprintf(file, "step,group,rank_left,rank_right,overlap_left,overlap_right,energy\n"); return; }
    fprintf(file, "step,group,beta,update_cos,update_ratio,dropped,skipped,retained,effective,negative,strength,route");
    for (int k = 0; k < d->rows.domains && d->rows.domains > 1; k++) { fprintf(file, ",mass_%d", k); }
    for (int i = 0; i < d->n; i++) { fprintf(file, ",score_%d", i); }
    for (int i = 0; i < d->n; i++) { fprintf(file, ",alpha_%d", i); }
    fputc('\n', file);
}

// retained: the part of |t|^2 along u, for a projection |u|^2/|t|^2. effective: (sum alpha)^2 / sum alpha^2, how many rows of equal weight
// would make as noisy a mean. negative: rows whose score is. mass: the share of sum |alpha| on each of several domains.
static void log_mass(const Drpt* d, const double* alpha) {
    double all = 0.0;
    for (int i = 0; i < d->n; i++) { all += fabs(alpha[i]); }
    for (int k = 0; k < d->rows.domains && d->rows.domains > 1; k++) {
        double mass = 0.0;
        for (int i = 0; i < d->n; i++) { mass += !d->domain || d->domain[i] == k ? fabs(alpha[i]) : 0.0; }
        cell(d->geometry, all > 0.0 ? mass / all : NAN);
    }
}

static void log_group(const Drpt* d, int group) {
    const GroupResult* r = &d->result[group];
    const GroupLabel* label = &d->label[group];
    const double *alpha = d->alphas + (size_t)group * (size_t)d->n, *score = d->scores + (size_t)group * (size_t)d->n;
    double u = d->gather.metric ? NAN : sqrt(fmax(0.0, r->norm_u2)), t = sqrt(r->q);
    double cosine = u * t > 0.0 ? r->dot_ut / (u * t) : u * t, sum = 0.0, squares = 0.0;
    int negative = 0;
    char name[64];
    for (int i = 0; i < d->n; i++) {
        sum += alpha[i];
        squares += alpha[i] * alpha[i];
        negative += score[i] < 0.0;
    }
    fprintf(d->geometry, "%llu,%s", (unsigned long long)d->step, drpt_site_name(&label->first, name, sizeof(name)));
    if (label->last) { fprintf(d->geometry, "..%s", label->last); }
    cell(d->geometry, r->beta);
    cell(d->geometry, cosine);
    cell(d->geometry, t > 0.0 ? u / t : 0.0);
    fprintf(d->geometry, ",%d,%d", r->verdict.dropped, r->verdict.skipped);
    cell(d->geometry, cosine * cosine);
    cell(d->geometry, squares > 0.0 ? sum * sum / squares : 0.0);
    fprintf(d->geometry, ",%d", negative);
    cell(d->geometry, r->verdict.strength);
    fprintf(d->geometry, ",%s", route_names[label->gathered.route]);
    log_mass(d, alpha);
    for (int i = 0; i < d->n; i++) { cell(d->geometry, score[i]); }
    for (int i = 0; i < d->n; i++) { cell(d->geometry, alpha[i]); }
    fputc('\n', d->geometry);
}

static void log_basis(const Drpt* d, const Site* s, BasisReport r) {
    char name[64];
    fprintf(d->geometry, "%llu,%s,%d,%d", (unsigned long long)d->step, drpt_site_name(s, name, sizeof(name)), r.rank_left, r.rank_right);
    cell(d->geometry, r.overlap_left);
    cell(d->geometry, r.overlap_right);
    cell(d->geometry, r.energy);
    fputc('\n', d->geometry);
}

// The statistics of these sites together, into a slot that has been cleared; complete after end_gathering(). Returns how the last one was
// gathered.
static Gathered gather_sites(Drpt* d, int slot, const Site* site, int count) {
    Statistics s = groups_statistics(&d->groups, slot);
    size_t scores = sizeof(double) * (size_t)d->n;
    Gathered done = {0};
    d->gather.needs = d->needs;
    for (int i = 0; i < count; i++) {
        if (d->normalise) { device_copy(d->groups.before, s.s, scores); }
        done = drpt_gather(&s, &site[i], &d->gather);
        if (!d->normalise) { continue; }
        gather_end(&d->gather);
        group_add_normalised(s.score, s.s, d->groups.before, d->rows.usable, d->n);
    }
    return done;
}

static void end_gathering(Drpt* d, int slots) {
    gather_end(&d->gather);
    for (int k = 0; k < slots && d->gather.metric; k++) { // the only scores there are
        Statistics s = groups_statistics(&d->groups, k);
        device_copy(s.s, s.score, sizeof(double) * (size_t)d->n);
    }
}

void drpt_gather_sites(Drpt* d, const Site* site, int count) {
    groups_clear(&d->groups, 1);
    gather_sites(d, 0, site, count);
    end_gathering(d, 1);
}

// Room for the gradients of a site that has its group to itself, from gathering to assembling, where that is worth it. Taken before the
// site is first gathered, so that all steps, and those of a run that is resumed, go the same way. With K a product is saved for every
// row, so that more is spent on it.
static void make_room(Drpt* d, const Site* site) {
    size_t most = (size_t)1 << (d->needs & NEEDS_K ? 31 : 29), size = sizeof(float) * ((size_t)d->n + 1) * site_size(site);
    Gather roomy = d->gather;
    roomy.needs = d->needs;
    roomy.kept_size = size / sizeof(float);
    if (roomy.kept_size <= d->gather.kept_size || size > most) { return; }
    if (gather_route(site, &roomy) != ROUTE_direct || !gather_keeps(site, &roomy)) { return; }
    free(d->gather.kept);
    d->gather.kept = malloc(size);
    d->gather.kept_size = roomy.kept_size;
    check(d->gather.kept != NULL, "out of memory: %zu MiB for the gradients of %d rows; use a smaller --batch, or --score tokens or pairs",
          size >> 20, d->n);
}

// The number of a group in the step.
static int new_group(Drpt* d, const Site* site, int count) {
    check(d->num_groups < DRPT_MAX_SITES, "the model has more than %d groups", DRPT_MAX_SITES);
    d->label[d->num_groups] = (GroupLabel){ .first = site[0], .last = count > 1 ? site[count - 1].name : NULL };
    return d->num_groups++;
}

static void assemble_group(const Drpt* d, int slot, const Site* site, int count, int kept) {
    int B = d->n + d->m;
    const float* weight = d->groups.weight + (size_t)slot * (size_t)B;
    if (kept) { drpt_assemble_kept(site, weight, d->gather.kept, d->n, d->threads); return; }
    for (int i = 0; i < count; i++) {
        drpt_assemble(&site[i], weight, B, most_weighed(d), d->T, d->scratch, d->scratch_size, d->threads);
    }
}

// Groups of `count` sites each, as many as there are slots for.
static void project_groups(Drpt* d, const Site* site, int groups, int count) {
    int first = d->num_groups;
    stopwatch_start(&d->stopwatch);
    GroupTask task = { .method = d->method, .needs = d->needs, .knobs = d->knobs, .rows = d->rows, .step = d->step };
    groups_clear(&d->groups, groups);
    for (int k = 0; k < groups; k++) {
        if (d->gather.keep_gradients) { make_room(d, &site[k * count]); }
        int group = new_group(d, &site[k * count], count);
        d->label[group].gathered = gather_sites(d, k, &site[k * count], count);
    }
    end_gathering(d, groups);
    group_solve(&d->groups, first, groups, &task);
    stopwatch_stop(&d->stopwatch);
    for (int k = 0; k < groups && !d->scores_only; k++) { assemble_group(d, k, &site[k * count], count, count == 1 && d->label[first + k].gathered.kept); }
}

static void project_on_bases(Drpt* d) {
    int first = d->with_general ? d->n : 0;
    BasisResult* result = d->groups.basis + d->num_groups;
    for (int i = 0; i < d->num_sites; i++) { new_group(d, &d->site[i], 1); }
    if (d->with_general) {
        stopwatch_start(&d->stopwatch);
        for (int i = 0; i < d->num_sites; i++) { basis_refresh(d->basis, &d->site[i], d->n, d->T, d->rows.usable, &result[i].report); }
        basis_refresh_end(d->basis);
        stopwatch_stop(&d->stopwatch);
    }
    for (int i = 0; i < d->num_sites; i++) {
        (d->method == METHOD_inside ? basis_inside : basis_outside)(d->basis, &d->site[i], first, first + d->m, d->T, &result[i].norm2);
    }
}

// Where groups are solved together, those of a sublayer wait for the rest of their block: more of them take no longer.
static int waits(const Drpt* d, DrptGroup complete) {
    return complete == DRPT_SUBLAYER && d->group < DRPT_SUBLAYER && d->groups.slots > 1 && !d->probe;
}

void drpt_project(Drpt* d, DrptGroup complete) {
    if (d->group > complete || waits(d, complete)) { return; }
    for (int i = 0; d->verify && i < d->num_sites; i++) {
        check(checksum(d, &d->site[i]) == d->checksum[i], "%s: a buffer changed between drpt_site() and drpt_project()", d->site[i].name);
    }
    int count = d->group <= DRPT_LAYER ? 1 : d->num_sites, groups = d->num_sites > 0 ? d->num_sites / count : 0;
    for (int i = 0; i < d->num_sites && d->probe; i++) { probe_site(d->probe, &d->site[i]); }
    if (d->probe) { probe_boundary(d->probe, complete); }
    else if (d->basis) { project_on_bases(d); }
    else {
        for (int i = 0, slots = d->groups.slots; i < groups; i += slots) {
            project_groups(d, &d->site[i * count], groups - i < slots ? groups - i : slots, count);
        }
    }
    d->num_sites = 0;
}

// ---------------------------------------------------------------------------------------------
// What came of it.

static void end_bases(Drpt* d) {
    device_read(d->basis_result, d->groups.basis, sizeof(BasisResult) * (size_t)d->num_groups);
    for (int i = 0; i < d->num_groups; i++) {
        const BasisResult* r = &d->basis_result[i];
        if (d->with_general) {
            d->rows_dropped += r->report.dropped;
            basis_heard(d->basis, d->label[i].first.index, &r->report);
            if (d->geometry) { log_basis(d, &d->label[i].first, r->report); }
        }
        d->groups_skipped += !isfinite(r->norm2) || (d->method == METHOD_inside && r->norm2 == 0.0);
    }
}

void drpt_end(Drpt* d) {
    size_t groups = (size_t)d->num_groups, numbers = groups * (size_t)d->n;
    d->seconds = stopwatch_read(&d->stopwatch);
    if (d->plain || groups == 0) { return; }
    if (d->basis) { end_bases(d); return; }
    device_read(d->result, d->groups.result, sizeof(GroupResult) * groups);
    device_read(d->alphas, d->groups.alpha, sizeof(double) * numbers);
    device_read(d->scores, d->groups.score, sizeof(double) * numbers);
    for (int k = 0; k < d->num_groups; k++) {
        const GroupResult* r = &d->result[k];
        d->rows_dropped += r->verdict.dropped;
        d->groups_skipped += r->verdict.skipped;
        d->dot_ut += isfinite(r->q) ? r->dot_ut : 0.0;
        d->norm_t2 += isfinite(r->q) ? r->q : 0.0;
        if (d->geometry) { log_group(d, k); }
    }
    d->alpha = d->alphas + numbers - (size_t)d->n;
    d->beta = d->result[groups - 1].beta;
}
