// test_cuda_basis.cu -- gradients between thin matrices, cached bases and their projections on the device: against gradients written out
// in double precision, and against the CPU's bases.
#include "../drpt/basis_room.cuh"
#include "../llmc/files.h"
#include "cpu_twin.h"
#include "on_device.h"
#include "scratch.h"
#include "test.h"

#include <utility>

typedef std::vector<float> Array;
typedef std::vector<double> Doubles;
static uint64_t rng = 7;

// What separates two ways of adding up in single precision.
static const float TOLERANCE = 1e-5f;

enum { n = 4, m = 3, B = n + m, T = 6 };

typedef struct { const char* what; SiteKind kind; int rows, cols, bias, apart; } Case;

static const Case cases[] = {
    { "linear",       SITE_LINEAR,    11,  7,   1, 0 },
    { "no bias",      SITE_LINEAR,    13,  18,  0, 0 },
    { "a part",       SITE_LINEAR,    15,  12,  1, 30 }, // of a fused projection: rows + apart from one position to the next
    { "wide",         SITE_LINEAR,    30,  41,  1, 0 },
    { "layernorm",    SITE_LAYERNORM, 19,  1,   1, 0 },
    { "no shift",     SITE_LAYERNORM, 21,  1,   0, 0 },
    { "position",     SITE_POSITION,  T,   8,   0, 0 },
    { "pairs",        SITE_POSITION,  T/2, 8,   0, 0 }, // both sequences of a row begin at the first place
    { "token",        SITE_TOKEN,     12,  10,  0, 0 },
    { "many tokens",  SITE_TOKEN,     257, 14,  0, 0 },
    { "lookup alone", SITE_LOOKUP,    17,  9,   0, 0 },
};
enum { PART = 2, WIDE = 3, LAYERNORM = 4 };

// ---------------------------------------------------------------------------------------------
// A site on both devices.

struct Twin {
    Case c;
    Array dout, inp, dlookup, mean, rstd, dweight, dbias; // all numbers that Real can hold
    std::vector<int> tokens;
    OnDevice<Real> d_dout, d_inp, d_dlookup;
    OnDevice<float> d_mean, d_rstd, d_dweight, d_dbias;
    OnDevice<int> d_tokens;
    Site host, device;

    explicit Twin(const Case& of)
        : c(of), dout(B*T * outputs()), inp(B*T * inputs()), dlookup(B*T * of.cols), mean(B*T), rstd(B*T), dweight(of.rows * of.cols), dbias(of.rows),
          tokens(B*T), d_dout(dout.size()), d_inp(inp.size()), d_dlookup(dlookup.size()), d_mean(B*T), d_rstd(B*T), d_dweight(dweight.size()),
          d_dbias(dbias.size()), d_tokens(B*T) {
        host = {};
        host.kind = c.kind;
        host.name = c.what;
        host.rows = c.rows;
        host.cols = c.cols;
        host.stride = c.rows + c.apart;
        host.index = 3;
        host.parts = 1;
        device = host;
        int is_lookup = c.kind == SITE_LOOKUP, has_words = is_lookup || c.kind == SITE_TOKEN;
        host.dweight = dweight.data();
        device.dweight = d_dweight;
        if (c.bias) { host.dbias = dbias.data(); device.dbias = d_dbias; }
        if (!is_lookup) { host.dout = (const Real*)(const void*)dout.data(); device.dout = d_dout; }
        if (!is_lookup && c.kind != SITE_POSITION) { host.inp = (const Real*)(const void*)inp.data(); device.inp = d_inp; }
        if (c.kind == SITE_LAYERNORM) { host.mean = mean.data(); host.rstd = rstd.data(); device.mean = d_mean; device.rstd = d_rstd; }
        if (has_words) { host.dlookup = (const Real*)(const void*)dlookup.data(); host.tokens = tokens.data(); device.dlookup = d_dlookup; device.tokens = d_tokens; }
        draw();
    }
    int outputs() const { return c.kind == SITE_POSITION ? c.cols : c.rows + c.apart; }
    int inputs() const { return c.kind == SITE_LAYERNORM ? c.rows : c.cols; }
    int width() const { return c.cols + c.bias; }
    int size() const { return c.rows * width(); }

    void draw() {
        for (Array* x : { &dout, &inp, &dlookup }) { for (float& y : *x) { y = (float)(Real)test_uniform(&rng); } }
        for (Array* x : { &mean, &rstd, &dweight, &dbias }) { test_fill(x->data(), x->size(), &rng); }
        for (int i = 0; i < B*T; i++) { // words repeat
            tokens[i] = i % 3 == 0 ? c.rows - 1 : 1 + (int)((test_uniform(&rng) + 1.0f) / 2.0f * (float)c.rows) % (c.rows - 1);
        }
        tokens[1] = tokens[B*T - 1] = 0; // far apart
        send();
    }

    static void send(OnDevice<Real>& to, const Array& x) {
        std::vector<Real> y(x.begin(), x.end());
        device_write(to, y.data(), sizeof(Real) * y.size());
    }
    static void send(OnDevice<float>& to, const Array& x, int) { device_write(to, x.data(), sizeof(float) * x.size()); }
    void send() {
        send(d_dout, dout);
        send(d_inp, inp);
        send(d_dlookup, dlookup);
        send(d_mean, mean, 0);
        send(d_rstd, rstd, 0);
        send(d_dweight, dweight, 0);
        send(d_dbias, dbias, 0);
        device_write(d_tokens, tokens.data(), sizeof(int) * tokens.size());
    }

    // Everything that can be read of a row becomes x.
    void set_row(int b, float x) {
        for (int at = b*T; at < (b + 1)*T; at++) {
            for (int k = 0; k < outputs(); k++) { dout[at*outputs() + k] = x; }
            for (int k = 0; k < inputs(); k++) { inp[at*inputs() + k] = x; }
            for (int k = 0; k < c.cols; k++) { dlookup[at*c.cols + k] = x; }
            mean[at] = rstd[at] = x;
        }
        send();
    }

    double element(int at, int r, int k) const { // of one position's part of the gradient
        double word = host.tokens && tokens[at] == r ? dlookup[at*c.cols + k] : 0.0;
        const float* d = &dout[at*outputs()];
        switch (c.kind) {
            case SITE_LINEAR:    return (double)d[r] * (k == c.cols ? 1.0 : inp[at*c.cols + k]);
            case SITE_LAYERNORM: return (double)d[r] * (k == c.cols ? 1.0 : ((double)inp[at*c.rows + r] - mean[at]) * rstd[at]);
            case SITE_POSITION:  return at % T % c.rows == r ? d[k] : 0.0;
            case SITE_TOKEN:     return (double)d[r] * inp[at*c.cols + k] + word;
            default:             return word;
        }
    }

    // The sum of the gradients of rows [first, end), (rows, cols + bias).
    Doubles gradient(int first, int end) const {
        Doubles G(size());
        for (int i = 0; i < size(); i++) { for (int at = first*T; at < end*T; at++) { G[i] += element(at, i / width(), i % width()); } }
        return G;
    }
};

static Array random_array(size_t count) {
    Array x(count);
    test_fill(x.data(), count, &rng);
    return x;
}

static void expect_near(const char* what, const char* of, const Array& got, const Doubles& want, float tolerance) {
    Array w(want.begin(), want.end());
    int before = test_failures;
    expect_close(got.data(), w.data(), w.size(), tolerance);
    if (test_failures > before) { fprintf(stderr, "    %s of %s\n", what, of); }
}

// ---------------------------------------------------------------------------------------------
// factor: for every kind of site, in one piece and in many, for each row and for their sum; rows that do not count hold NaN.

enum { K = 4, L = 3 };

// directions (k, dim) on the device, as a block of main and bias.
struct Directions {
    Array main, bias;
    OnDevice<float> floats;
    int cols;
    Directions(int k, int cols_, int has_bias)
        : main(random_array((size_t)(k * cols_))), bias(random_array(has_bias ? (size_t)k : 0)), floats(main.size() + bias.size()), cols(cols_) { send(); }
    void send() {
        Array all = main;
        all.insert(all.end(), bias.begin(), bias.end());
        device_write(floats, all.data(), sizeof(float) * all.size());
    }
    Block block() const { return Block{ floats, bias.empty() ? NULL : floats + main.size(), cols }; }
    Array read() const { return floats.read(); }
    double at(size_t i, int c) const { return c < cols ? main[i * (size_t)cols + (size_t)c] : bias[i]; }
    // where (i,c) is in read()
    size_t place(size_t i, int c) const { return c < cols ? i * (size_t)cols + (size_t)c : main.size() + i; }
};

static Doubles start(const Directions& x) {
    Array a = x.read();
    return Doubles(a.begin(), a.end());
}

static void expect_left_and_right(const Twin& t, Factors* f, const std::vector<Doubles>& G, int first, int end, int in_each, int out_each) {
    size_t rows = (size_t)(end - first), ins = in_each ? rows : 1, outs = out_each ? rows : 1;
    int width = t.width();
    Directions left((int)(ins * K), t.c.rows, 0), right((int)(ins * K), t.c.cols, t.c.bias);
    Directions to_right((int)(outs * K), t.c.cols, t.c.bias), to_left((int)(outs * K), t.c.rows, 0);
    Doubles want_right = start(to_right), want_left = start(to_left);
    for (size_t b = 0; b < rows; b++) {
        for (size_t j = 0; j < K; j++) {
            size_t in = in_each ? b*K + j : j, out = out_each ? b*K + j : j;
            for (int r = 0; r < t.c.rows; r++) {
                for (int c = 0; c < width; c++) {
                    double g = G[b][(size_t)(r*width + c)];
                    want_right[to_right.place(out, c)] += left.at(in, r) * g;
                    want_left[to_left.place(out, r)] += right.at(in, c) * g;
                }
            }
        }
    }
    for (Piece p = piece_first(f, first, end, K, 0); p.count > 0; p = piece_next(f, p, end)) {
        size_t in = in_each ? (size_t)(p.first - first) * K : 0, out = out_each ? (size_t)(p.first - first) * K : 0;
        Block x = right.block(), y = to_right.block();
        x.main += in * (size_t)x.cols;
        y.main += out * (size_t)y.cols;
        if (x.bias) { x.bias += in; y.bias += out; }
        factor_left(y, out_each, f, p, left.floats + in * (size_t)t.c.rows, in_each, K);
        factor_right(to_left.floats + out * (size_t)t.c.rows, out_each, f, p, x, in_each, K);
    }
    expect_near("left", t.c.what, to_right.read(), want_right, TOLERANCE);
    expect_near("right", t.c.what, to_left.read(), want_left, TOLERANCE);
}

static void expect_between(const Twin& t, Factors* f, const std::vector<Doubles>& G, int first, int end, int each) {
    size_t rows = (size_t)(end - first);
    int width = t.width();
    Directions left(K, t.c.rows, 0), right(L, t.c.cols, t.c.bias), M((int)(each ? rows : 1) * K, L, 0);
    Doubles want = start(M);
    for (size_t b = 0; b < rows; b++) {
        for (size_t i = 0; i < K; i++) {
            for (size_t j = 0; j < L; j++) {
                for (int k = 0; k < t.size(); k++) { want[((each ? b*K : 0) + i) * L + j] += left.at(i, k / width) * G[b][(size_t)k] * right.at(j, k % width); }
            }
        }
    }
    for (Piece p = piece_first(f, first, end, K + L, 0); p.count > 0; p = piece_next(f, p, end)) {
        factor_between(M.floats + (each ? (p.first - first) * K * L : 0), each, f, p, left.floats, K, right.block(), L);
    }
    expect_near("between", t.c.what, M.read(), want, TOLERANCE);
}

static void expect_whole(Twin& t, Factors* f, int first, int end, const unsigned char* use) {
    Doubles each(n), sum((size_t)t.size()), total(1), weight, bias;
    for (int b = 0; b < end; b++) {
        Doubles G = t.gradient(b, b + 1);
        for (size_t k = 0; k < G.size() && (!use || use[b]); k++) {
            if (b < n) { each[(size_t)b] += G[k] * G[k]; }
            if (b >= first) { sum[k] += G[k]; }
        }
    }
    for (double x : sum) { total[0] += x * x; }
    for (int k = 0; k < t.size(); k++) {
        int r = k / t.width(), c = k % t.width();
        if (c < t.c.cols) { weight.push_back(t.dweight[(size_t)(r * t.c.cols + c)] + sum[(size_t)k]); } else { bias.push_back(t.dbias[(size_t)r] + sum[(size_t)k]); }
    }
    OnDevice<double> got(Doubles((size_t)n)), all(Doubles(1));
    factor_norm2_each(got, f, n);
    factor_norm2(all, f, first, end);
    Doubles g = got.read(), a = all.read();
    expect_near("norm2 of each", t.c.what, Array(g.begin(), g.end()), each, TOLERANCE);
    expect_near("norm2", t.c.what, Array(a.begin(), a.end()), total, TOLERANCE);
    t.send();
    factor_add(f, first, end);
    expect_near("dweight", t.c.what, t.d_dweight.read(), weight, TOLERANCE);
    if (t.c.bias) { expect_near("dbias", t.c.what, t.d_dbias.read(), bias, TOLERANCE); }
}

static void test_factors(void) {
    static const size_t floats[] = { 0, 1000, 200, 1 };
    static const std::vector<unsigned char> use = { 1, 0, 1, 1, 0, 1, 1 };
    OnDevice<unsigned char> d_use(use);
    for (const Case& c : cases) {
        Factors f = {};
        Twin t(c);
        for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
            int masked = (&c - cases + (int)i) % 2; // every budget, and every site, both ways
            size_t budget = floats[i];
            t.draw();
            std::vector<Doubles> G;
            for (int b = 1; b < 6; b++) { G.push_back(masked && !use[(size_t)b] ? Doubles((size_t)t.size()) : t.gradient(b, b + 1)); }
            f.floats = budget;
            factors_begin(&f, &t.device, T, masked ? (unsigned char*)d_use : NULL);
            expect_whole(t, &f, 0, B, masked ? use.data() : NULL);
            for (int b = 0; masked && b < B; b++) { if (!use[(size_t)b]) { t.set_row(b, NAN); } }
            factors_begin(&f, &t.device, T, masked ? (unsigned char*)d_use : NULL);
            for (int how = 0; how < 4; how++) { expect_left_and_right(t, &f, G, 1, 6, how & 1, how >> 1); }
            expect_between(t, &f, G, 1, 6, 0);
            expect_between(t, &f, G, 1, 6, 1);
        }
        factors_free(&f);
    }
}

// ---------------------------------------------------------------------------------------------
// subspace

static void test_gram(void) {
    for (int cols = 1; cols < 400; cols += 133) {
        SubspaceRoom room = {};
        const int k = 19, l = 5, count = 3;
        Directions a(k * count, cols, 1), b(l * count, cols, 1);
        Doubles want(k * l, 1.0);
        for (int i = 0; i < count; i++) {
            for (int e = 0; e < k * l; e++) {
                for (int c = 0; c <= cols; c++) { want[(size_t)e] += a.at((size_t)(i*k + e / l), c) * b.at((size_t)(i*l + e % l), c); }
            }
        }
        OnDevice<double> out(Doubles((size_t)(k * l), 1.0));
        block_gram(out, a.block(), k, b.block(), l, count, 1, &room);
        Doubles got = out.read();
        for (size_t e = 0; e < got.size(); e++) { expect(fabs(got[e] - want[e]) < 1e-12 * cols); }
        subspace_free(&room);
    }
}

// Some rows are sums of those before, or zeros, or nearly so; the rows span what they did.
static void test_orthonormalise(void) {
    const int k = 13, cols = 301;
    SubspaceRoom room = {};
    Directions y(k, cols, 1), other(k, cols, 1);
    for (int c = 0; c < cols; c++) {
        float* x = &y.main[(size_t)c];
        x[4*cols] = x[1*cols] - 2.0f * x[2*cols]; // exactly, but for rounding
        x[6*cols] = 0.0f;
        x[7*cols] = 3.0f * x[3*cols];
        x[9*cols] = x[8*cols] + 1e-5f * x[9*cols];
        x[11*cols] *= 1e-20f;
    }
    y.bias[4] = y.bias[1] - 2.0f * y.bias[2];
    y.bias[6] = 0.0f;
    y.bias[7] = 3.0f * y.bias[3];
    y.bias[9] = y.bias[8];
    y.bias[11] *= 1e-20f;
    y.send();
    block_orthonormalise_all(y.block(), other.block(), k, &room);
    Array q = y.read();
    auto at = [&](int i, int c) { return (double)q[y.place((size_t)i, c)]; };
    for (int i = 0; i < k; i++) {
        double left = 0.0, before = 0.0;
        for (int j = 0; j < k; j++) {
            double dot = 0.0;
            for (int c = 0; c <= cols; c++) { dot += at(i, c) * at(j, c); }
            expect(fabs(dot - (i == j && i != 6 && i != 7 && (i != 4 || dot > 0.5))) < 3e-7);
        }
        for (int c = 0; c <= cols; c++) { left += y.at((size_t)i, c) * y.at((size_t)i, c); }
        before = left;
        for (int j = 0; j <= i; j++) {
            double dot = 0.0;
            for (int c = 0; c <= cols; c++) { dot += at(j, c) * y.at((size_t)i, c); }
            left -= dot * dot;
        }
        expect(fabs(left) <= 1e-6 * before);
    }
    for (int c = 0; c <= cols; c++) { expect(at(6, c) == 0.0 && at(7, c) == 0.0); }
    subspace_free(&room);
}

// H = V diag V' of eigenvalues over twelve orders of magnitude, some of them equal or zero.
static void test_eigenvectors(void) {
    for (int k = 1; k < 24; k += k < 4 ? 1 : 7) {
        SubspaceRoom room = {};
        Doubles H((size_t)(k * k)), x((size_t)k);
        for (int r = 0; r < k; r++) {
            double size = r % 5 == 3 ? 0.0 : pow(10.0, -r / 3 * 2);
            for (double& y : x) { y = (double)test_uniform(&rng); }
            for (int e = 0; e < k * k; e++) { H[(size_t)e] += size * x[(size_t)(e / k)] * x[(size_t)(e % k)]; }
        }
        OnDevice<double> h(H), v(H.size());
        Symmetric one = { h, v, k };
        eigenvectors_all(&one, 1, &room);
        Doubles D = h.read(), E = v.read();
        double largest = 0.0;
        for (int i = 0; i < k; i++) { largest = fmax(largest, D[(size_t)(i * (k + 1))]); }
        for (int e = 0; e < k * k; e++) {
            int i = e / k, j = e % k;
            double dot = 0.0, back = 0.0;
            for (int l = 0; l < k; l++) {
                dot += E[(size_t)(l*k + i)] * E[(size_t)(l*k + j)];
                back += E[(size_t)(i*k + l)] * D[(size_t)(l * (k + 1))] * E[(size_t)(j*k + l)];
            }
            expect(fabs(dot - (i == j)) < 1e-13);
            expect(fabs(back - H[(size_t)e]) <= 2e-12 * largest);
        }
        subspace_free(&room);
    }
}

// ---------------------------------------------------------------------------------------------
// Bases of both devices.

struct Bases {
    Basis *device, *host;
    Bases(int rank, Sides sides, double forget)
        : device(basis_create(rank, sides, forget, 11, 1)), host(cpu_twin.basis_create(rank, sides, forget, 11, 1)) {}
    ~Bases() { basis_free(device); cpu_twin.basis_free(host); }
};

static int same(double x, double y, double tolerance) { return isnan(x) ? isnan(y) : fabs(x - y) <= tolerance; }

static BasisReport refresh(Bases& b, const Twin& t, const std::vector<unsigned char>& usable, int heard) {
    BasisReport got, want;
    OnDevice<BasisReport> report(1);
    OnDevice<unsigned char> d_usable(usable);
    basis_refresh(b.device, &t.device, n, T, usable.empty() ? NULL : (unsigned char*)d_usable, report);
    basis_refresh_end(b.device);
    cpu_twin.basis_refresh(b.host, &t.host, n, T, usable.empty() ? NULL : usable.data(), &want);
    got = report.read()[0];
    if (heard) { basis_heard(b.device, t.host.index, &got); }
    int is_same = got.rank_left == want.rank_left && got.rank_right == want.rank_right && got.dropped == want.dropped
        && same(got.overlap_left, want.overlap_left, 1e-4) && same(got.overlap_right, want.overlap_right, 1e-4) && same(got.energy, want.energy, 1e-4);
    expect(is_same);
    if (!is_same) {
        fprintf(stderr, "    %s: ranks %d %d not %d %d, overlaps %g %g not %g %g, energy %g not %g, dropped %d not %d\n", t.c.what, got.rank_left,
                got.rank_right, want.rank_left, want.rank_right, got.overlap_left, got.overlap_right, want.overlap_left, want.overlap_right,
                got.energy, want.energy, got.dropped, want.dropped);
    }
    return got;
}

// What both add to random gradients, and what they say.
static void expect_same_update(Bases& b, Twin& t, int outside, float tolerance = TOLERANCE) {
    t.send();
    OnDevice<double> said(1);
    Array weight = t.dweight, bias = t.dbias;
    double want;
    (outside ? basis_outside : basis_inside)(b.device, &t.device, n, B, T, said);
    (outside ? cpu_twin.basis_outside : cpu_twin.basis_inside)(b.host, &t.host, n, B, T, &want);
    double got = said.read()[0];
    int finite = isfinite(want);
    expect(finite ? same(got, want, (double)tolerance * (fabs(want) + 1.0)) : !isfinite(got));
    int before = test_failures;
    expect_close(t.d_dweight.read().data(), t.dweight.data(), t.dweight.size(), finite ? tolerance : 0.0f);
    expect_close(t.d_dbias.read().data(), t.dbias.data(), t.dbias.size(), finite ? tolerance : 0.0f);
    if (test_failures > before) { fprintf(stderr, "    %s, %s\n", t.c.what, outside ? "outside" : "inside"); }
    t.dweight = weight;
    t.dbias = bias;
    t.send();
}

// The projections on the very same basis, which the CPU gets from a file.
static void expect_same_projections(Bases& b, Twin& t) {
    const char* path = scratch("same");
    Bases same_basis(b.device->rank, b.device->sides, b.device->forget);
    basis_write(b.device, path);
    cpu_twin.basis_read(same_basis.host, path);
    std::swap(same_basis.device, b.device);
    expect_same_update(same_basis, t, 0);
    expect_same_update(same_basis, t, 1);
    std::swap(same_basis.device, b.device);
}

// Every kind of site and side, of which some are stored and some are not, over three batches. What separates the sums of the two devices
// grows where eigenvalues are close.
static void test_bases(void) {
    static const std::vector<unsigned char> all, some = { 1, 0, 1, 1 };
    for (const Case& c : cases) {
        for (int sides = 0; sides < NUM_SIDES; sides++) {
            int rank = 1 + 4 * ((int)(&c - cases + sides) % 3); // 1, 5, 9
            Bases b(rank, (Sides)sides, rank == 1 ? 0.0 : 0.5);
            Twin t(c);
            if (rank == 9) { b.device->room->factors.floats = 400; }
            for (int batch = 0; batch < 3; batch++) {
                t.draw();
                refresh(b, t, batch == 1 ? some : all, batch == 0);
                expect_same_update(b, t, batch == 0, 20 * TOLERANCE);
                expect_same_projections(b, t);
            }
        }
    }
}

// Nothing is inside of a basis of nothing; it begins anew when there is something.
static void test_zero_gradient(void) {
    for (const Case& c : cases) {
        for (int rank = 2; rank <= 300; rank += 298) {
            Bases b(rank, SIDES_both, 0.5);
            Twin t(c);
            for (int i = 0; i < n; i++) { t.set_row(i, 0.0f); }
            refresh(b, t, {}, 0);
            expect_same_update(b, t, 0);
            expect_same_update(b, t, 1);
            t.draw();
            expect(refresh(b, t, {}, rank > 2).rank_left > 0);
            expect_same_update(b, t, 0);
        }
    }
}

// What the host was told of changes no bit.
static void test_heard(void) {
    Twin t(cases[WIDE]);
    Array got[2];
    for (int heard = 0; heard < 2; heard++) {
        Bases b(3, SIDES_both, 0.5);
        rng = 99;
        for (int batch = 0; batch < 3; batch++) {
            t.draw();
            refresh(b, t, {}, heard);
        }
        OnDevice<double> said(1);
        t.send();
        basis_inside(b.device, &t.device, n, B, T, said);
        got[heard] = t.d_dweight.read();
    }
    expect(memcmp(got[0].data(), got[1].data(), sizeof(float) * got[0].size()) == 0);
}

// Rows and targets that are not finite. The emulator lets a program compute with NaN if it is told so before it begins.
static void test_not_finite(void) {
    if (!getenv("EMU_NAN")) {
        expect(system("EMU_NAN=allow /proc/$PPID/exe basis/not_finite >/dev/null") == 0);
        return;
    }
    for (const Case& c : cases) {
        for (int rank = 3; rank <= 300; rank += 297) {
            Bases b(rank, SIDES_both, 0.5);
            Twin t(c);
            t.set_row(1, NAN);
            refresh(b, t, {}, 1);
            expect_same_update(b, t, 0);
            expect_same_update(b, t, 1);
            refresh(b, t, { 1, 0, 1, 1 }, 1);
            t.set_row(n, &c - cases == LAYERNORM ? INFINITY : NAN);
            expect_same_update(b, t, 0);
            expect_same_update(b, t, 1);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Files.

static std::vector<char> content(const char* path) {
    std::vector<char> bytes;
    FILE* f = fopen(path, "rb");
    expect(f != NULL);
    for (int c; f && (c = fgetc(f)) != EOF;) { bytes.push_back((char)c); }
    if (f) { fclose(f); }
    return bytes;
}

// Of the first site.
static double trace_of(const char* path) {
    double total = NAN;
    std::vector<char> bytes = content(path);
    memcpy(&total, &bytes[4 * HEADER_INTS + 8 * sizeof(int32_t)], sizeof(total));
    return total;
}

// Each device reads what the other wrote, writes the same, and goes on from there.
static void test_file(void) {
    const char *path = scratch("one"), *again = scratch("two");
    for (int from_device = 0; from_device < 2; from_device++) {
        Twin t(cases[PART]), u(cases[LAYERNORM]);
        u.host.index = u.device.index = 9;
        Bases one(6, SIDES_both, 0.25), two(6, SIDES_both, 0.25);
        for (int batch = 0; batch < 2; batch++) { refresh(one, t, {}, 0); }
        refresh(one, u, {}, 1);
        basis_write(one.device, path);
        cpu_twin.basis_write(one.host, again);
        expect(same(trace_of(path), trace_of(again), 1e-5 * trace_of(again)));
        if (from_device) {
            basis_write(one.device, path);
            cpu_twin.basis_read(two.host, path);
            cpu_twin.basis_write(two.host, again);
            expect(content(path) == content(again));
            basis_read(two.device, path);
        } else {
            cpu_twin.basis_write(one.host, path);
            basis_read(two.device, path);
            basis_write(two.device, again);
            expect(content(path) == content(again));
            cpu_twin.basis_read(two.host, path);
        }
        expect(content(path).size() > 1000);
        for (Twin* x : { &t, &u }) {
            x->draw();
            expect_same_update(two, *x, 0);
            refresh(two, *x, {}, 0);
            expect_same_update(two, *x, 1);
        }
        if (from_device) { // bit for bit as if there had been no file
            OnDevice<BasisReport> report(1);
            basis_refresh(one.device, &t.device, n, T, NULL, report);
            basis_refresh(one.device, &u.device, n, T, NULL, report);
            basis_refresh_end(one.device);
            basis_write(one.device, path);
            basis_write(two.device, again);
            expect(content(path) == content(again));
        }
    }
}

#define TEST(name) { "basis/" #name, test_##name }
static const Test tests[] = {
    TEST(factors), TEST(gram), TEST(orthonormalise), TEST(eigenvectors), TEST(bases), TEST(zero_gradient), TEST(heard), TEST(not_finite), TEST(file),
};

int main(int argc, char** argv) {
    device_start(TEST_PRECISION);
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
