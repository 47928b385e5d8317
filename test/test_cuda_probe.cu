// test_cuda_probe.cu -- what a probe does with vectors on the device, against loops in double precision over the gradients of single rows.
#include "../drpt/probe_vectors.h"
#include "site_on_device.h"

typedef std::vector<float> Array;
typedef std::vector<double> Doubles;

static const float TOLERANCE = 1e-5f;
enum { GAP = 5 }; // numbers between vectors that belong to nobody

static void expect_near(const char* what, const Array& got, const Doubles& want) {
    Array w(want.begin(), want.end());
    int before = test_failures;
    expect_close(got.data(), w.data(), w.size(), TOLERANCE);
    if (test_failures > before) { fprintf(stderr, "    %s\n", what); }
}

// Float j of a gradient goes to j % width; the sign is bit j % 64 of the hash of j / 64, as the CPU's probe has it.
static void fold(double* to, const Fold& f, size_t j, double x) {
    bool turned = f.width < f.size && solve_bits((uint64_t)f.site << 48, j / 64) >> j % 64 & 1;
    to[j % f.width] += turned ? -x : x;
}

// In pieces of any length that begin anywhere, of several gradients; what is there already stays.
static void test_fold(void) {
    static const Fold folds[] = { { 700, 700, 3 }, { 5000, 128, 3 }, { 5000, 128, 4 }, { 3000, 1024, 0 } };
    static const size_t pieces[][2] = { { 0, 1 }, { 1, 62 }, { 63, 300 }, { 363, 0 }, { 363, 337 }, { 700, 2300 } };
    enum { COUNT = 3 };
    for (const Fold& f : folds) {
        size_t apart = f.width + GAP, from_apart = f.size + 2;
        Array start = fill_floats(COUNT * apart, false), from = fill_floats(COUNT * from_apart, false);
        Doubles want(start.begin(), start.end());
        OnDevice<float> to(start), x(from);
        for (auto& piece : pieces) {
            size_t first = piece[0], floats = piece[1];
            if (first + floats > f.size) { continue; }
            vectors_fold(to, apart, x + first, from_apart, COUNT, f, first, floats);
            for (size_t i = 0; i < COUNT; i++) {
                for (size_t j = first; j < first + floats; j++) { fold(&want[i * apart], f, j, from[i * from_apart + j]); }
            }
        }
        expect_near("folded", to.read(), want);
    }
}

static const Case cases[] = {
    { "linear",    SITE_LINEAR,    75,  7,   1, 75,  3, 2, 4 },
    { "part",      SITE_LINEAR,    70,  6,   1, 210, 2, 3, 3 },   // of a fused projection
    { "bare",      SITE_LINEAR,    13,  70,  0, 13,  3, 1, 2 },
    { "layernorm", SITE_LAYERNORM, 200, 1,   1, 200, 4, 2, 3 },
    { "position",  SITE_POSITION,  5,   80,  0, 80,  3, 2, 10 },  // both sequences of a row begin at the first place
    { "token",     SITE_TOKEN,     140, 10,  0, 144, 3, 2, 6 },
};

// Whole and folded; with the memory that is asked for, and with so little that a gradient comes in many slabs.
static void test_form(void) {
    for (const Case& c : cases) {
        Host host(c);
        Copy copy(host);
        Site s = copy.site(c);
        size_t size = site_size(&s), vectors = (size_t)c.n + 1;
        for (int way = 0; way < 4; way++) {
            Fold f = { size, way % 2 ? 64 : size, 7 };
            size_t all = vectors_form_scratch(&s, c.n, c.m, c.T, 1), row = vectors * ((size_t)(c.cols + c.bias) + 7), room = way < 2 ? all : 3 * row;
            OnDevice<float> to(vectors * f.width), scratch(room);
            vectors_form(to, &s, f, c.n, c.m, c.T, scratch, room, 1);
            Doubles want(vectors * f.width);
            for (int b = 0; b < c.n + c.m; b++) {
                Doubles g = host.gradient(c, b);
                for (size_t j = 0; j < size; j++) { fold(&want[(size_t)(b < c.n ? b : c.n) * f.width], f, j, g[j]); }
            }
            expect_near(c.what, to.read(), want);
        }
    }
}

static void test_combine(void) {
    enum { ROWS = 5, WIDTH = 333, COUNT = 7 };
    Array weight = fill_floats(ROWS * COUNT, false), x = fill_floats(ROWS * WIDTH, false), start = fill_floats(COUNT * WIDTH, false);
    Doubles want(start.begin(), start.end());
    OnDevice<float> d_weight(weight), d_x(x), out(start);
    vectors_combine(out, d_weight, d_x, ROWS, WIDTH, COUNT);
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < WIDTH; j++) {
            for (int k = 0; k < ROWS; k++) { want[(size_t)(i * WIDTH + j)] += (double)weight[(size_t)(k * COUNT + i)] * x[(size_t)(k * WIDTH + j)]; }
        }
    }
    expect_near("combined", out.read(), want);
}

// Sums are double precision: what single precision would lose stays. Long vectors take several blocks, and each of these several rounds.
static void test_products(void) {
    static const size_t sizes[] = { 1, 255, 2049, 700000 };
    enum { COUNT = 3 };
    for (size_t size : sizes) {
        size_t apart = size + GAP;
        Array x = fill_floats(COUNT * apart, false), y = fill_floats(COUNT * apart, false);
        for (float& k : x) { k += 2.0f; }
        for (float& k : y) { k += 2.0f; }
        OnDevice<float> d_x(x), d_y(y);
        for (int common = 0; common < 2; common++) {
            std::vector<double> start = { 0.25, 3.0, 1e6 };
            OnDevice<double> out(start), again(start);
            vectors_products(out, d_x, apart, d_y, common ? 0 : apart, size, COUNT);
            vectors_products(again, d_x, apart, d_y, common ? 0 : apart, size, COUNT);
            std::vector<double> got = out.read();
            expect(memcmp(got.data(), again.read().data(), sizeof(double) * COUNT) == 0);
            for (size_t i = 0; i < COUNT; i++) {
                double want = start[i];
                for (size_t k = 0; k < size; k++) { want += (double)x[i * apart + k] * (double)y[(common ? 0 : i * apart) + k]; }
                expect(fabs(got[i] - want) <= 1e-12 * want);
            }
        }
    }
    OnDevice<double> none(std::vector<double>{ 1.5 });
    vectors_products(none, NULL, 0, NULL, 0, 0, 1);
    expect(none.read()[0] == 1.5);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "probe/fold", test_fold },
        { "probe/form", test_form },
        { "probe/combine", test_combine },
        { "probe/products", test_products },
    };
    device_start(TEST_PRECISION);
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
