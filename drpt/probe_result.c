// probe_result.c -- estimates and their errors out of a probe's sums, and the files they are written to.
#include "probe_state.h"
#include "../llmc/check.h"
#include "../llmc/device.h"
#include "../llmc/files.h"

#include <math.h>
#include <string.h>

void probe_sum(const Probe* p, float* sum, int variant, int a) {
    device_read(sum, p->sums + ((size_t)variant * (size_t)p->draws + (size_t)a) * p->size, sizeof(float) * p->size);
}

size_t probe_size(const Probe* p) { return p->size; }
double probe_t_norm2(const Probe* p) { return p->t_norm2; }

int probe_is_folded(const Probe* p) {
    for (int i = 0; i < p->num_sites; i++) { if (p->site[i].width < p->site[i].size) { return 1; } }
    return 0;
}

// What the estimates are made of, added up over some draws; S_a = sum_b u_ab, and t1, t2 are the halves of t*.
typedef struct {
    double draws, all, own;     // sums of <S_a,S_c> over all pairs, and of |S_a|^2
    double norm2;               // of |u_ab|^2
    double along[2], crossed;   // of <S_a,t1>, <S_a,t2> and their products
    double cos_t, cos_true;
} Sums;

static void count_draw(Sums* s, const Measured* r, int draws, int a, double sign) {
    double row = 0.0, own = r->gram[a * draws + a];
    for (int c = 0; c < draws; c++) { row += r->gram[a * draws + c]; }
    s->draws += sign;
    s->all += sign > 0.0 ? row : own - 2.0 * row; // a draw that goes takes its row and its column along
    s->own += sign * own;
    s->norm2 += sign * r->norm2[a];
    for (int half = 0; half < 2; half++) { s->along[half] += sign * r->along[half][a]; }
    s->crossed += sign * r->along[0][a] * r->along[1][a];
    s->cos_t += sign * r->cos_t[a];
    s->cos_true += sign * r->cos_true[a];
}

enum { NUM_ESTIMATES = sizeof(ProbeResult) / sizeof(Estimate) };
#define INDEX(name) AT_##name,
enum { PROBE_ESTIMATES(INDEX) };

// The formulas of probe.h, from sums over b instead of means.
static void estimate(double* x, Sums s, double Q, double t_norm2) {
    double R = s.draws, pairs = R * (R - 1.0), norm2 = s.norm2 / (R * Q);
    double within = (s.norm2 - s.own / Q) / (R * (Q - 1.0)), between = (s.own / Q - s.all / (R * Q)) / (R - 1.0);
    double apart = (s.all - s.own) / (Q * Q * pairs), tu = (s.along[0] + s.along[1]) / (R * Q);
    x[AT_bias2] = (apart - tu + t_norm2) / t_norm2;
    x[AT_v_gen] = within / t_norm2;
    x[AT_v_tgt] = (between - within) / Q / t_norm2;
    x[AT_mse] = x[AT_bias2] + x[AT_v_tgt] + x[AT_v_gen];
    x[AT_cos_t] = s.cos_t / (R * Q);
    x[AT_cos_true] = s.cos_true / (R * Q);
    x[AT_norm2] = norm2 / t_norm2;
    x[AT_rho] = norm2 > 0.0 ? copysign(1.0, tu) * (s.along[0] * s.along[1] - s.crossed) / (Q * Q * pairs) / (t_norm2 * norm2) : 0.0;
    for (int i = 0; i < NUM_ESTIMATES && t_norm2 <= 0.0; i++) { x[i] = NAN; }
}

// all (NUM_ESTIMATES), and replicates (draws,NUM_ESTIMATES): each without one draw. Without one of two there is no variance left: NaN.
static void estimates(const Probe* p, int variant, double* all, double* replicates) {
    const Measured* r = &p->measured[variant];
    Sums sums = {0};
    for (int a = 0; a < p->draws; a++) { count_draw(&sums, r, p->draws, a, 1.0); }
    estimate(all, sums, p->batches, p->t_norm2);
    for (int a = 0; a < p->draws; a++) {
        Sums rest = sums;
        count_draw(&rest, r, p->draws, a, -1.0);
        estimate(replicates + a * NUM_ESTIMATES, rest, p->batches, p->t_norm2);
    }
}

static double* room_for_replicates(const Probe* p) {
    double* x = malloc(sizeof(double) * (size_t)p->draws * NUM_ESTIMATES);
    check(x != NULL, "out of memory for the replicates of %d draws", p->draws);
    return x;
}

ProbeResult probe_result(const Probe* p, int variant) {
    double all[NUM_ESTIMATES], *replicates = room_for_replicates(p);
    Estimate result[NUM_ESTIMATES];
    ProbeResult whole;
    check(p->passes == p->draws * p->batches, "the probe has seen %d of its %d passes", p->passes, p->draws * p->batches);
    estimates(p, variant, all, replicates);
    for (int i = 0; i < NUM_ESTIMATES; i++) {
        double mean = 0.0, squares = 0.0, R = p->draws;
        for (int a = 0; a < p->draws; a++) { mean += replicates[a * NUM_ESTIMATES + i] / R; }
        for (int a = 0; a < p->draws; a++) { squares += pow(replicates[a * NUM_ESTIMATES + i] - mean, 2.0); }
        result[i] = (Estimate){ all[i], sqrt((R - 1.0) / R * squares) };
    }
    free(replicates);
    memcpy(&whole, result, sizeof(whole));
    return whole;
}

// ---------------------------------------------------------------------------------------------
// Files. A value that could not be estimated is an empty cell.

static void cell(FILE* f, double x) {
    fputc(',', f);
    if (isfinite(x)) { fprintf(f, "%.9g", x); }
}

static Output open_in(const char* folder, const char* name) {
    char* path = path_join(folder, name);
    Output out = output_open(path);
    free(path);
    return out;
}

static void write_table(const Probe* p, const char* folder) {
    Output out = open_in(folder, "probe.csv");
    size_t parameters = 0;
    double error = p->halves_apart2 / 4.0 / p->t_norm2;
    for (int i = 0; i < p->num_sites; i++) { parameters += p->site[i].size; }
    fprintf(out.file, "label,method,group,options,n,m,draws,batches,parameters,t_norm2,reference_error");
#define HEAD(name) fprintf(out.file, "," #name "," #name "_se");
    PROBE_ESTIMATES(HEAD)
    for (int k = 0; k < p->domains; k++) { fprintf(out.file, ",mass_%d", k); }
    fputc('\n', out.file);
    for (int v = 0; v < p->list->count; v++) {
        const ProbeVariant* variant = &p->list->variant[v];
        const Measured* r = &p->measured[v];
        ProbeResult x = probe_result(p, v);
        fprintf(out.file, "%s,%s,%s,%s,%d,%d,%d,%d,%zu", variant->label, variant->options.method ? variant->options.method : "subset",
                variant->options.group, variant->text, p->recorder.n, p->recorder.m, p->draws, p->batches, parameters);
        cell(out.file, p->t_norm2);
        cell(out.file, error);
#define VALUE(name) cell(out.file, x.name.value); cell(out.file, x.name.error);
        PROBE_ESTIMATES(VALUE)
        for (int k = 0; k < p->domains; k++) { cell(out.file, r->passes > 0 ? r->mass[k] / (double)r->passes : NAN); }
        fputc('\n', out.file);
    }
    output_close(&out);
}

static void write_replicates(const Probe* p, const char* folder) {
    Output out = open_in(folder, "replicates.csv");
    double all[NUM_ESTIMATES], *replicates = room_for_replicates(p);
    fprintf(out.file, "label,draw");
#define NAME(name) fprintf(out.file, "," #name);
    PROBE_ESTIMATES(NAME)
    fputc('\n', out.file);
    for (int v = 0; v < p->list->count; v++) {
        estimates(p, v, all, replicates);
        for (int a = 0; a < p->draws; a++) {
            fprintf(out.file, "%s,%d", p->list->variant[v].label, a);
            for (int i = 0; i < NUM_ESTIMATES; i++) { cell(out.file, replicates[a * NUM_ESTIMATES + i]); }
            fputc('\n', out.file);
        }
    }
    free(replicates);
    output_close(&out);
}

static void write_scores(const Probe* p, const char* folder) {
    Output out = open_in(folder, "scores.csv");
    int n = p->recorder.n;
    fprintf(out.file, "draw,batch,site,block");
    for (int i = 0; i < n; i++) { fprintf(out.file, ",s_%d", i); }
    fputc('\n', out.file);
    for (int pass = 0; pass < p->passes; pass++) {
        for (int site = 0; site < p->num_sites; site++) {
            const float* s = p->scores + ((size_t)pass * (size_t)p->num_sites + (size_t)site) * (size_t)n;
            fprintf(out.file, "%d,%d,%s,%d", pass / p->batches, pass % p->batches, p->site[site].name, p->site[site].block);
            for (int i = 0; i < n; i++) { cell(out.file, s[i]); }
            fputc('\n', out.file);
        }
    }
    output_close(&out);
}

void probe_write(const Probe* p, const char* folder) {
    write_table(p, folder);
    write_replicates(p, folder);
    write_scores(p, folder);
}
