// probe.c -- the gradients of a pass, the updates of all variants out of them, and what is added up of those.
#include "probe_state.h"
#include "assemble.h"
#include "../llmc/check.h"
#include "../llmc/matmul.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// ---------------------------------------------------------------------------------------------
// Memory.

static int is_basis(Method method) { return method == METHOD_inside || method == METHOD_outside; }

// Everything that does not depend on the model.
static void layout(Probe* p) {
    Arena* a = &p->arena;
    const Drpt* d = &p->recorder;
    size_t n = (size_t)d->n, m = (size_t)d->m, R = (size_t)p->draws, domains = (size_t)p->domains;
    p->measured = arena_take(a, sizeof(Measured) * (size_t)p->list->count);
    for (int v = 0; v < p->list->count; v++) {
        Measured none, *r = p->measured ? &p->measured[v] : &none;
        r->norm2 = arena_take(a, sizeof(double) * R);
        r->cos_t = arena_take(a, sizeof(double) * R);
        r->cos_true = arena_take(a, sizeof(double) * R);
        r->mass = arena_take(a, sizeof(double) * domains);
        r->gram = arena_take(a, sizeof(double) * R * R);
        r->along[0] = arena_take(a, sizeof(double) * R);
        r->along[1] = arena_take(a, sizeof(double) * R);
    }
    p->group.K = arena_take(a, sizeof(double) * n * n);
    p->group.s = arena_take(a, sizeof(double) * n);
    p->group.q = arena_take(a, sizeof(double));
    p->group.score = arena_take(a, sizeof(double) * n);
    p->group.S = d->needs & NEEDS_ROWS ? arena_take(a, sizeof(double) * n * m) : NULL;
    p->group.Q = d->needs & NEEDS_ROWS ? arena_take(a, sizeof(double) * m * m) : NULL;
    p->alpha = arena_take(a, sizeof(double) * n);
    p->work = arena_take(a, sizeof(double) * solve_work(d->n, d->m, p->domains));
    p->mass = arena_take(a, sizeof(double) * domains);
}

Probe* probe_create(const ProbeList* list, int n, int m, int T, int widest, int domains, int draws, int batches, uint64_t seed) {
    Probe* p = calloc(1, sizeof(Probe));
    check(p != NULL, "out of memory for the probe");
    check(n > 0 && m > 0, "--probe: needs --general and --target");
    check(draws >= 2 && batches >= 2, "--draws %d and --draw-batches %d: two at least of both, or nothing can be said about variance", draws, batches);
    DrptOptions all = drpt_defaults; // a method that asks for all that one of the list needs
    int needs = 0;
    for (int v = 0; v < list->count; v++) {
        DrptChoice c = drpt_choose(&list->variant[v].options, n, m, seed);
        needs |= solve_needs(c.method, c.knobs);
    }
    all.method = "cone";
    all.group = "matrix";
    all.strength = needs & NEEDS_ROWS ? "auto" : "1";
    *p = (Probe){ .list = list, .draws = draws, .batches = batches, .domains = domains > 0 ? domains : 1, .t_norm2 = NAN, .limit = (size_t)1 << 31,
                  .recorder = drpt_create(&all, n, m, T, widest, domains, seed) };
    p->recorder.probe = p;
    p->recorder.gather.keep_gradients = 0; // they are formed here, one by one, and folded
    layout(p);
    arena_alloc(&p->arena, "the probe");
    layout(p);
    for (int v = 0; v < list->count; v++) { p->measured[v].choice = drpt_choose(&list->variant[v].options, n, m, seed); }
    return p;
}

void probe_free(Probe* p) {
    for (int i = 0; i < p->num_sites; i++) {
        free(p->site[i].half[0]);
        free(p->site[i].half[1]);
    }
    float* parts[] = { p->reference[0], p->reference[1], p->sums, p->updates, p->gradients, p->raw, p->scratch, p->ones, p->scores };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) { free(parts[i]); }
    arena_free(&p->arena);
    arena_free(&p->statistics_arena);
    drpt_free(&p->recorder);
    free(p);
}

void probe_limit(Probe* p, size_t bytes) { p->limit = bytes; }
Drpt* probe_recorder(Probe* p) { return &p->recorder; }

static float* zeros(size_t count, const char* what) {
    float* x = calloc(count ? count : 1, sizeof(float));
    check(x != NULL, "out of memory: %zu MiB for %s of the probe; measure fewer variants or draws at a time", sizeof(float) * count >> 20, what);
    return x;
}

static void grow(float** x, size_t* size, size_t count) {
    if (*size >= count) { return; }
    free(*x);
    *x = zeros(count, "working memory");
    *size = count;
}

// ---------------------------------------------------------------------------------------------
// Vectors.

// to (width) += from (size), whole or folded: from[j] times a random sign is added to to[j mod width]. width is then a multiple of 64.
static void fold(float* to, const float* from, const ProbeSite* s, int site) {
    if (s->width == s->size) {
        for (size_t j = 0; j < s->size; j++) { to[j] += from[j]; }
        return;
    }
    for (size_t first = 0; first < s->size; first += 64) {
        uint64_t sign = solve_bits((uint64_t)site << 48, first / 64);
        size_t count = least(64, s->size - first);
        float* x = to + first % s->width;
        for (size_t j = 0; j < count; j++) { x[j] += sign >> j & 1 ? -from[first + j] : from[first + j]; }
    }
}

static double dot(const float* a, const float* b, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t j = 0; j < count; j++) { sum += (double)a[j] * (double)b[j]; }
    return sum;
}

// The gradient of the rows [first, end) together, weights and then bias.
static void form(float* to, const Site* s, const float* ones, int first, int end, int T, float* scratch) {
    float *weights = to, *bias = s->dbias ? to + (size_t)s->rows * (size_t)s->cols : NULL;
    memset(to, 0, sizeof(float) * site_size(s));
    for (int o = 0; o < s->rows; o += SLAB_MAX_ROWS) {
        int count = s->rows - o < SLAB_MAX_ROWS ? s->rows - o : SLAB_MAX_ROWS;
        site_gradient(weights + (size_t)o * s->cols, bias ? bias + o : NULL, s, ones, first, end, T, o, count, scratch);
    }
}

// ---------------------------------------------------------------------------------------------
// The reference.

void probe_begin_reference(Probe* p, int half, int rows, int T) {
    check(p->passes == 0 && !p->sums, "the reference comes before the first draw");
    p->half = half;
    p->rows = rows;
    p->T = T;
    free(p->ones);
    p->ones = zeros((size_t)rows, "rows");
    for (int b = 0; b < rows; b++) { p->ones[b] = 1.0f; }
    drpt_begin(&p->recorder, 0, NULL, NULL);
}

static void add_reference(Probe* p, ProbeSite* at, Site s, int half) {
    int threads = p->recorder.threads;
    size_t part = assemble_scratch(p->rows, p->T, s.cols);
    grow(&p->scratch, &p->scratch_size, part * (size_t)threads);
    if (!at->half[half]) { at->half[half] = zeros(at->size, "the true gradient"); }
    s.dweight = at->half[half];
    s.dbias = s.dbias ? s.dweight + (size_t)s.rows * (size_t)s.cols : NULL;
    drpt_assemble(&s, NULL, p->rows, p->rows, p->T, p->scratch, part, threads);
}

// ---------------------------------------------------------------------------------------------
// Sites come in. They are the same, in the same order, in every pass.

void probe_restart(Probe* p) {
    p->next = p->sublayer = p->block = 0;
    p->layer = -1;
}

static ProbeSite* meet(Probe* p, const Site* s) {
    ProbeSite* at = &p->site[p->next];
    p->layer += s->part == 0;
    if (p->next == p->num_sites) {
        check(!p->sums, "a pass has more sites than the one before");
        p->num_sites++;
        drpt_site_name(s, at->name, sizeof(at->name));
        at->block = s->block;
        at->size = site_size(s);
        at->group[DRPT_MATRIX] = p->next;
        at->group[DRPT_LAYER] = p->layer;
        at->group[DRPT_SUBLAYER] = p->sublayer;
        at->group[DRPT_BLOCK] = p->block;
        at->group[DRPT_GLOBAL] = 0;
    }
    check(at->size == site_size(s), "%s: another size than in the pass before", at->name);
    p->next++;
    return at;
}

// The first n of a site's gradients are those of the general rows, the last is t.
static void form_all(Probe* p, const ProbeSite* at, const Site* s, int site) {
    const Drpt* d = &p->recorder;
    float* gradients = p->gradients + (size_t)(d->n + 1) * at->at;
    size_t scratch = (size_t)d->m * (size_t)d->T * SLAB_MAX_ROWS;
    memset(gradients, 0, sizeof(float) * (size_t)(d->n + 1) * at->width);
    grow(&p->scratch, &p->scratch_size, scratch * (size_t)d->threads);
    grow(&p->raw, &p->raw_size, at->size * (size_t)d->threads);
    #pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int i = 0; i <= d->n; i++) {
        float* raw = p->raw + (size_t)omp_get_thread_num() * at->size;
        form(raw, s, p->ones, i, i < d->n ? i + 1 : d->n + d->m, d->T, p->scratch + (size_t)omp_get_thread_num() * scratch);
        fold(gradients + (size_t)i * at->width, raw, at, site);
    }
}

static void keep_statistics(ProbeSite* at, const Statistics* from, int n, int m) {
    size_t rows = (size_t)n, targets = (size_t)m;
    Statistics* to = &at->statistics;
    memcpy(to->K, from->K, sizeof(double) * rows * rows);
    memcpy(to->s, from->s, sizeof(double) * rows);
    *to->q = *from->q;
    if (to->S) {
        memcpy(to->S, from->S, sizeof(double) * rows * targets);
        memcpy(to->Q, from->Q, sizeof(double) * targets * targets);
    }
    check(isfinite(*from->q), "the probe: the target's gradient in %s is not finite; look for broken values in the model or the data", at->name);
    for (size_t i = 0; i < rows; i++) {
        check(isfinite(from->K[i * rows + i]), "the probe: a general gradient in %s is not finite; look for broken values in the model or the data", at->name);
    }
}

// The part of a fused site in the update of the whole, which is its weights and then its biases.
static void fold_part(float* to, const float* whole, const Site* s, const ProbeSite* at, int site, float* raw) {
    size_t weights = (size_t)s->rows * (size_t)s->cols, part = (size_t)s->part;
    memcpy(raw, whole + part * weights, sizeof(float) * weights);
    if (s->dbias) { memcpy(raw + weights, whole + (size_t)s->parts * weights + part * (size_t)s->rows, sizeof(float) * (size_t)s->rows); }
    fold(to, raw, at, site);
}

// A basis is built of this pass' general rows alone. A layer that is several matrices is projected when its last part comes.
static void project_on_basis(Probe* p, const Site* s, int v) {
    const Drpt* d = &p->recorder;
    Measured* r = &p->measured[v];
    int by_part = r->choice.group == DRPT_MATRIX, parts = by_part ? 1 : s->parts;
    if (!by_part && s->part < s->parts - 1) { return; }
    Site whole = *s;
    ptrdiff_t back = (ptrdiff_t)(parts - 1) * s->rows;
    whole.rows *= parts;
    if (whole.dout) { whole.dout -= back; }
    if (!by_part) { whole.parts = 1; whole.part = 0; whole.index = p->layer; } // as if recorded by layer: a basis starts from it
    size_t size = site_size(&whole);
    grow(&p->raw, &p->raw_size, 2 * size);
    memset(p->raw, 0, sizeof(float) * size);
    whole.dweight = p->raw;
    whole.dbias = s->dbias ? p->raw + (size_t)whole.rows * (size_t)whole.cols : NULL;
    BasisReport report;
    double norm2;
    basis_refresh(r->basis, &whole, d->n, d->T, d->rows.usable, &report);
    (r->choice.method == METHOD_inside ? basis_inside : basis_outside)(r->basis, &whole, d->n, d->n + d->m, d->T, &norm2);
    for (int part = 0; part < parts; part++) {
        int site = p->next - parts + part;
        const ProbeSite* at = &p->site[site];
        Site piece = *s;
        piece.parts = parts;
        piece.part = part;
        fold_part(p->updates + (size_t)p->list->count * at->at + (size_t)v * at->width, p->raw, &piece, at, site, p->raw + size);
    }
}

void probe_site(Probe* p, const Site* s) {
    Drpt* d = &p->recorder;
    int site = p->next;
    ProbeSite* at = meet(p, s);
    if (p->half >= 0) {
        if (p->half != 1) { add_reference(p, at, *s, 0); }
        if (p->half != 0) { add_reference(p, at, *s, 1); }
        return;
    }
    drpt_gather_sites(d, s, 1);
    keep_statistics(at, &d->groups.statistics, d->n, d->m);
    float* scores = p->scores + ((size_t)p->passes * (size_t)p->num_sites + (size_t)site) * (size_t)d->n;
    for (int i = 0; i < d->n; i++) { scores[i] = (float)d->groups.statistics.s[i]; }
    form_all(p, at, s, site);
    memset(p->updates + (size_t)p->list->count * at->at, 0, sizeof(float) * (size_t)p->list->count * at->width);
    for (int v = 0; v < p->list->count; v++) {
        if (p->measured[v].basis) { project_on_basis(p, s, v); }
    }
}

// ---------------------------------------------------------------------------------------------
// The draws.

// Folded to 4096 floats a site, products are good to about 2 % each, and there are many sites: less would not do.
static size_t width_for(const Probe* p, size_t vectors) {
    size_t most = p->limit / sizeof(float);
    for (size_t width = (size_t)1 << 40; width >= 4096; width /= 2) {
        size_t floats = 0;
        for (int i = 0; i < p->num_sites; i++) { floats += least(p->site[i].size, width); }
        if (floats <= most / vectors) { return width; }
    }
    die("--probe: %d variants with %d draws take more than %zu MiB; measure fewer at a time", p->list->count, p->draws, p->limit >> 20);
}

static void layout_statistics(Probe* p) {
    size_t n = (size_t)p->recorder.n, m = (size_t)p->recorder.m;
    int with_rows = p->recorder.needs & NEEDS_ROWS;
    for (int i = 0; i < p->num_sites; i++) {
        Statistics* s = &p->site[i].statistics;
        s->K = arena_take(&p->statistics_arena, sizeof(double) * n * n);
        s->s = arena_take(&p->statistics_arena, sizeof(double) * n);
        s->q = arena_take(&p->statistics_arena, sizeof(double));
        s->S = with_rows ? arena_take(&p->statistics_arena, sizeof(double) * n * m) : NULL;
        s->Q = with_rows ? arena_take(&p->statistics_arena, sizeof(double) * m * m) : NULL;
        p->site[i].weight = arena_take(&p->statistics_arena, sizeof(float) * (n + 1) * (size_t)p->list->count);
    }
}

// The model is known now: the reference becomes vectors, and there is room for the sums.
static void layout_vectors(Probe* p) {
    size_t variants = (size_t)p->list->count, R = (size_t)p->draws, n = (size_t)p->recorder.n;
    check(p->num_sites > 0 && p->site[0].half[0] && p->site[0].half[1], "the probe needs both halves of its reference");
    p->width = width_for(p, variants * (R + 1) + n + 3);
    for (int i = 0; i < p->num_sites; i++) {
        ProbeSite* s = &p->site[i];
        s->at = p->size;
        s->width = least(s->size, p->width);
        p->size += s->width;
    }
    layout_statistics(p);
    arena_alloc(&p->statistics_arena, "the probe's statistics");
    layout_statistics(p);
    p->sums = zeros(variants * R * p->size, "the sums");
    p->updates = zeros(variants * p->size, "the updates");
    p->gradients = zeros((n + 1) * p->size, "the gradients");
    p->scores = zeros(R * (size_t)p->batches * (size_t)p->num_sites * n, "the scores");
    for (int half = 0; half < 2; half++) {
        p->reference[half] = zeros(p->size, "the reference");
        for (int i = 0; i < p->num_sites; i++) {
            ProbeSite* s = &p->site[i];
            fold(p->reference[half] + s->at, s->half[half], s, i);
            free(s->half[half]);
            s->half[half] = NULL;
        }
    }
    p->t_norm2 = dot(p->reference[0], p->reference[1], p->size);
}

void probe_begin(Probe* p, int a, int b, const unsigned char* usable, const int* domain) {
    Drpt* d = &p->recorder;
    check(p->passes == a * p->batches + b && a < p->draws && b < p->batches, "draw %d, batch %d: out of order", a, b);
    if (!p->sums) {
        layout_vectors(p);
        free(p->ones);
        p->ones = zeros((size_t)(d->n + d->m), "rows");
        for (int i = 0; i < d->n + d->m; i++) { p->ones[i] = 1.0f; }
    }
    p->half = -1;
    p->a = a;
    p->b = b;
    drpt_begin(d, (uint64_t)p->passes, usable, domain);
    for (int v = 0; v < p->list->count; v++) {
        const DrptOptions* o = &p->list->variant[v].options;
        DrptChoice c = p->measured[v].choice;
        if (!is_basis(c.method)) { continue; }
        p->measured[v].basis = basis_create(o->rank, c.sides, o->forget, c.knobs.seed, d->threads);
    }
}

static void add_to(double* to, const double* from, size_t count) {
    for (size_t i = 0; i < count; i++) { to[i] += from[i]; }
}

// The statistics of sites [first, end) together; scores normalised layer by layer are what some variants rank by.
static void sum_group(Probe* p, int first, int end, int normalise) {
    size_t n = (size_t)p->recorder.n, m = (size_t)p->recorder.m;
    Statistics* g = &p->group;
    memset(g->K, 0, sizeof(double) * n * n);
    memset(g->s, 0, sizeof(double) * n);
    memset(g->score, 0, sizeof(double) * n);
    if (g->S) { memset(g->S, 0, sizeof(double) * n * m); memset(g->Q, 0, sizeof(double) * m * m); }
    *g->q = 0.0;
    for (int i = first; i < end; i++) {
        const Statistics* s = &p->site[i].statistics;
        add_to(g->K, s->K, n * n);
        add_to(g->s, s->s, n);
        if (g->S) { add_to(g->S, s->S, n * m); add_to(g->Q, s->Q, m * m); }
        *g->q += *s->q;
    }
    if (!normalise) { memcpy(g->score, g->s, sizeof(double) * n); return; }
    for (int i = first, next; i < end; i = next) {
        memset(p->alpha, 0, sizeof(double) * n);
        for (next = i; next < end && p->site[next].group[DRPT_LAYER] == p->site[i].group[DRPT_LAYER]; next++) { add_to(p->alpha, p->site[next].statistics.s, n); }
        group_add_normalised(g->score, p->alpha, NULL, p->recorder.rows.usable, p->recorder.n);
    }
}

// The weights of a variant in all sites, and the mass they put on each domain.
static void solve_variant(Probe* p, int v) {
    const Drpt* d = &p->recorder;
    Measured* r = &p->measured[v];
    size_t n = (size_t)d->n, variants = (size_t)p->list->count;
    double all = 0.0;
    memset(p->mass, 0, sizeof(double) * (size_t)p->domains);
    for (int first = 0, end, group = 0; first < p->num_sites; first = end, group++) {
        Knobs knobs = r->choice.knobs;
        double beta;
        int by = r->choice.group;
        for (end = first; end < p->num_sites && p->site[end].group[by] == p->site[first].group[by]; ) { end++; }
        knobs.seed = drpt_group_seed(knobs.seed, d->step, (uint64_t)group);
        sum_group(p, first, end, r->choice.normalise);
        drpt_solve(p->alpha, &beta, r->choice.method, &p->group, d->rows, solve_needs(r->choice.method, knobs) | NEEDS_S, knobs, p->work);
        for (size_t i = 0; i < n; i++) {
            double part = fabs(p->alpha[i]) * sqrt(p->group.K[i * n + i]);
            p->mass[d->rows.domain ? d->rows.domain[i] : 0] += part;
            all += part;
        }
        for (int i = first; i < end; i++) {
            for (size_t k = 0; k < n; k++) { p->site[i].weight[k * variants + (size_t)v] = (float)p->alpha[k]; }
            p->site[i].weight[n * variants + (size_t)v] = (float)beta;
        }
    }
    for (int k = 0; k < p->domains && all > 0.0; k++) { r->mass[k] += p->mass[k] / all; }
    r->passes += all > 0.0;
}

// The updates of a variant, which lie site by site, into its sums.
static void add_update(Probe* p, int v) {
    const Drpt* d = &p->recorder;
    Measured* r = &p->measured[v];
    float* sum = p->sums + ((size_t)v * (size_t)p->draws + (size_t)p->a) * p->size;
    double u2 = 0.0, ut = 0.0, t2 = 0.0, along = 0.0;
    for (int i = 0; i < p->num_sites; i++) {
        const ProbeSite* s = &p->site[i];
        const float* u = p->updates + (size_t)p->list->count * s->at + (size_t)v * s->width;
        const float* t = p->gradients + (size_t)(d->n + 1) * s->at + (size_t)d->n * s->width;
        for (size_t j = 0; j < s->width; j++) { sum[s->at + j] += u[j]; }
        u2 += dot(u, u, s->width);
        ut += dot(u, t, s->width);
        t2 += dot(t, t, s->width);
        for (int half = 0; half < 2; half++) { along += 0.5 * dot(u, p->reference[half] + s->at, s->width); }
    }
    double t_true = sqrt(fmax(0.0, p->t_norm2));
    r->norm2[p->a] += u2;
    r->cos_t[p->a] += u2 * t2 > 0.0 ? ut / sqrt(u2 * t2) : 0.0;
    r->cos_true[p->a] += u2 * t_true > 0.0 ? along / (sqrt(u2) * t_true) : 0.0;
}

// The last batch of a draw has been added: its sum is multiplied with those of the draws before, and with t*.
static void end_draw(Probe* p, int v) {
    Measured* r = &p->measured[v];
    const float *sums = p->sums + (size_t)v * (size_t)p->draws * p->size, *sum = sums + (size_t)p->a * p->size;
    for (int c = 0; c <= p->a; c++) { r->gram[p->a * p->draws + c] = r->gram[c * p->draws + p->a] = dot(sum, sums + (size_t)c * p->size, p->size); }
    for (int half = 0; half < 2; half++) { r->along[half][p->a] = dot(sum, p->reference[half], p->size); }
}

static void end_pass(Probe* p) {
    const Drpt* d = &p->recorder;
    int variants = p->list->count;
    for (int v = 0; v < variants; v++) {
        if (is_basis(p->measured[v].choice.method)) { basis_free(p->measured[v].basis); p->measured[v].basis = NULL; }
        else { solve_variant(p, v); }
    }
    for (int i = 0; i < p->num_sites; i++) {
        const ProbeSite* s = &p->site[i];
        matmul_backward_params(p->updates + (size_t)variants * s->at, NULL, s->weight, p->gradients + (size_t)(d->n + 1) * s->at,
                               d->n + 1, (int)s->width, variants);
    }
    #pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int v = 0; v < variants; v++) {
        add_update(p, v);
        if (p->b == p->batches - 1) { end_draw(p, v); }
    }
    p->passes++;
}

void probe_boundary(Probe* p, DrptGroup complete) {
    p->sublayer++;
    p->block += complete >= DRPT_BLOCK;
    if (complete < DRPT_GLOBAL || p->half >= 0) { return; }
    check(p->next == p->num_sites, "a pass has fewer sites than the one before");
    end_pass(p);
}
