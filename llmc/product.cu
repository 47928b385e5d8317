// product.cu -- see product.cuh: by cuBLASLt.
//
// cuBLAS counts along columns: a row-major (R,C) array is its (C,R) matrix. So out = left right is asked for as out' = right' left'.
//
// To choose an algorithm cuBLASLt takes tens of microseconds of the host, longer than many a product takes the GPU. What it chose is
// therefore kept, with its descriptors, for the next product of the same description.
#include "product.cuh"

#include <string.h>

// All that an algorithm is chosen by. Numbers of one width: two are compared byte by byte, and padding would count.
typedef struct { int64_t type, turned, rows, cols, stride, apart, alignment; } Side;
typedef struct { Side out, left, right; int64_t start, hidden, bias, count, epilogue, compute; } Key; // start, hidden, bias: given()

typedef struct {
    Key key;
    cublasLtMatmulDesc_t what; // NULL: nothing is kept here
    cublasLtMatrixLayout_t out, left, right;
    bool possible;
    cublasLtMatmulAlgo_t algorithm;
} Plan;

// What a sum goes through before it is written. bias, hidden: NULL where the kind has none.
typedef struct { cublasLtEpilogue_t kind; const void *bias, *hidden; } Epilogue;
static const Epilogue plain = { CUBLASLT_EPILOGUE_DEFAULT, NULL, NULL };

// A model has some hundred products. One that finds none of WAYS places free takes the first, at the cost of choosing again.
enum { PLANS = 1024, WAYS = 8, BLOCK = 256 };
static Plan plans[PLANS];

// Of the first matrix, and of all in the batch.
static int64_t alignment_of(const void* data, size_t bytes_apart) {
    int64_t alignment = 256;
    while (((uintptr_t)data | bytes_apart) % (uintptr_t)alignment != 0) { alignment /= 2; }
    return alignment;
}

// The alignment of what stands beside the matrices; 0: it is out itself, or nothing.
static int64_t given(const void* data) { return data ? alignment_of(data, 0) : 0; }

static Side side(Matrix x, int count) {
    size_t size = x.type == CUDA_R_16BF ? 2 : 4;
    if (count == 1) { x.apart = 0; }
    return Side{ x.type, x.turned, x.rows, x.cols, (int64_t)x.stride, (int64_t)x.apart, alignment_of(x.data, size * x.apart) };
}

static cublasLtMatrixLayout_t layout(Side x, int64_t batches) {
    cublasLtMatrixLayout_t made;
    int32_t count = (int32_t)batches;
    CUBLAS(cublasLtMatrixLayoutCreate(&made, (cudaDataType)x.type, (uint64_t)x.cols, (uint64_t)x.rows, x.stride));
    CUBLAS(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
    CUBLAS(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &x.apart, sizeof(x.apart)));
    return made;
}

// They are others at each product; cuBLASLt chooses by their alignment.
static void set_pointers(cublasLtMatmulDesc_t what, const Epilogue* e) {
    if (e->bias) { CUBLAS(cublasLtMatmulDescSetAttribute(what, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &e->bias, sizeof(e->bias))); }
    if (e->hidden) { CUBLAS(cublasLtMatmulDescSetAttribute(what, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &e->hidden, sizeof(e->hidden))); }
}

static cublasLtMatmulDesc_t description(const Key* key) {
    cublasLtMatmulDesc_t made;
    cublasLtEpilogue_t epilogue = (cublasLtEpilogue_t)key->epilogue;
    cublasOperation_t left = key->left.turned ? CUBLAS_OP_T : CUBLAS_OP_N, right = key->right.turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    CUBLAS(cublasLtMatmulDescCreate(&made, (cublasComputeType_t)key->compute, CUDA_R_32F));
    CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSA, &right, sizeof(right)));
    CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSB, &left, sizeof(left)));
    CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue)));
    if (key->hidden > 0) { CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &key->out.stride, sizeof(key->out.stride))); }
    return made;
}

static void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, int64_t value) {
    uint32_t word = (uint32_t)value;
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &word, sizeof(word)));
}

// Needs the plan's descriptors. Where a sum is divided between blocks, its parts are added in single precision and a fixed order: not in
// the result itself, which may be bfloat16, as they come. Without GELU there is always an algorithm.
static bool choose(cublasLtMatmulAlgo_t* algorithm, const Plan* p) {
    const size_t workspace = WORKSPACE;
    int found = 0;
    cublasLtMatmulHeuristicResult_t best = {};
    cublasLtMatmulPreference_t preference;
    CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(workspace)));
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p->key.right.alignment);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p->key.left.alignment);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p->key.start > 0 ? p->key.start : p->key.out.alignment);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p->key.out.alignment);
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(device.blas, p->what, p->right, p->left, p->out, p->out, preference, 1, &best, &found);
    bool none = status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0);
    check((status == CUBLAS_STATUS_SUCCESS && found > 0) || (none && p->key.hidden > 0), "cuBLASLt has no product of %lld x %lld and %lld x %lld: %s",
          (long long)p->key.left.rows, (long long)p->key.left.cols, (long long)p->key.right.rows, (long long)p->key.right.cols,
          cublasLtGetStatusString(status));
    CUBLAS(cublasLtMatmulPreferenceDestroy(preference));
    *algorithm = best.algo;
    return !none;
}

static void forget(Plan* p) {
    CUBLAS(cublasLtMatrixLayoutDestroy(p->out));
    CUBLAS(cublasLtMatrixLayoutDestroy(p->left));
    CUBLAS(cublasLtMatrixLayoutDestroy(p->right));
    CUBLAS(cublasLtMatmulDescDestroy(p->what));
}

static void make(Plan* p, const Key* key, const Epilogue* e) {
    p->key = *key;
    p->what = description(key);
    set_pointers(p->what, e);
    p->out = layout(key->out, key->count);
    p->left = layout(key->left, key->count);
    p->right = layout(key->right, key->count);
    p->possible = choose(&p->algorithm, p);
}

// FNV-1a over the numbers.
static size_t hash(const Key* key) {
    int64_t word[sizeof(Key) / sizeof(int64_t)];
    uint64_t sum = 0xcbf29ce484222325u;
    memcpy(word, key, sizeof(Key));
    for (int64_t w : word) { sum = (sum ^ (uint64_t)w) * 0x100000001b3u; }
    return (size_t)(sum >> 32);
}

static Plan* plan(const Key* key, const Epilogue* e) {
    size_t first = hash(key) % PLANS;
    for (size_t way = 0; way < WAYS; way++) {
        Plan* p = &plans[(first + way) % PLANS];
        if (!p->what) { make(p, key, e); return p; }
        if (memcmp(&p->key, key, sizeof(Key)) == 0) { return p; }
    }
    forget(&plans[first]);
    make(&plans[first], key, e);
    return &plans[first];
}

// What a product is added to, or is without anything to sum over. start: in out's strides, or NULL. grid (elements of a matrix / BLOCK; 1; matrices), block (BLOCK)
template <class T>
static __global__ void fill_kernel(T* out, const T* start, const T* bias, int rows, int cols, size_t stride, size_t apart) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k >= (size_t)rows * (size_t)cols) { return; }
    size_t row = k / (size_t)cols, col = k % (size_t)cols, at = blockIdx.z * apart + row * stride + col;
    out[at] = (T)((bias ? (float)bias[col] : 0.0f) + (start ? (float)start[at] : 0.0f));
}

template <class T> static void fill_with(Matrix out, const void* start, const void* bias, int count) {
    dim3 grid(blocks_of((size_t)out.rows * (size_t)out.cols, BLOCK), 1, (unsigned)count);
    fill_kernel<T><<<grid, BLOCK>>>((T*)out.data, (const T*)start, (const T*)bias, out.rows, out.cols, out.stride, out.apart);
    LAUNCHED();
}

static void fill(Matrix out, const void* start, const void* bias, int count) {
    if (out.type == CUDA_R_32F) { fill_with<float>(out, start, bias, count); } else { fill_with<Real>(out, start, bias, count); }
}

// start: NULL, out's own data, or another's. false: nothing was done, as there is no such product with GELU.
static bool multiply(Matrix out, const void* start, Matrix left, Matrix right, Epilogue e, int count) {
    const float zero = 0.0f, one = 1.0f;
    const size_t alignment = 16; // of an epilogue's data, at the least: no preference is for it, cuBLASLt chooses by the pointers themselves
    const size_t row_multiple = 8; // between the rows of what GELU is given, in numbers
    int sum = left.turned ? left.rows : left.cols;
    check((left.turned ? left.cols : left.rows) == out.rows && (right.turned ? right.rows : right.cols) == out.cols
          && (right.turned ? right.cols : right.rows) == sum && left.type == right.type && !out.turned,
          "no product: %d x %d%s and %d x %d%s to %d x %d", left.rows, left.cols, left.turned ? "'" : "",
          right.rows, right.cols, right.turned ? "'" : "", out.rows, out.cols);
    check(start != out.data || !e.bias, "no product: a bias where the product is added");
    if (out.rows == 0 || out.cols == 0 || count == 0) { return true; }
    bool aligned = ((uintptr_t)e.bias | (uintptr_t)e.hidden) % alignment == 0;
    if (e.hidden && (!device.fuses_gelu || !aligned || out.stride % row_multiple != 0 || sum == 0)) { return false; }
    if (sum == 0) {
        if (start != out.data) { fill(out, start, e.bias, count); }
        return true;
    }
    if (!aligned) {
        fill(out, start, e.bias, count);
        e = plain;
        start = out.data;
    }
    Key key = { side(out, count), side(left, count), side(right, count), given(start == out.data ? NULL : start), given(e.hidden), given(e.bias), count, e.kind,
                left.type == CUDA_R_32F ? device.compute : CUBLAS_COMPUTE_32F };
    Plan* p = plan(&key, &e);
    if (!p->possible) { return false; }
    set_pointers(p->what, &e);
    CUBLAS(cublasLtMatmul(device.blas, p->what, &one, right.data, p->right, left.data, p->left, start ? &one : &zero, start ? start : out.data, p->out, (void*)out.data, p->out,
                          &p->algorithm, device.workspace, WORKSPACE, 0));
    return true;
}

static Epilogue with(const void* bias) { return bias ? Epilogue{ CUBLASLT_EPILOGUE_BIAS, bias, NULL } : plain; }

void product(Matrix out, Matrix left, Matrix right, float beta, const void* bias, int count) {
    multiply(out, beta != 0.0f ? out.data : NULL, left, right, with(bias), count);
}

void product_onto(Matrix out, const void* start, Matrix left, Matrix right, const void* bias) { multiply(out, start, left, right, with(bias), 1); }

bool product_gelu(Matrix out, void* hidden, Matrix left, Matrix right, const void* bias) {
    return multiply(out, NULL, left, right, Epilogue{ CUBLASLT_EPILOGUE_GELU_AUX_BIAS, bias, hidden }, 1);
}

bool product_gelu_backward(Matrix out, const void* hidden, Matrix left, Matrix right) {
    return multiply(out, NULL, left, right, Epilogue{ CUBLASLT_EPILOGUE_DGELU, NULL, hidden }, 1);
}
