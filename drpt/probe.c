// probe.c -- the gradients of a pass, the updates of all variants out of them, and what is added up of those. They are the device's
// (probe_vectors.h); statistics and sums of products are read back, and what follows from them is found here.
#include "probe_state.h"
#include "assemble.h"
#include "probe_vectors.h"
#include "../llmc/check.h"
#include "../llmc/device.h"

#include <math.h>
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
    p->domain = arena_take(a, sizeof(int) * n);
    p->usable = arena_take(a, n);
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
    p->normalised = device_alloc(sizeof(double) * 2 * (size_t)n, "the probe");
    p->projected = device_alloc(sizeof(BasisResult), "the probe");
    return p;
}

void probe_free(Probe* p) {
    for (int i = 0; i < p->num_sites; i++) {
        device_free(p->site[i].half[0]);
        device_free(p->site[i].half[1]);
    }
    void* const parts[] = { p->reference[0], p->reference[1], p->sums, p->updates, p->gradients, p->weights, p->products, p->normalised, p->projected,
                            p->scratch };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) { device_free(parts[i]); }
    arena_free(&p->arena);
    arena_free(&p->statistics_arena);
    drpt_free(&p->recorder);
    free(p);
}

void probe_limit(Probe* p, size_t bytes) { p->limit = bytes; }
Drpt* probe_recorder(Probe* p) { return &p->recorder; }

static void* zeros(size_t bytes, const char* what) {
    void* x = device_alloc(bytes, what);
    device_zero(x, bytes);
    return x;
}

// Working memory, of any content.
static float* scratch_of(Probe* p, size_t floats) {
    if (p->scratch_size < floats) {
        device_free(p->scratch);
        p->scratch = device_alloc(sizeof(float) * floats, "the probe");
        p->scratch_size = floats;
    }
    return p->scratch;
}

static Fold fold_of(const Probe* p, int site) { return (Fold){ p->site[site].size, p->site[site].width, site }; }

// ---------------------------------------------------------------------------------------------
// The reference.

void probe_begin_reference(Probe* p, int half, int rows, int T) {
    check(p->passes == 0 && !p->sums, "the reference comes before the first draw");
    p->half = half;
    p->rows = rows;
    p->T = T;
    drpt_begin(&p->recorder, 0, NULL, NULL);
}

static void add_reference(Probe* p, ProbeSite* at, Site s, int half) {
    int threads = p->recorder.threads;
    size_t part = assemble_scratch(p->rows, p->T, s.cols);
    float* scratch = scratch_of(p, part * (size_t)threads);
    if (!at->half[half]) { at->half[half] = zeros(sizeof(float) * at->size, "the true gradient of the probe"); }
    s.dweight = at->half[half];
    s.dbias = s.dbias ? s.dweight + (size_t)s.rows * (size_t)s.cols : NULL;
    drpt_assemble(&s, NULL, p->rows, p->rows, p->T, scratch, part, threads);
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

static void keep_statistics(ProbeSite* at, const Statistics* from, int n, int m) {
    size_t rows = (size_t)n, targets = (size_t)m;
    Statistics* to = &at->statistics;
    device_read(to->K, from->K, sizeof(double) * rows * rows);
    device_read(to->s, from->s, sizeof(double) * rows);
    device_read(to->q, from->q, sizeof(double));
    if (to->S) {
        device_read(to->S, from->S, sizeof(double) * rows * targets);
        device_read(to->Q, from->Q, sizeof(double) * targets * targets);
    }
    check(isfinite(*to->q), "the probe: the target's gradient in %s is not finite; look for broken values in the model or the data", at->name);
    for (size_t i = 0; i < rows; i++) {
        check(isfinite(to->K[i * rows + i]), "the probe: a general gradient in %s is not finite; look for broken values in the model or the data", at->name);
    }
}

// The first n of a site's gradients are those of the general rows, the last is t.
static void form(Probe* p, const ProbeSite* at, const Site* s, int site) {
    const Drpt* d = &p->recorder;
    size_t floats = vectors_form_scratch(s, d->n, d->m, d->T, d->threads);
    vectors_form(p->gradients + (size_t)(d->n + 1) * at->at, s, fold_of(p, site), d->n, d->m, d->T, scratch_of(p, floats), floats, d->threads);
}

// The part of a site that is one of `parts`, in the update of the whole, which is its weights and then its biases.
static void add_part(Probe* p, const float* whole, const Site* s, int v, int site, int part, int parts) {
    const ProbeSite* at = &p->site[site];
    size_t weights = (size_t)s->rows * (size_t)s->cols, biases = s->dbias ? (size_t)s->rows : 0;
    float* to = p->updates + (size_t)p->list->count * at->at + (size_t)v * at->width;
    vectors_fold(to, 0, whole + (size_t)part * weights, 0, 1, fold_of(p, site), 0, weights);
    vectors_fold(to, 0, whole + (size_t)parts * weights + (size_t)part * biases, 0, 1, fold_of(p, site), weights, biases);
}

// A basis is built of this pass' general rows alone. A layer that is several matrices is projected when its last part comes.
static void project_on_basis(Probe* p, const Site* s, int v) {
    const Drpt* d = &p->recorder;
    Measured* r = &p->measured[v];
    int by_part = r->choice.group == DRPT_MATRIX, parts = by_part ? 1 : s->parts;
    if (!by_part && s->part < s->parts - 1) { return; }
    Site whole = *s;
    whole.rows *= parts;
    if (s->dout) { whole.dout = device_reals(s->dout, -(ptrdiff_t)(parts - 1) * s->rows); }
    if (!by_part) { whole.parts = 1; whole.part = 0; whole.index = p->layer; } // as if recorded by layer: a basis starts from it
    size_t size = site_size(&whole);
    whole.dweight = scratch_of(p, size);
    whole.dbias = s->dbias ? whole.dweight + (size_t)whole.rows * (size_t)whole.cols : NULL;
    device_zero(whole.dweight, sizeof(float) * size);
    basis_refresh(r->basis, &whole, d->n, d->T, d->rows.usable, &p->projected->report);
    basis_refresh_end(r->basis);
    (r->choice.method == METHOD_inside ? basis_inside : basis_outside)(r->basis, &whole, d->n, d->n + d->m, d->T, &p->projected->norm2);
    for (int part = 0; part < parts; part++) { add_part(p, whole.dweight, s, v, p->next - parts + part, part, parts); }
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
    for (int i = 0; i < d->n; i++) { scores[i] = (float)at->statistics.s[i]; }
    form(p, at, s, site);
    device_zero(p->updates + (size_t)p->list->count * at->at, sizeof(float) * (size_t)p->list->count * at->width);
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
    }
    p->scores = arena_take(&p->statistics_arena, sizeof(float) * (size_t)p->draws * (size_t)p->batches * (size_t)p->num_sites * n);
}

static size_t weights_size(const Probe* p) { return sizeof(float) * (size_t)p->num_sites * (size_t)(p->recorder.n + 1) * (size_t)p->list->count; }

// What is asked of the vectors: at the end of a pass of each variant four numbers, and one; at that of a draw products with all draws and both
// halves of t*. There are two draws at least.
static size_t products_size(const Probe* p) { return sizeof(double) * ((size_t)p->list->count * (size_t)(p->draws + 2) + 1); }

// The halves of t* as vectors, and what is between them.
static void fold_reference(Probe* p) {
    double product[3] = { 0.0, 0.0, 0.0 };
    for (int half = 0; half < 2; half++) {
        p->reference[half] = zeros(sizeof(float) * p->size, "the reference of the probe");
        for (int i = 0; i < p->num_sites; i++) {
            ProbeSite* s = &p->site[i];
            vectors_fold(p->reference[half] + s->at, 0, s->half[half], 0, 1, fold_of(p, i), 0, s->size);
            device_free(s->half[half]);
            s->half[half] = NULL;
        }
    }
    vectors_products(p->products, p->reference[0], 0, p->reference[0], 0, p->size, 1);
    vectors_products(p->products + 1, p->reference[0], 0, p->reference[1], 0, p->size, 1);
    vectors_products(p->products + 2, p->reference[1], 0, p->reference[1], 0, p->size, 1);
    device_read(product, p->products, sizeof(product));
    p->t_norm2 = product[1];
    p->halves_apart2 = product[0] - 2.0 * product[1] + product[2];
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
    p->sums = zeros(sizeof(float) * variants * R * p->size, "the sums of the probe");
    p->updates = zeros(sizeof(float) * variants * p->size, "the updates of the probe");
    p->gradients = zeros(sizeof(float) * (n + 1) * p->size, "the gradients of the probe");
    p->weights = zeros(weights_size(p), "the weights of the probe");
    p->products = zeros(products_size(p), "the products of the probe");
    fold_reference(p);
}

void probe_begin(Probe* p, int a, int b, const unsigned char* usable, const int* domain) {
    Drpt* d = &p->recorder;
    check(p->passes == a * p->batches + b && a < p->draws && b < p->batches, "draw %d, batch %d: out of order", a, b);
    if (!p->sums) { layout_vectors(p); }
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

// The scores of the group get those of a layer, by their mean magnitude.
static void add_normalised(Probe* p, const double* layer) {
    size_t n = (size_t)p->recorder.n;
    double *s = p->normalised, *score = s + n;
    device_write(s, layer, sizeof(double) * n);
    device_write(score, p->group.score, sizeof(double) * n);
    group_add_normalised(score, s, NULL, p->recorder.rows.usable, (int)n);
    device_read(p->group.score, score, sizeof(double) * n);
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
        add_normalised(p, p->alpha);
    }
}

// Which rows can be used, and where they are from: the recorder has it on the device.
static Rows rows_of_pass(const Probe* p) {
    Rows rows = p->recorder.rows;
    size_t n = (size_t)rows.n;
    if (rows.usable) { device_read(p->usable, rows.usable, n); rows.usable = p->usable; }
    if (rows.domain) { device_read(p->domain, rows.domain, sizeof(int) * n); rows.domain = p->domain; }
    return rows;
}

// The weights of a variant in all sites (sites, n+1, variants), and the mass they put on each domain.
static void solve_variant(Probe* p, int v, Rows rows, float* weights) {
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
        drpt_solve(p->alpha, &beta, r->choice.method, &p->group, rows, solve_needs(r->choice.method, knobs) | NEEDS_S, knobs, p->work);
        for (size_t i = 0; i < n; i++) {
            double part = fabs(p->alpha[i]) * sqrt(p->group.K[i * n + i]);
            p->mass[rows.domain ? rows.domain[i] : 0] += part;
            all += part;
        }
        for (int i = first; i < end; i++) {
            float* weight = weights + (size_t)i * (n + 1) * variants + (size_t)v;
            for (size_t k = 0; k < n; k++) { weight[k * variants] = (float)p->alpha[k]; }
            weight[n * variants] = (float)beta;
        }
    }
    for (int k = 0; k < p->domains && all > 0.0; k++) { r->mass[k] += p->mass[k] / all; }
    r->passes += all > 0.0;
}

// The updates of all variants, site by site: what the weights add to those that bases have made; then into the sums, and what is
// measured of them. Products: of each variant <u,u>, <u,t> and <u, half of t*>, and <t,t>.
static void add_updates(Probe* p) {
    int n = p->recorder.n, variants = p->list->count;
    size_t count = (size_t)variants;
    double *uu = p->products, *ut = uu + count, *along[2] = { ut + count, ut + 2 * count }, *tt = ut + 3 * count;
    device_zero(p->products, products_size(p));
    for (int i = 0; i < p->num_sites; i++) {
        const ProbeSite* s = &p->site[i];
        const float *weight = p->weights + (size_t)i * (size_t)(n + 1) * count;
        const float *g = p->gradients + (size_t)(n + 1) * s->at, *t = g + (size_t)n * s->width;
        float *u = p->updates + count * s->at, *sum = p->sums + (size_t)p->a * p->size + s->at;
        vectors_combine(u, weight, g, n + 1, s->width, variants);
        vectors_fold(sum, (size_t)p->draws * p->size, u, s->width, variants, (Fold){ s->width, s->width, i }, 0, s->width);
        vectors_products(uu, u, s->width, u, s->width, s->width, variants);
        vectors_products(ut, u, s->width, t, 0, s->width, variants);
        for (int half = 0; half < 2; half++) { vectors_products(along[half], u, s->width, p->reference[half] + s->at, 0, s->width, variants); }
        vectors_products(tt, t, 0, t, 0, s->width, 1);
    }
}

static void measure_updates(Probe* p) {
    int variants = p->list->count;
    double *x = device_open(p->products, products_size(p)), t2 = x[4 * variants], t_true = sqrt(fmax(0.0, p->t_norm2));
    for (int v = 0; v < variants; v++) {
        Measured* r = &p->measured[v];
        double u2 = x[v], ut = x[variants + v], along = 0.5 * (x[2 * variants + v] + x[3 * variants + v]);
        r->norm2[p->a] += u2;
        r->cos_t[p->a] += u2 * t2 > 0.0 ? ut / sqrt(u2 * t2) : 0.0;
        r->cos_true[p->a] += u2 * t_true > 0.0 ? along / (sqrt(u2) * t_true) : 0.0;
    }
    device_close(x, p->products, products_size(p), 0);
}

// The last batch of a draw has been added: its sums are multiplied with those of the draws before, and with t*.
static void end_draw(Probe* p) {
    int variants = p->list->count;
    size_t draws = (size_t)p->draws, row = draws + 2, all = draws * p->size; // row: of the products of a variant
    device_zero(p->products, products_size(p));
    for (int v = 0; v < variants; v++) {
        const float *sums = p->sums + (size_t)v * all, *sum = sums + (size_t)p->a * p->size;
        double* product = p->products + (size_t)v * row;
        vectors_products(product, sums, p->size, sum, 0, p->size, p->a + 1);
        for (int half = 0; half < 2; half++) { vectors_products(product + draws + half, sum, 0, p->reference[half], 0, p->size, 1); }
    }
    double* x = device_open(p->products, products_size(p));
    for (int v = 0; v < variants; v++) {
        Measured* r = &p->measured[v];
        const double* product = x + (size_t)v * row;
        for (int c = 0; c <= p->a; c++) { r->gram[p->a * p->draws + c] = r->gram[c * p->draws + p->a] = product[c]; }
        for (int half = 0; half < 2; half++) { r->along[half][p->a] = product[draws + (size_t)half]; }
    }
    device_close(x, p->products, products_size(p), 0);
}

static void end_pass(Probe* p) {
    Rows rows = rows_of_pass(p);
    float* weights = device_open(p->weights, weights_size(p));
    for (int v = 0; v < p->list->count; v++) {
        if (is_basis(p->measured[v].choice.method)) { basis_free(p->measured[v].basis); p->measured[v].basis = NULL; }
        else { solve_variant(p, v, rows, weights); }
    }
    device_close(weights, p->weights, weights_size(p), 1);
    add_updates(p);
    measure_updates(p);
    if (p->b == p->batches - 1) { end_draw(p); }
    p->passes++;
}

void probe_boundary(Probe* p, DrptGroup complete) {
    p->sublayer++;
    p->block += complete >= DRPT_BLOCK;
    if (complete < DRPT_GLOBAL || p->half >= 0) { return; }
    check(p->next == p->num_sites, "a pass has fewer sites than the one before");
    end_pass(p);
}
