// test_cuda.cu -- the GPU trainer computes what the CPU trainer computes: every layer, every gradient, training steps.
// Compiled for the emulator (test/emulator/), and by nvcc where there is a GPU.
#define TESTING
#include "../train_gpt2_drpt.cu"
#include "../drpt/assemble.h"
#include "../drpt/rollout.h"
#include "cpu_twin.h"
#include "on_device.h"
#include "test.h"

// What separates two ways of adding up in single precision. A GPU's e^x is a little less exact than the emulator's, which is the
// host's.
#ifdef __CUDACC__
static constexpr float TOLERANCE = 1e-4f;
#else
static constexpr float TOLERANCE = 1e-5f;
#endif
// And of what is rounded to Real: 2^-9 of its size, twice where a result rounded once is read again.
static constexpr float REAL_TOLERANCE = sizeof(Real) == 4 ? TOLERANCE : 1e-2f;
// Of what a whole model computes, rounding on every line.
static constexpr float MODEL_TOLERANCE = sizeof(Real) == 4 ? TOLERANCE : 2e-2f;

typedef std::vector<float> Array;
static uint64_t rng = 1;

// Random numbers that Real can hold: both twins read the same.
static Array rounded(Array x) {
    for (float& number : x) { number = (float)(Real)number; }
    return x;
}
static Array fill(size_t n) {
    Array x(n);
    test_fill(x.data(), n, &rng);
    return rounded(x);
}

static int below(int n) { return (int)((test_uniform(&rng) + 1.0f) / 2.0f * (float)n) % n; }
static std::vector<int> fill_below(size_t n, int limit) {
    std::vector<int> x(n);
    for (int& i : x) { i = below(limit); }
    return x;
}

// Weights of the loss: some positions are not trained on.
static Array fill_weight(size_t n) {
    Array x = fill(n);
    for (size_t i = 0; i < n; i++) { x[i] = i % 5 == 2 ? 0.0f : 0.1f + fabsf(x[i]); }
    return x;
}

typedef OnDevice<int> Ints;
struct Floats : OnDevice<float> {
    static constexpr float tolerance = TOLERANCE;
    using OnDevice::OnDevice;
};
struct Reals : OnDevice<Real> {
    static constexpr float tolerance = REAL_TOLERANCE;
    explicit Reals(size_t n) : OnDevice(n) {}
    explicit Reals(const Array& x) : OnDevice(std::vector<Real>(x.begin(), x.end())) {}
    Array read() const {
        std::vector<Real> x = OnDevice::read();
        return Array(x.begin(), x.end());
    }
};

#define SAME(got, want) expect_close(got.read().data(), want.data(), want.size(), got.tolerance)

// ---------------------------------------------------------------------------------------------
// Layers: sizes that can be cut into 16 bytes, and others.

static void expect_encoder(int C) {
    const int B = 3, T = 7, V = 11, N = B * T;
    Array wte = fill(V*C), wpe = fill((T+2)*C), out(N*C);
    std::vector<int> tokens = fill_below(N, V);
    Reals y(N*C), e(wte), p(wpe);
    encoder_forward(y, Ints(tokens), e, p, B, T, C);
    cpu_twin.encoder_forward(out.data(), tokens.data(), wte.data(), wpe.data(), B, T, C);
    SAME(y, out);
}

static void test_encoder(void) {
    expect_encoder(19);
    expect_encoder(24);
}

static void expect_layernorm(int C) {
    const int N = 13;
    Array inp = fill(N*C), weight = fill(C), bias = fill(C), dout = fill(N*C), dstream = fill(N*C), dinp(N*C), alone(N*C), out(N*C), mean(N), rstd(N);
    Reals x(inp), w(weight), b(bias), dy(dout), ds(dstream), dx(N*C), dx0(N*C), y(N*C);
    Floats m(N), r(N);
    layernorm_forward(y, m, r, x, w, b, N, C);
    layernorm_backward_input(dx, ds, dy, x, w, m, r, N, C);
    layernorm_backward_input(dx0, NULL, dy, x, w, m, r, N, C);
    cpu_twin.layernorm_forward(out.data(), mean.data(), rstd.data(), inp.data(), weight.data(), bias.data(), N, C);
    cpu_twin.layernorm_backward_input(dinp.data(), dstream.data(), dout.data(), inp.data(), weight.data(), mean.data(), rstd.data(), N, C);
    cpu_twin.layernorm_backward_input(alone.data(), NULL, dout.data(), inp.data(), weight.data(), mean.data(), rstd.data(), N, C);
    SAME(y, out);
    SAME(m, mean);
    SAME(r, rstd);
    SAME(dx, dinp);
    SAME(dx0, alone);
}

static void test_layernorm(void) {
    expect_layernorm(75);
    expect_layernorm(264);
}

// size: of queries and keys, so that the softmax is flat or sharp.
static void expect_attention(int B, int T, int NH, int hs, float size) {
    int C = NH * hs, N = B * T;
    Array qkv = fill((size_t)N*3*C), dout = fill((size_t)N*C), out(N*C), lse(N*NH), dqkv(N*3*C);
    for (size_t i = 0; i < qkv.size(); i++) { if ((int)(i % (3*C)) < 2*C) { qkv[i] *= size; } }
    Reals x(qkv), dy(dout), y(N*C), dx(N*3*C);
    Floats l(N*NH), scratch(attention_scratch_size(B, T, NH));
    attention_forward(y, l, x, scratch, B, T, C, NH);
    attention_backward(dx, dy, x, y, l, scratch, B, T, C, NH);
    cpu_twin.attention_forward(out.data(), lse.data(), qkv.data(), B, T, C, NH);
    cpu_twin.attention_backward(dqkv.data(), dout.data(), qkv.data(), out.data(), lse.data(), B, T, C, NH);
    SAME(y, out);
    SAME(l, lse);
    SAME(dx, dqkv);
}

// Each size of tile, with heads narrower than it and rows that end within one; heads in two and three pieces.
static void test_attention(void) {
    expect_attention(2, 37, 3, 5, 1.0f);
    expect_attention(1, 70, 2, 40, 1.0f);
    expect_attention(1, 33, 1, 100, 1.0f);
    expect_attention(1, 64, 1, 32, 4.0f);
    expect_attention(1, 130, 1, 64, 2.0f);
    expect_attention(1, 70, 1, 128, 1.0f);
    expect_attention(2, 1, 1, 7, 1.0f);
    expect_attention(2, 37, 2, 160, 1.0f);
    expect_attention(1, 70, 1, 256, 1.0f);
    expect_attention(1, 66, 1, 300, 2.0f);
}

// GELU where a product writes its sums, or after it, whatever the GPU is.
struct FusedGelu {
    bool before;
    explicit FusedGelu(bool fused) : before(device.fuses_gelu) { device.fuses_gelu = fused; }
    ~FusedGelu() { device.fuses_gelu = before; }
};

static void expect_gelu(int n) {
    Array inp(n), dinp = fill(n), out(n);
    for (int i = 0; i < n; i++) { inp[i] = (float)(i - n / 2) * 0.1f; } // to +-30, where e^x has long overflowed
    inp = rounded(inp);
    Reals x(inp), dx(dinp), y(n);
    gelu_forward(y, x, n);
    gelu_backward(dx, x, n);
    cpu_twin.gelu_forward(out.data(), inp.data(), n);
    cpu_twin.gelu_backward(dinp.data(), inp.data(), n);
    SAME(y, out);
    SAME(dx, dinp);
}

static void test_gelu(void) {
    expect_gelu(601);
    expect_gelu(608);
}

static void expect_residual(int n) {
    Array out = fill(n), inp = fill(n);
    Reals y(out), x(inp);
    residual_forward(y, x, n);
    for (int i = 0; i < n; i++) { out[i] += inp[i]; }
    SAME(y, out);
}

static void test_residual(void) {
    expect_residual(2049);
    expect_residual(2056);
}

// ROW: how far the rows of logits are apart. What stands between them is not looked at, and becomes zero.
static void expect_cross_entropy(int V, int ROW) {
    const int N = 11;
    Array logits = fill(N*ROW), weight = fill_weight(N), losses(N);
    std::vector<int> targets = fill_below(N, V);
    std::vector<unsigned char> hits(N);
    for (int i = 0; i < N*ROW; i++) { if (i % ROW >= V) { logits[i] = 200.0f; } }
    logits[0*ROW + targets[0]] = 2.0f;                       // hit
    logits[1*ROW + 3] = logits[1*ROW + 200] = 2.0f; targets[1] = 3;     // hit: the first of two
    logits[3*ROW + 3] = logits[3*ROW + 200] = 2.0f; targets[3] = 200;   // not the first
    logits[4*ROW + targets[4]] = 120.0f;                     // beyond what e^x can hold
    Reals x(logits);
    Floats w(weight), l(N), again(N);
    Ints t(targets);
    OnDevice<unsigned char> h(N);
    cross_entropy_forward(l, h, x, t, w, N, V, ROW);
    cross_entropy_backward(again, x, t, w, N, V, ROW);
    cpu_twin.cross_entropy_forward(losses.data(), hits.data(), logits.data(), targets.data(), weight.data(), N, V, ROW);
    SAME(l, losses);
    expect(h.read() == hits && hits[0] && hits[1] && !hits[3]);
    cpu_twin.cross_entropy_backward(losses.data(), logits.data(), targets.data(), weight.data(), N, V, ROW);
    SAME(again, losses);
    SAME(x, logits);
    Array got = x.read();
    for (int i = 0; i < N*ROW; i++) { expect(i % ROW < V || got[i] == 0.0f); }
}

static void test_cross_entropy(void) {
    expect_cross_entropy(301, 301);
    expect_cross_entropy(301, 304);
    expect_cross_entropy(2301, 2304);
}

static void test_matmul(void) {
    const int N = 41, C = 24, OC = 67;
    Array inp = fill(N*C), weight = fill(OC*C), bias = fill(OC), dout = fill(N*OC), out(N*OC), dinp(N*C), dweight = fill(OC*C), dbias = fill(OC);
    Reals x(inp), w(weight), b(bias), dy(dout), y(N*OC), y0(N*OC), sum(N*OC), dx(N*C);
    Floats dw(dweight), db(dbias);
    matmul_forward(y, x, w, b, N, C, OC);
    matmul_forward(y0, x, w, NULL, N, C, OC);
    matmul_forward_residual(sum, dy, x, w, b, N, C, OC);
    matmul_backward_input(dx, dy, w, N, C, OC);
    matmul_backward_params(dw, db, dy, x, N, C, OC);
    cpu_twin.matmul_forward(out.data(), inp.data(), weight.data(), bias.data(), N, C, OC);
    SAME(y, out);
    for (int i = 0; i < N*OC; i++) { out[i] += dout[i]; }
    SAME(sum, out);
    cpu_twin.matmul_forward(out.data(), inp.data(), weight.data(), NULL, N, C, OC);
    SAME(y0, out);
    cpu_twin.matmul_backward_input(dinp.data(), dout.data(), weight.data(), N, C, OC);
    SAME(dx, dinp);
    cpu_twin.matmul_backward_params(dweight.data(), dbias.data(), dout.data(), inp.data(), N, C, OC);
    SAME(dw, dweight);
    SAME(db, dbias);
}

// inp (N,C) to hidden and gelu (N,OC), and back from the gradient of the next layer, of C numbers.
static void expect_matmul_gelu(int N, int C, int OC, bool fused) {
    FusedGelu kind(fused);
    Array inp = fill(N*C), weight = fill(OC*C), bias = fill(OC), next = fill(C*OC), dout = fill(N*C), hidden(N*OC), out(N*OC), dhidden(N*OC);
    for (float& w : weight) { w *= 2.0f; } // to where GELU bends, and beyond
    Reals x(inp), w(weight), b(bias), n(next), dy(dout), h(N*OC), y(N*OC), dh(N*OC);
    matmul_forward_gelu(y, h, x, w, b, N, C, OC);
    matmul_backward_input_gelu(dh, dy, n, h, N, OC, C);
    cpu_twin.matmul_forward(hidden.data(), inp.data(), weight.data(), bias.data(), N, C, OC);
    cpu_twin.gelu_forward(out.data(), hidden.data(), out.size());
    SAME(h, hidden);
    SAME(y, out);
    Array given = h.read();
    cpu_twin.matmul_backward_input(dhidden.data(), dout.data(), next.data(), N, OC, C);
    cpu_twin.gelu_backward(dhidden.data(), given.data(), given.size());
    SAME(dh, dhidden);
}

static void test_matmul_gelu(void) {
    for (bool fused : { false, true }) {
        expect_matmul_gelu(41, 24, 72, fused);
        expect_matmul_gelu(5, 21, 72, fused); // not with the emulator's GELU
        expect_matmul_gelu(5, 24, 67, fused); // with nobody's
    }
}

static void test_gradient_clip(void) {
    Array x = fill(20011);
    OnDevice<Clip> clip(1);
    for (double longest : { 0.0, 1.0, 1e6 }) {
        Clip want;
        cpu_twin.gradient_clip(&want, x.data(), x.size(), longest);
        gradient_clip(clip, Floats(x), x.size(), longest);
        Clip got = clip.read()[0];
        expect(fabs(got.norm - want.norm) <= 1e-12 * want.norm && fabs(got.scale - want.scale) <= 1e-12);
    }
}

// A gradient that is too long for its norm to be finite leaves everything as it was.
static void test_not_finite(void) {
    const int N = 300;
    Array params = fill(N), grads = fill(N), m = fill(N), v = fill(N);
    grads[77] = INFINITY;
    Floats p(params), g(grads), dm(m), dv(v);
    OnDevice<Clip> clip(1);
    gradient_clip(clip, g, N, 1.0);
    expect(!isfinite(clip.read()[0].norm) && clip.read()[0].scale == 0.0);
    adamw_update(p, g, dm, dv, N, AdamW{ 0.1f, 0.9f, 0.99f, 1e-8f, 0.1f }, clip, 1);
    sgd_update(p, g, N, 0.1f, 0.1f, clip);
    expect(p.read() == params && g.read() == grads && dm.read() == m && dv.read() == v);
}

// More positions than a warp looks at at a time, more channels than it takes, tokens that come once, often, never.
static void test_lookup(void) {
    const int B = 13, T = 31, C = 300, V = 210;
    Array dlookup = fill(B*T*C), dweight = fill(V*C), ones(B, 1.0f);
    std::vector<int> tokens(B*T);
    for (int i = 0; i < B*T; i++) { tokens[i] = i % 3 == 0 ? 5 : i / 2; }
    tokens[1] = tokens[B*T - 1] = V - 1; // far apart
    Reals d(dlookup);
    Floats dw(dweight);
    Ints t(tokens);
    Site site = {};
    site.kind = SITE_LOOKUP;
    site.dweight = dw;
    site.dlookup = d;
    site.tokens = t;
    site.rows = V;
    site.cols = C;
    site.parts = 1;
    drpt_assemble(&site, NULL, B, B, T, NULL, 0, 1);
    for (int i = 0; i < B*T*C; i++) { dweight[(size_t)tokens[i / C] * C + i % C] += dlookup[i]; }
    SAME(dw, dweight);
}

// ---------------------------------------------------------------------------------------------
// The model.

// The GPU's model with the CPU's weights, and data for both.
struct Twins {
    GPT2* model;
    Drpt drpt;
    int n, T;
    Array weight, dvalue, share; // the last two are the head's
    HeadGradient head;

    Twins(const char* sizes, int rows, int tokens, int recompute) : n(rows), T(tokens) {
        DrptOptions options = drpt_defaults;
        options.method = "full";
        model = gpt2_create(sizes, 1, 1, 1);
        gpt2_alloc(model, n, T, 1, 0, recompute);
        cpu_twin.open(sizes, n, T);
        drpt = drpt_create(&options, n, 0, T, 4 * model->config.channels, 1, 1);
        set_params(rounded(Array(cpu_twin.params(), cpu_twin.params() + model->num_params)));
        weight = fill_weight((size_t)n * T);
        for (float& w : weight) { w /= (float)(n * T); }
        dvalue = fill_weight((size_t)n * T);
        for (size_t i = 0; i < dvalue.size(); i++) { dvalue[i] *= (i % 2 ? 1.0f : -0.5f) / (float)(n * T); }
        share = fill((size_t)n);
        share[1] = 0.0f;
        head = HeadGradient{ dvalue.data(), share.data() };
    }
    ~Twins() {
        cpu_twin.close();
        drpt_free(&drpt);
        gpt2_free(model);
    }
    // Of both. The CPU's are not rounded, so what Real can hold is the same for both.
    void set_params(const Array& x) {
        memcpy(cpu_twin.params(), x.data(), sizeof(float) * x.size());
        device_write(model->params, x.data(), sizeof(float) * x.size());
        round_weights(model);
    }
    // Forward and backward of both on tokens that repeat. Without logits no token is to be trained on.
    void pass(bool logits = true) {
        int N = n * T, V = model->config.vocab_size;
        std::vector<int> tokens = fill_below(N, 1 + below(V)), targets = fill_below(N, V);
        drpt_begin(&drpt, 0, NULL, NULL);
        (logits ? gpt2_forward : gpt2_hidden)(model, tokens.data(), n, T);
        Array got((size_t)N), want((size_t)N);
        gpt2_values(model, got.data(), n, T);
        gpt2_backward(model, tokens.data(), targets.data(), weight.data(), &head, &drpt, n, T);
        cpu_twin.pass(tokens.data(), targets.data(), weight.data(), &head);
        cpu_twin.values(want.data());
        expect_close(got.data(), want.data(), (size_t)N, 2.0f * MODEL_TOLERANCE); // few terms, of either sign: what they leave is small
    }
    void update(const char* optimizer, double lr, int step) {
        Config c = config_defaults;
        c.optimizer = optimizer;
        c.weight_decay = 0.1;
        c.eps = TWIN_EPS;
        c.clip = TWIN_CLIP;
        gpt2_update(model, &c, lr, step);
        cpu_twin.update(optimizer, lr, step);
    }
    Array read(const float* x, size_t count) {
        Array host(count);
        device_read(host.data(), x, sizeof(float) * count);
        return host;
    }
    void expect_losses() {
        size_t N = (size_t)n * T;
        expect_close(read(model->losses, N).data(), cpu_twin.losses(), N, MODEL_TOLERANCE);
    }
};

// Tensor by tensor, so that a small one does not hide behind a large one.
static void expect_tensors(Twins& twins, const float* device_array, const float* want, float tolerance) {
    Array got = twins.read(device_array, twins.model->num_params);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &twins.model->tensor[i];
        expect_close(&got[t->begin], want + t->begin, t->blocks * t->rows * t->cols, tolerance);
    }
}

// The GPU trainer's own loss moves as its gradient says, tensor by tensor, along half the gradient and half a random direction.
// In bf16 a weight that moves so little stays where it is.
static double loss_at(Twins& twins, const Array& params, const std::vector<int>& tokens, const std::vector<int>& targets) {
    GPT2* model = twins.model;
    const Array& weight = twins.weight;
    int n = twins.n, T = twins.T;
    Array losses(weight.size()), values(weight.size());
    std::vector<unsigned char> hits(weight.size());
    device_write(model->params, params.data(), sizeof(float) * params.size());
    gpt2_forward(model, tokens.data(), n, T);
    gpt2_values(model, values.data(), n, T);
    gpt2_evaluate(model, targets.data(), weight.data(), losses.data(), hits.data(), n, T);
    double sum = 0.0;
    for (size_t i = 0; i < losses.size(); i++) { sum += (double)weight[i] * losses[i] + (double)twins.dvalue[i] * values[i]; }
    return sum;
}

static void expect_slopes(bool fused) {
    const int n = 3, T = 7, V = 19;
    const double step = 1e-2;
    FusedGelu kind(fused);
    Twins twins("L2,H2,C16,V19,T8", n, T, 0);
    std::vector<int> tokens = fill_below((size_t)n * T, V), targets = fill_below((size_t)n * T, V);
    Array at = twins.read(twins.model->params, twins.model->num_params);
    twins.share.assign((size_t)n, 1.0f);
    drpt_begin(&twins.drpt, 0, NULL, NULL);
    gpt2_forward(twins.model, tokens.data(), n, T);
    gpt2_backward(twins.model, tokens.data(), targets.data(), twins.weight.data(), &twins.head, &twins.drpt, n, T);
    Array grads = twins.read(twins.model->grads, twins.model->num_params);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &twins.model->tensor[i];
        size_t size = t->blocks * t->rows * t->cols;
        Array along = fill(size);
        double g2 = 0.0, r2 = 0.0, slope = 0.0, moved[2];
        for (size_t k = 0; k < size; k++) { g2 += (double)grads[t->begin + k] * grads[t->begin + k]; r2 += (double)along[k] * along[k]; }
        expect(g2 > 1e-8);
        for (size_t k = 0; k < size; k++) {
            along[k] = (float)(grads[t->begin + k] / sqrt(g2) + along[k] / sqrt(r2));
            slope += (double)along[k] * grads[t->begin + k];
        }
        for (int side = 0; side < 2; side++) {
            Array there = at;
            for (size_t k = 0; k < size; k++) { there[t->begin + k] += (float)(side ? -step : step) * along[k]; }
            moved[side] = loss_at(twins, there, tokens, targets);
        }
        double found = (moved[0] - moved[1]) / (2.0 * step);
        expect(fabs(found - slope) <= 200.0 * TOLERANCE * fabs(slope) + TOLERANCE);
    }
}

static void test_finite_differences(void) {
    for (bool fused : { false, true }) { if (sizeof(Real) == sizeof(float)) { expect_slopes(fused); } }
}

// Every parameter's gradient, added up over two passes; with activations computed again, and with GELU in the products, too.
static void test_gradients(void) {
    Array plain;
    uint64_t seed = rng;
    for (int way = 0; way < 3; way++) {
        const int recompute = way > 0;
        FusedGelu kind(way == 2);
        rng = seed;
        Twins twins("L2,H3,C24,V29,T11", 5, 9, recompute);
        if (recompute) { twins.set_params(plain); } else { plain = twins.read(twins.model->params, twins.model->num_params); }
        for (int pass = 0; pass < 2; pass++) {
            twins.pass();
            twins.expect_losses();
        }
        expect_tensors(twins, twins.model->grads, cpu_twin.grads(), MODEL_TOLERANCE);
    }
}

// The values alone: logits are neither written nor read.
static void test_values_alone(void) {
    Twins twins("L2,H3,C24,V29,T11", 5, 9, 0);
    std::vector<Real> logits((size_t)5 * 9 * (size_t)logits_stride(&twins.model->config), (Real)3.0f), after(logits.size());
    device_write(twins.model->logits, logits.data(), sizeof(Real) * logits.size());
    twins.weight.assign(twins.weight.size(), 0.0f);
    twins.pass(false);
    device_read(after.data(), twins.model->logits, sizeof(Real) * after.size());
    for (Real x : after) { expect((float)x == 3.0f); }
    for (float loss : twins.read(twins.model->losses, twins.weight.size())) { expect(loss == 0.0f); }
    expect_tensors(twins, twins.model->grads, cpu_twin.grads(), MODEL_TOLERANCE);
}

static void expect_training(const char* optimizer, double lr, int steps) {
    Twins twins("L2,H2,C16,V23,T8", 3, 8, 0);
    for (int step = 1; step <= steps; step++) {
        twins.pass();
        twins.expect_losses();
        twins.update(optimizer, lr, step);
    }
    expect_tensors(twins, twins.model->params, cpu_twin.params(), 10.0f * MODEL_TOLERANCE);
    Array grads = twins.read(twins.model->grads, twins.model->num_params);
    for (float g : grads) { expect(g == 0.0f); }
}

static void test_training(void) { expect_training("adamw", 1e-3, 20); }
static void test_training_sgd(void) { expect_training("sgd", 1e-1, 3); }

// Three rows of one text, each at a place of its own, get the logits of a whole forward: a prompt in one piece, then a token at a time;
// rows longer than a warp, more positions than there is room for at a time.
static void expect_decode(const char* sizes) {
    const int T = 70, ROWS = 3, V = 29;
    GPT2* model = gpt2_create(sizes, 3, 0, 0);
    Array params = fill(model->num_params);
    for (float& x : params) { x *= 0.4f; }
    device_write(model->params, params.data(), sizeof(float) * params.size());
    round_weights(model);
    gpt2_alloc(model, ROWS, T, 0, 0, 0);
    std::vector<int> tokens = fill_below(ROWS * T, V);
    gpt2_forward(model, tokens.data(), ROWS, T);
    size_t stride = (size_t)logits_stride(&model->config);
    std::vector<Real> logits((size_t)ROWS * T * stride);
    device_read(logits.data(), model->logits, sizeof(Real) * logits.size());
    Array want(logits.begin(), logits.end());
    Decoder* d = decoder_create(gpt2_config(model), ROWS + 1, T);
    d->room = 20;
    const int slot[ROWS] = { 3, 0, 2 };
    int at[ROWS] = { 0, 33, 5 };
    std::vector<int> fed, row, place;
    for (int b = 0; b < ROWS; b++) {
        for (int t = 0; t < at[b]; t++) { fed.push_back(tokens[(size_t)(b * T + t)]); row.push_back(slot[b]); place.push_back(t); }
    }
    gpt2_prefill(model, d, fed.data(), row.data(), place.data(), (int)fed.size());
    for (int count = ROWS; count > 0; ) {
        int token[ROWS], of[ROWS], where[ROWS], text[ROWS];
        count = 0;
        for (int b = 0; b < ROWS; b++) {
            if (at[b] == T) { continue; }
            text[count] = b; of[count] = slot[b]; where[count] = at[b]; token[count] = tokens[(size_t)(b * T + at[b])];
            at[b]++, count++;
        }
        const float* got = count > 0 ? gpt2_decode(model, d, token, of, where, count) : NULL;
        for (int i = 0; i < count; i++) { expect_close(got + i * V, &want[(size_t)(text[i] * T + where[i]) * stride], V, MODEL_TOLERANCE); }
    }
    const int from[2] = { 0, 2 }, to[2] = { 1, 3 }, places[2] = { 40, 7 }; // what begins as the second and the third row
    const int next[2] = { tokens[(size_t)(T + 40)], tokens[(size_t)(2*T + 7)] };
    decoder_copy(d, from, to, places, 2);
    const float* got = gpt2_decode(model, d, next, to, places, 2);
    expect_close(got, &want[(size_t)(T + 40) * stride], V, MODEL_TOLERANCE);
    expect_close(got + V, &want[(size_t)(2*T + 7) * stride], V, MODEL_TOLERANCE);
    decoder_free(d);
    gpt2_free(model);
}

// Heads wider than a warp, and such as leave lanes over; channels that are read one by one, or many at a time.
static void test_decode(void) {
    expect_decode("L2,H1,C37,V29,T75");
    expect_decode("L1,H2,C10,V29,T75");
    expect_decode("L1,H1,C40,V29,T75");
}

// Rollouts, two rows at a time: each token again from a whole forward with the same random numbers, and its log-probability.
static void test_rollouts(void) {
    const int ROWS = 4, T = 13, V = 29, END = 3;
    GPT2* model = gpt2_create("L2,H2,C24,V29,T12", 3, 0, 0);
    Array params = fill(model->num_params);
    for (float& x : params) { x *= 0.4f; }
    device_write(model->params, params.data(), sizeof(float) * params.size());
    round_weights(model);
    gpt2_alloc(model, 1, T, 0, 0, 0);
    Rollouts r = rollouts_create(gpt2_config(model), ROWS, T, 2);
    r.sampling = Sampling{ 0.9, 0.95, 12 };
    r.end = END;
    rollouts_begin(&r, 5, 6, 7);
    const int length[ROWS] = { 0, 12, 5, 2 };
    for (int i = 0; i < ROWS; i++) { rollouts_prompt(&r, i, fill_below(12, V).data(), length[i]); }
    while (rollouts_step(&r, model) > 0) { }
    size_t stride = (size_t)logits_stride(&model->config);
    std::vector<Real> logits((size_t)T * stride);
    Array weight(V);
    for (int i = 0; i < ROWS; i++) {
        Rng random = rng_seed(5, 6, (uint64_t)(7 + i));
        const int* tokens = r.tokens + i * T;
        expect(r.prompt[i] == (length[i] > 0 ? length[i] : 1) && r.length[i] > r.prompt[i]);
        expect(r.ended[i] == (tokens[r.length[i] - 1] == END) && (r.ended[i] || r.length[i] == T));
        for (int t = r.prompt[i]; t < r.length[i]; t++) {
            float log_prob;
            gpt2_forward(model, tokens, 1, t);
            device_read(logits.data(), model->logits, sizeof(Real) * (size_t)t * stride);
            Array last(logits.begin() + (t - 1) * (long)stride, logits.begin() + (t - 1) * (long)stride + V);
            int token = sample_token(last.data(), V, r.sampling, &random, weight.data(), &log_prob);
            if (sizeof(Real) == 4) { expect(token == tokens[t] && fabsf(r.log_prob[i * T + t] - log_prob) <= TOLERANCE); }
            else { expect(fabsf(r.log_prob[i * T + t] - (log_prob + last[(size_t)tokens[t]] - last[(size_t)token])) <= 0.1f); }
        }
    }
    rollouts_free(&r);
    gpt2_free(model);
}

// A group that reaches across blocks points to the gradients of all of them, so each block has its own; else they share them, but for the
// stream's, which the next block forms while the sites of this one still point to theirs.
static void test_kept_blocks(void) {
    for (int keep = 0; keep <= 1; keep++) {
        GPT2* model = gpt2_create("L2,H2,C16,V23,T8", 1, 1, 0);
        gpt2_alloc(model, 3, 8, 1, keep, 0);
        expect((model->dact[0].qkv != model->dact[1].qkv) == keep && model->act[0].qkv != model->act[1].qkv);
        expect(model->dact[0].fcproj != model->dact[1].fcproj && model->dact[0].fcproj != model->dx);
        gpt2_free(model);
    }
}

// Losses and hits on the host, and what the model is made of without training: no gradients, no moments.
static void test_evaluate(void) {
    Twins twins("L1,H2,C16,V23,T8", 2, 7, 0);
    const int N = 2 * 7;
    std::vector<int> tokens = fill_below(N, 23), targets = fill_below(N, 23);
    Array losses(N), again(N);
    std::vector<unsigned char> hits(N);
    gpt2_forward(twins.model, tokens.data(), 2, 7);
    gpt2_evaluate(twins.model, targets.data(), twins.weight.data(), losses.data(), hits.data(), 2, 7);
    drpt_begin(&twins.drpt, 0, NULL, NULL);
    gpt2_backward(twins.model, tokens.data(), targets.data(), twins.weight.data(), NULL, &twins.drpt, 2, 7);
    device_read(again.data(), gpt2_losses(twins.model), sizeof(float) * again.size());
    expect(losses == again && losses[0] > 0.0f && losses[2] == 0.0f);
    GPT2* model = gpt2_create("L1,H2,C16,V23,T8", 1, 0, 0);
    GPT2Arrays a = gpt2_arrays(model);
    expect(a.params && !a.grads && !a.m && !a.v);
    gpt2_free(model);
    model = gpt2_create("L1,H2,C16,V23,T8", 1, 1, 0); // without a head
    Config c = config_defaults;
    gpt2_update(model, &c, 0.1, 1);
    gpt2_free(model);
}

// Two runs of the same step give the same bits.
static void test_same_bits(void) {
    Array first;
    Twins twins("L1,H2,C16,V23,T8", 2, 7, 0);
    uint64_t seed = rng;
    for (int run = 0; run < 2; run++) {
        rng = seed;
        device_zero(twins.model->grads, sizeof(float) * twins.model->num_params);
        twins.pass();
        Array grads = twins.read(twins.model->grads, twins.model->num_params);
        if (run == 0) { first = grads; }
        expect(memcmp(first.data(), grads.data(), sizeof(float) * grads.size()) == 0);
    }
}

// The device's time, in pieces and again.
static void test_stopwatch(void) {
    Stopwatch w = {};
    Floats x(1000);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i <= round; i++) {
            stopwatch_start(&w);
            device_zero(x, sizeof(float) * x.count);
            stopwatch_stop(&w);
        }
        double seconds = stopwatch_read(&w);
        expect(seconds > 0.0 && seconds < 10.0 && w.count == 0 && w.room == 2 * (round + 1));
    }
    expect(stopwatch_read(&w) == 0.0);
    stopwatch_free(&w);
}

// What dies does it in a process of its own, which has to begin with the GPU: one forked from a process that uses it has none.
static void too_much(void) {
    device_start(TEST_PRECISION);
    device_alloc((size_t)1 << 50, "a test");
}

// What it does not know is refused.
static void test_refused(void) {
    expect_dies("--precision fp16", device_start("fp16"));
    expect_dies(sizeof(Real) == 4 ? "--precision bf16" : "--precision fp32", device_start(sizeof(Real) == 4 ? "bf16" : "fp32"));
    expect_dies("the GPU is out of memory: 1073741824 MiB for a test; use", too_much());
#ifndef __CUDACC__
    setenv("EMU_DEVICE", "none", 1);
    expect_dies("no NVIDIA GPU that can be used: no CUDA-capable device", device_start(TEST_PRECISION));
    setenv("EMU_DEVICE", "other", 1);
    expect_dies("CUDA-on-CPU emulator: no kernel image is available for execution on the device; 'make cuda ARCH=sm_90'", device_start(TEST_PRECISION));
    unsetenv("EMU_DEVICE");
#endif
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "cuda/encoder", test_encoder },
        { "cuda/layernorm", test_layernorm },
        { "cuda/attention", test_attention },
        { "cuda/gelu", test_gelu },
        { "cuda/residual", test_residual },
        { "cuda/cross_entropy", test_cross_entropy },
        { "cuda/matmul", test_matmul },
        { "cuda/matmul_gelu", test_matmul_gelu },
        { "cuda/gradient_clip", test_gradient_clip },
        { "cuda/not_finite", test_not_finite },
        { "cuda/lookup", test_lookup },
        { "cuda/finite_differences", test_finite_differences },
        { "cuda/gradients", test_gradients },
        { "cuda/values_alone", test_values_alone },
        { "cuda/training", test_training },
        { "cuda/training_sgd", test_training_sgd },
        { "cuda/decode", test_decode },
        { "cuda/rollouts", test_rollouts },
        { "cuda/kept_blocks", test_kept_blocks },
        { "cuda/evaluate", test_evaluate },
        { "cuda/same_bits", test_same_bits },
        { "cuda/stopwatch", test_stopwatch },
    };
    static const Test refused_test = { "cuda/refused", test_refused };
    test_main(argc, argv, &refused_test, 1);
    device_start(TEST_PRECISION);
    return test_main(argc, argv, tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
