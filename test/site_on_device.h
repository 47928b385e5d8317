// site_on_device.h -- a site with random factors, on the device and in double precision.
#ifndef TEST_SITE_ON_DEVICE_H
#define TEST_SITE_ON_DEVICE_H

#include "../drpt/site.h"
#include "on_device.h"
#include "test.h"

static uint64_t rng = 11;

// n general rows and m target rows.
typedef struct { const char* what; SiteKind kind; int rows, cols, bias, stride, n, m, T; } Case;

static std::vector<Real> fill(size_t n) {
    std::vector<Real> x(n);
    for (Real& k : x) { k = (Real)test_uniform(&rng); }
    return x;
}
static std::vector<float> fill_floats(size_t n, bool squared) {
    std::vector<float> x(n);
    for (float& k : x) { k = test_uniform(&rng); k = squared ? k * k : k; }
    return x;
}

struct Host {
    std::vector<Real> dout, inp, dlookup;
    std::vector<float> mean, rstd, vweight, vbias;
    std::vector<int> tokens;

    explicit Host(const Case& c) {
        size_t N = (size_t)((c.n + c.m) * c.T);
        dout = fill(N * (size_t)c.stride);
        inp = fill(N * (size_t)(c.kind == SITE_LAYERNORM ? c.rows : c.cols));
        dlookup = fill(N * (size_t)c.cols);
        mean = fill_floats(N, false);
        rstd = fill_floats(N, false);
        vweight = fill_floats((size_t)(c.rows * c.cols), true);
        vbias = fill_floats((size_t)c.rows, true);
        for (size_t i = 0, T = (size_t)c.T; i < N; i++) { // words repeat, a row's second one at its end
            tokens.push_back(i % T > 1 && i % T == T - 1 ? tokens[i - T + 2] : i % 3 == 0 ? c.rows - 1 : (int)(i * 7 % (size_t)c.rows));
        }
    }

    // The gradient of row b: weights, then the bias.
    std::vector<double> gradient(const Case& c, int b) const {
        std::vector<double> g((size_t)(c.rows * (c.cols + c.bias)), 0.0);
        double* bias = g.data() + c.rows * c.cols;
        for (int t = 0; t < c.T; t++) {
            size_t at = (size_t)(b * c.T + t);
            const Real* d = &dout[at * (size_t)c.stride];
            for (int o = 0; o < c.rows && c.kind != SITE_POSITION && c.kind != SITE_LOOKUP; o++) {
                double y = (double)(float)d[o];
                for (int k = 0; k < c.cols; k++) {
                    double x = (double)(float)inp[at * (size_t)(c.kind == SITE_LAYERNORM ? c.rows : c.cols) + (size_t)(c.kind == SITE_LAYERNORM ? o : k)];
                    g[(size_t)(o * c.cols + k)] += y * (c.kind == SITE_LAYERNORM ? (x - mean[at]) * rstd[at] : x);
                }
                if (c.bias) { bias[o] += y; }
            }
            for (int k = 0; k < c.cols; k++) {
                if (c.kind == SITE_POSITION) { g[(size_t)(t % c.rows * c.cols + k)] += (double)(float)d[k]; }
                if (c.kind == SITE_TOKEN || c.kind == SITE_LOOKUP) { g[(size_t)(tokens[at] * c.cols + k)] += (double)(float)dlookup[at * (size_t)c.cols + (size_t)k]; }
            }
        }
        return g;
    }
};

struct Copy {
    OnDevice<Real> dout, inp, dlookup;
    OnDevice<float> mean, rstd, vweight, vbias;
    OnDevice<int> tokens;

    explicit Copy(const Host& h)
        : dout(h.dout), inp(h.inp), dlookup(h.dlookup), mean(h.mean), rstd(h.rstd), vweight(h.vweight), vbias(h.vbias), tokens(h.tokens) {}

    Site site(const Case& c) const {
        static float receives; // what a site's gradient would be added to
        Site s = {};
        s.kind = c.kind;
        s.name = c.what;
        s.dweight = &receives;
        s.dbias = c.bias ? &receives : NULL;
        s.dout = dout;
        s.inp = inp;
        s.mean = mean;
        s.rstd = rstd;
        s.rows = c.rows;
        s.cols = c.cols;
        s.stride = c.stride;
        s.parts = 1;
        s.index = 3;
        s.vweight = vweight;
        s.vbias = vbias;
        if (c.kind == SITE_TOKEN || c.kind == SITE_LOOKUP) { s.dlookup = dlookup; s.tokens = tokens; }
        return s;
    }
};

#endif // TEST_SITE_ON_DEVICE_H
