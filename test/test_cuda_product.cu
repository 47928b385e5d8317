// test_cuda_product.cu -- products on the device against sums in double precision.
#include "../llmc/product.cuh"
#include "on_device.h"
#include "test.h"

#include <math.h>

typedef std::vector<float> Array;
static uint64_t rng = 1;

// One factor or result of random numbers that Real can hold.
template <class T> struct Numbers {
    int rows, cols, count;
    size_t stride, apart;
    std::vector<T> host;

    Numbers(int rows_, int cols_, int gap, int count_)
        : rows(rows_), cols(cols_), count(count_), stride((size_t)(cols_ + gap)), apart(stride * (size_t)rows_ + (size_t)gap),
          host(apart * (size_t)count_) {
        for (T& x : host) { x = (T)test_uniform(&rng); }
    }
    double at(int b, int i, int j) const { return (double)(float)host[(size_t)b * apart + (size_t)i * stride + (size_t)j]; }
};

// What separates sums in single precision, rounded to T, from the exact ones; cf. test_cuda.cu.
static float tolerance(const float*) { return sizeof(Real) == 2 ? 1e-4f : 1e-5f; }
#ifdef BF16
static float tolerance(const Real*) { return 1e-2f; }
#endif

// out (rows, cols) summed over k; gap: numbers between rows, and between matrices.
template <class Out, class In>
static void expect_product(int rows, int k, int cols, bool turn_left, bool turn_right, float beta, bool with_bias, int gap, int count) {
    Numbers<In> left(turn_left ? k : rows, turn_left ? rows : k, gap, count), right(turn_right ? cols : k, turn_right ? k : cols, gap, count);
    Numbers<Out> out(rows, cols, gap, count);
    std::vector<Out> bias((size_t)cols);
    for (Out& x : bias) { x = (Out)test_uniform(&rng); }
    OnDevice<In> a(left.host), b(right.host);
    OnDevice<Out> c(out.host), d(bias);
    Array want(1, sqrtf((float)k) / 3.0f), got = want; // how large such sums are: one that cancels has the others' rounding errors
    Matrix x = matrix(a.data, left.rows, left.cols, left.stride, left.apart), y = matrix(b.data, right.rows, right.cols, right.stride, right.apart);
    x.turned = turn_left;
    y.turned = turn_right;
    product(matrix(c.data, rows, cols, out.stride, out.apart), x, y, beta, with_bias ? d.data : NULL, count);
    std::vector<Out> result = c.read();
    for (size_t at = 0; at < result.size(); at++) {
        size_t n = at / out.apart, within = at % out.apart;
        int i = (int)(within / out.stride), j = (int)(within % out.stride);
        double sum = i < rows && j < cols ? with_bias ? (double)(float)bias[(size_t)j] : 0.0 : 0.0;
        if (i >= rows || j >= cols) { expect((float)result[at] == (float)out.host[at]); continue; } // between rows: as it was
        for (int l = 0; l < k; l++) { sum += (turn_left ? left.at((int)n, l, i) : left.at((int)n, i, l)) * (turn_right ? right.at((int)n, j, l) : right.at((int)n, l, j)); }
        want.push_back((float)(sum + beta * (double)(float)out.host[at]));
        got.push_back((float)result[at]);
    }
    expect_close(got.data(), want.data(), want.size(), tolerance((const Out*)NULL));
}

// Twice, as the second finds the first one's plan; then with one thing different at a time.
template <class Out, class In> static void expect_products(void) {
    for (int turns = 0; turns < 4; turns++) {
        for (int again = 0; again < 2; again++) { expect_product<Out, In>(7, 5, 11, turns & 1, turns & 2, 0.0f, false, 0, 1); }
        expect_product<Out, In>(7, 5, 11, turns & 1, turns & 2, 1.0f, false, 0, 1);
        expect_product<Out, In>(7, 5, 11, turns & 1, turns & 2, 0.0f, true, 0, 1);
        expect_product<Out, In>(7, 5, 11, turns & 1, turns & 2, 0.0f, false, 3, 1);
        expect_product<Out, In>(7, 5, 11, turns & 1, turns & 2, 0.0f, true, 3, 4);
        expect_product<Out, In>(8, 4, 16, turns & 1, turns & 2, 0.0f, false, 0, 3);
        expect_product<Out, In>(8, 4, 16, turns & 1, turns & 2, 0.0f, true, 0, 3); // a bias that is aligned
        expect_product<Out, In>(1, 1, 1, turns & 1, turns & 2, 0.0f, false, 0, 2);
        expect_product<Out, In>(4, 0, 3, turns & 1, turns & 2, 0.0f, true, 2, 2);
        expect_product<Out, In>(4, 0, 3, turns & 1, turns & 2, 1.0f, false, 2, 2);
        expect_product<Out, In>(0, 2, 3, turns & 1, turns & 2, 0.0f, true, 0, 1);
    }
}

static void test_products(void) {
    expect_products<float, float>();
    expect_products<Real, Real>();
    expect_products<float, Real>();
}

// More descriptions than are kept, and the first ones again.
static void test_many(void) {
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 1; k <= 1500; k++) { if (pass == 0 || k < 50) { expect_product<float, float>(2, k, 1, false, true, 0.0f, false, 0, 1); } }
    }
}

// Alignment is part of the description: an algorithm chosen for aligned factors, or an aligned bias, is not used for others.
static void test_alignment(void) {
    const int N = 8;
    std::vector<float> x((size_t)(N*N + 1), 1.0f), y((size_t)(N*N), 1.0f);
    OnDevice<float> a(x), bias(y), out((size_t)(N*N));
    for (int offset = 0; offset < 2; offset++) {
        product(matrix(out.data, N, N), matrix(a.data + offset, N, N), matrix(a.data, N, N));
        for (float sum : out.read()) { expect(sum == (float)N); }
        product(matrix(out.data, N, N), matrix(a.data, N, N), matrix(a.data, N, N), 0.0f, bias.data + 4 * offset); // 256 bytes, and 16
        for (float sum : out.read()) { expect(sum == (float)(N + 1)); }
    }
}

// Onto numbers elsewhere, which stay: without anything to sum over, with a bias and numbers that are aligned or not.
template <class T> static void expect_onto(int rows, int k, int cols, bool with_bias, int offset) {
    Numbers<T> left(rows, k, 0, 1), right(k, cols, 0, 1), start(rows, cols, 0, 1);
    std::vector<T> bias((size_t)(cols + offset), (T)0.0f), shifted((size_t)offset, (T)0.0f);
    for (T& x : bias) { x = (T)test_uniform(&rng); }
    shifted.insert(shifted.end(), start.host.begin(), start.host.end());
    OnDevice<T> a(left.host), b(right.host), c(shifted), d(bias), out((size_t)(rows * cols));
    product_onto(matrix(out.data, rows, cols), c.data + offset, matrix(a.data, rows, k), matrix(b.data, k, cols), with_bias ? d.data + offset : NULL);
    Array want, got;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            double sum = start.at(0, i, j) + (with_bias ? (double)(float)bias[(size_t)(j + offset)] : 0.0);
            for (int l = 0; l < k; l++) { sum += left.at(0, i, l) * right.at(0, l, j); }
            want.push_back((float)sum);
            got.push_back((float)out.read()[(size_t)(i * cols + j)]);
        }
    }
    expect_close(got.data(), want.data(), want.size(), tolerance((const T*)NULL));
    expect(c.read() == shifted);
}

static void test_onto(void) {
    for (int k : { 5, 0 }) {
        for (int offset = 0; offset < 2; offset++) {
            expect_onto<float>(7, k, 16, true, offset);
            expect_onto<Real>(7, k, 16, true, offset);
            expect_onto<Real>(7, k, 16, false, offset);
        }
    }
}

#ifdef __CUDACC__
static constexpr bool emulated = false;
#else
static constexpr bool emulated = true;
#endif

// GELU within the product, against the formula in double; and which products there are. A GPU may have others than the emulator.
template <class T> static void expect_gelu(int rows, int k, int cols, int gap, int offset, bool wanted) {
    Numbers<T> left(rows, k, 0, 1), right(k, cols, 0, 1), out(rows, cols, gap, 1);
    std::vector<T> bias((size_t)cols);
    for (T& x : bias) { x = (T)(3.0f * test_uniform(&rng)); }
    std::vector<T> shifted((size_t)offset, (T)0.0f);
    shifted.insert(shifted.end(), out.host.begin(), out.host.end());
    shifted.resize(shifted.size() + (size_t)offset, (T)0.0f); // an array ends where a page does: now it is aligned in another way
    OnDevice<T> a(left.host), b(right.host), c(bias), y(out.host), given(shifted), dy(out.host);
    Matrix x = matrix(a.data, rows, k), w = matrix(b.data, k, cols), to = matrix(y.data, rows, cols, out.stride), back = to;
    back.data = dy.data;
    bool done = product_gelu(to, given.data + offset, x, w, c.data), again = product_gelu_backward(back, given.data + offset, x, w);
    expect(!emulated || (done == wanted && again == wanted));
    expect(wanted || (!done && !again && y.read() == out.host));
    if (!done || !again) { return; }
    Array want, got;
    std::vector<T> found[3] = { y.read(), given.read(), dy.read() };
    found[1].erase(found[1].begin(), found[1].begin() + offset);
    for (size_t at = 0; at < out.apart; at++) {
        int i = (int)(at / out.stride), j = (int)(at % out.stride);
        if (i >= rows || j >= cols) { expect((float)found[0][at] == (float)out.host[at] && (float)found[1][at] == (float)out.host[at]); continue; }
        double sum = 0.0, h = (double)(float)bias[(size_t)j], before = (double)(float)found[1][at];
        for (int l = 0; l < k; l++) { sum += left.at(0, i, l) * right.at(0, l, j); }
        h += sum;
        auto gelu = [](double z) { return 0.5 * z * (1.0 + tanh(0.7978845608028654 * (z + 0.044715 * z * z * z))); };
        for (double exact : { gelu(h), h, sum * (gelu(before + 1e-5) - gelu(before - 1e-5)) / 2e-5 }) { want.push_back((float)exact); }
        for (const std::vector<T>& f : found) { got.push_back((float)f[at]); }
    }
    expect_close(got.data(), want.data(), want.size(), tolerance((const T*)NULL));
}

template <class T> static void expect_gelus(bool fused) {
    device.fuses_gelu = fused;
    for (int turn = 0; turn < 2; turn++) {
        expect_gelu<T>(5, 16, 24, 0, 0, fused);
        expect_gelu<T>(5, 16, 24, 0, 4, fused && sizeof(T) == 4); // 16 bytes on
        expect_gelu<T>(5, 16, 24, 8, 0, fused);
        expect_gelu<T>(5, 16, 23, 0, 0, false); // rows at no multiple of 8
        expect_gelu<T>(5, 0, 24, 0, 0, false);
        if (!fused || emulated) { expect_gelu<T>(5, 9, 24, 0, 0, false); } // the second time from what is kept
    }
}

static void test_gelu(void) {
    bool before = device.fuses_gelu;
    for (bool fused : { false, true }) {
        expect_gelus<float>(fused);
        expect_gelus<Real>(fused);
    }
    device.fuses_gelu = before;
}

static void test_refused(void) {
    float x[4] = {};
    expect_dies("no product: 2 x 2 and 1 x 2 to 2 x 2", product(matrix(x, 2, 2), matrix(x, 2, 2), matrix(x, 1, 2)));
    expect_dies("no product", product(matrix(x, 2, 1), matrix(x, 2, 2), turned(x, 2, 2)));
    expect_dies("a bias where the product is added", product(matrix(x, 2, 2), matrix(x, 2, 2), matrix(x, 2, 2), 1.0f, x));
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "product/products", test_products },
        { "product/many", test_many },
        { "product/alignment", test_alignment },
        { "product/onto", test_onto },
        { "product/gelu", test_gelu },
        { "product/refused", test_refused },
    };
    device_start(TEST_PRECISION);
    return test_main(argc, argv, tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
