/* Convolutions over maps whose channels lie together, for romp_core.runtime.convolutions: of three
   by three pixels by Winograd's minimal filtering (Lavin and Gray, Fast Algorithms for
   Convolutional Neural Networks, CVPR 2016), others directly. Maps are float32; factors may be
   bfloat16 on processors that multiply it faster. The former multiplies a quarter as often in
   float32, four ninths as often in bfloat16. */
#include "compiled.h"

#ifdef __linux__
#include <dlfcn.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Tiles that a thread works on at once, a multiple of MOST_ROWS cells that are multiplied at once.
   PAD keeps those of the 36 (16) products from all falling into the same sets of a cache. */
enum { TILES = 16, MOST_ROWS = 8, PAD = 32 };

/* Weights of so many bytes stay in a cache while a row's cells are computed one after the other. */
enum { KEPT_WEIGHTS = 1 << 18 };

struct convolution {
    Py_ssize_t threads, batch, height, width, inputs, outputs, kernel, stride, scale;
    Py_ssize_t result_height, result_width; /* before the enlargement */
    int winograd, bfloat16, relu, lanes;
    const float *image, *bias, *shortcut;
    const void *weights;
    float *result, *workspace;
    size_t workspace_each; /* floats per thread */
    Py_ssize_t taken[MOST_THREADS]; /* units of each thread's share */
};

/* A thread at work. It has a share of its own, always the same part of the maps, which its caches
   then know, and steals from the others' when it is through. */
struct worker {
    struct convolution *c;
    Py_ssize_t units;
    int thread, finished_shares;
};

struct place {
    Py_ssize_t image, y, x;
};

/* The next unit; -1: there are none left. */
static inline Py_ssize_t next(struct worker *worker)
{
    struct convolution *c = worker->c;
    for (; worker->finished_shares < c->threads; worker->finished_shares++) {
        const Py_ssize_t share = (worker->thread + worker->finished_shares) % c->threads;
        const Py_ssize_t first = worker->units * share / c->threads;
        const Py_ssize_t end = worker->units * (share + 1) / c->threads;
        const Py_ssize_t taken = __atomic_fetch_add(&c->taken[share], 1, __ATOMIC_RELAXED);
        if (first + taken < end) {
            return first + taken;
        }
    }
    return -1;
}

static inline Py_ssize_t panels(const struct convolution *c)
{
    return (c->outputs + 2 * c->lanes - 1) / (2 * c->lanes);
}

/* Cells of a tile in a row. */
static inline Py_ssize_t tile_side(const struct convolution *c)
{
    return c->bfloat16 ? 2 : 4;
}

static inline Py_ssize_t tiles_across(const struct convolution *c)
{
    return (c->width + tile_side(c) - 1) / tile_side(c);
}

static inline Py_ssize_t tiles_down(const struct convolution *c)
{
    return (c->height + tile_side(c) - 1) / tile_side(c);
}

static inline Py_ssize_t tiles(const struct convolution *c)
{
    return c->batch * tiles_down(c) * tiles_across(c);
}

static inline Py_ssize_t tile_chunks(const struct convolution *c)
{
    return (tiles(c) + TILES - 1) / TILES;
}

static inline struct place place_of(const struct convolution *c, Py_ssize_t tile)
{
    const Py_ssize_t across = tiles_across(c), each = tiles_down(c) * across;
    return (struct place){tile / each, tile % each / across * tile_side(c),
                          tile % across * tile_side(c)};
}

/* Into so many parts the panels are divided, each of which transforms the tiles again. */
static inline Py_ssize_t panel_groups(const struct convolution *c)
{
    const Py_ssize_t chunks = tile_chunks(c), wanted = 2 * c->threads;
    const Py_ssize_t groups = (wanted + chunks - 1) / chunks;
    return groups < panels(c) ? groups : panels(c);
}

/* Whether pixels are multiplied where they lie. */
static inline int reads_in_place(const struct convolution *c)
{
    return !c->bfloat16 && c->kernel == 1 && c->stride == 1 && c->width % MOST_ROWS == 0;
}

/* Pixels that a row takes with all that the last cells reach. */
static inline Py_ssize_t row_of_pixels(const struct convolution *c)
{
    if (reads_in_place(c)) {
        return c->width;
    }
    const Py_ssize_t read = (c->result_width + MOST_ROWS - 1) * c->stride + c->kernel;
    const Py_ssize_t written = c->width + c->kernel / 2;
    return read > written ? read : written;
}

#define JOINED(name, suffix) name##_##suffix

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx512f,fma")))
#define LANES 16
#define ROWS 8
#define WITH(name) JOINED(name, avx512)
#include "convolution_kernels.h"

#define BFLOAT16
#define TARGET __attribute__((target("avx512f,avx512bf16,avx512vl,fma")))
#define LANES 16
#define ROWS 8
#define WITH(name) JOINED(name, bfloat16)
#include "convolution_kernels.h"
#undef BFLOAT16

#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 4
#define WITH(name) JOINED(name, avx2)
#include "convolution_kernels.h"
#endif

/* What any processor has, and on Arm, which has twice as many registers as x86, the best. */
#define TARGET
#define LANES 4
#define ROWS 4
#define WITH(name) JOINED(name, plain)
#include "convolution_kernels.h"

static int supported(Py_ssize_t lanes)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (lanes == 16) {
        return __builtin_cpu_supports("avx512f");
    }
    if (lanes == 8) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
#endif
    return lanes == 4;
}

static int has_avx512_bf16(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

/* OpenMP's entry for a parallel region, in the library that torch has loaded: with threads of our
   own, those of torch would still be spinning on the same cores. NULL: there is none. */
static void (*parallel)(void (*part)(void *), void *job, unsigned threads, unsigned flags);
static int (*thread_number)(void);

static int find_team(void)
{
#ifdef __linux__
    if (parallel != NULL) {
        return 1;
    }
    /* Both of one library: another's threads would all be number 0. */
    Dl_info found;
    void *start = dlsym(RTLD_DEFAULT, "GOMP_parallel"), *number = NULL;
    if (start != NULL && dladdr(start, &found)) {
        void *library = dlopen(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
        number = library == NULL ? NULL : dlsym(library, "omp_get_thread_num");
    }
    if (number != NULL) {
        memcpy(&thread_number, &number, sizeof thread_number);
        memcpy(&parallel, &start, sizeof parallel);
    }
#endif
    return parallel != NULL;
}

/* One thread's part. */
static void work(void *job)
{
    struct convolution *c = job;
    const int thread = c->threads > 1 ? thread_number() : 0;
    /* A thread's own, which its cache knows. */
    float *workspace = c->workspace + c->workspace_each * (size_t)thread;
    switch (c->lanes) {
#if defined(__x86_64__)
    case 16:
        if (c->bfloat16) {
            (c->winograd ? winograd_bfloat16 : direct_bfloat16)(c, workspace, thread);
        } else {
            (c->winograd ? winograd_avx512 : direct_avx512)(c, workspace, thread);
        }
        break;
    case 8:
        (c->winograd ? winograd_avx2 : direct_avx2)(c, workspace, thread);
        break;
#endif
    default:
        (c->winograd ? winograd_plain : direct_plain)(c, workspace, thread);
    }
}

PyObject *romp_core_convolution_lanes(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyObject *all = PyList_New(0);
    for (int lanes = 16; all != NULL && lanes >= 4; lanes /= 2) {
        PyObject *number = supported(lanes) ? PyLong_FromLong(lanes) : NULL;
        if (number != NULL && PyList_Append(all, number) < 0) {
            Py_CLEAR(all);
        }
        Py_XDECREF(number);
    }
    return all;
}

PyObject *romp_core_has_avx512_bf16(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(has_avx512_bf16());
}

PyObject *romp_core_has_team(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyBool_FromLong(find_team());
}

/* Whether sizes are such that nothing overflows, and of a convolution that is possible here; else
   ValueError is set. */
static int possible(struct convolution *c)
{
    const struct {
        const char *name;
        Py_ssize_t number, most;
    } sizes[] = {
        {"threads", c->threads, MOST_THREADS},     {"images", c->batch, 1 << 10},
        {"rows", c->height, 1 << 13},         {"columns", c->width, 1 << 13},
        {"inputs", c->inputs, 1 << 13},       {"outputs", c->outputs, 1 << 13},
        {"pixels of the kernel", c->kernel, 15}, {"pixels of the stride", c->stride, 15},
        {"cells of the scale", c->scale, 64},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].number < 1 || sizes[i].number > sizes[i].most) {
            PyErr_Format(PyExc_ValueError, "%zd %s; expected 1 to %zd", sizes[i].number,
                         sizes[i].name, sizes[i].most);
            return 0;
        }
    }
    if (!supported(c->lanes)) {
        PyErr_Format(PyExc_ValueError, "%d lanes, which this processor does not have", c->lanes);
        return 0;
    }
    if (c->bfloat16 && (c->inputs % 2 != 0 || c->lanes != 16 || !has_avx512_bf16())) {
        PyErr_SetString(PyExc_ValueError, "bfloat16 needs AVX512-BF16, 16 lanes and even inputs");
        return 0;
    }
    if (c->kernel % 2 == 0) {
        PyErr_Format(PyExc_ValueError, "a kernel of %zd pixels; expected an odd number", c->kernel);
        return 0;
    }
    if (c->winograd && (c->kernel != 3 || c->stride != 1 || c->scale != 1 ||
                        c->inputs % c->lanes != 0 || c->outputs % c->lanes != 0)) {
        PyErr_Format(PyExc_ValueError,
                     "Winograd's convolutions have a kernel of 3, stride and scale 1 and "
                     "multiples of %d channels", c->lanes);
        return 0;
    }
    c->result_height = (c->height - 1) / c->stride + 1;
    c->result_width = (c->width - 1) / c->stride + 1;
    const size_t depth = (size_t)c->inputs, panel = 2 * (size_t)c->lanes;
    const size_t points = (size_t)tile_side(c) + 2, bytes = c->bfloat16 ? 2 : sizeof(float);
    const size_t factors =
        c->winograd         ? points * points * (TILES * depth + PAD)
        : reads_in_place(c) ? 0
                            : (size_t)(c->kernel * row_of_pixels(c)) * depth;
    c->workspace_each = factors * bytes / sizeof(float) + PAD;
    c->workspace_each += c->winograd ? points * points * (TILES * panel + PAD) : 0;
    c->workspace_each = (c->workspace_each + PAD - 1) / PAD * PAD;
    return 1;
}

#define SIZES "nnnnnnnnnppi"
#define INTO_SIZES(c)                                                                          \
    &(c).threads, &(c).batch, &(c).height, &(c).width, &(c).inputs, &(c).outputs, &(c).kernel, \
        &(c).stride, &(c).scale, &(c).winograd, &(c).bfloat16, &(c).lanes

PyObject *romp_core_convolution_workspace(PyObject *self, PyObject *arguments)
{
    (void)self;
    struct convolution c = {0};
    if (!PyArg_ParseTuple(arguments, SIZES, INTO_SIZES(c)) || !possible(&c)) {
        return NULL;
    }
    return PyLong_FromSize_t((size_t)c.threads * c.workspace_each);
}

PyObject *romp_core_convolve(PyObject *self, PyObject *arguments)
{
    (void)self;
    struct convolution c = {0};
    Py_buffer image, weights, bias, shortcut, result, workspace;
    if (!PyArg_ParseTuple(arguments, "(" SIZES ")py*y*y*z*w*w*", INTO_SIZES(c), &c.relu, &image,
                          &weights, &bias, &shortcut, &result, &workspace)) {
        return NULL;
    }
    int good = possible(&c);
    if (good) {
        const size_t pixels = (size_t)(c.batch * c.height * c.width);
        const Py_ssize_t rows = c.result_height * c.scale, columns = c.result_width * c.scale;
        const size_t cells = (size_t)(c.batch * rows * columns);
        const size_t filters = (size_t)panels(&c) * 2 * (size_t)c.lanes;
        const Py_ssize_t side = c.winograd ? tile_side(&c) + 2 : c.kernel;
        const size_t factors = filters * (size_t)(side * side * c.inputs);
        const size_t leaving = cells * (size_t)c.outputs * sizeof(float);
        /* Where there is no shortcut, the result stands for it. */
        const Py_buffer *const added = shortcut.buf == NULL ? &result : &shortcut;
        const Py_buffer *const buffers[] = {&image, &weights, &bias, added, &result};
        const size_t bytes[] = {pixels * (size_t)c.inputs * sizeof(float),
                                factors * (c.bfloat16 ? 2 : sizeof(float)),
                                filters * sizeof(float), leaving, leaving};
        good = fit(5, buffers, bytes);
        if (good && (size_t)workspace.len < (size_t)c.threads * c.workspace_each * sizeof(float)) {
            PyErr_Format(PyExc_ValueError, "a workspace of %zd bytes; expected %zu", workspace.len,
                         (size_t)c.threads * c.workspace_each * sizeof(float));
            good = 0;
        }
    }
    if (good) {
        c.image = image.buf;
        c.weights = weights.buf;
        c.bias = bias.buf;
        c.shortcut = shortcut.buf;
        c.result = result.buf;
        c.workspace = workspace.buf;
        c.threads = find_team() ? c.threads : 1;
        Py_BEGIN_ALLOW_THREADS
        if (c.threads > 1) {
            parallel(work, &c, (unsigned)c.threads, 0);
        } else {
            work(&c);
        }
        Py_END_ALLOW_THREADS
    }
    Py_buffer all[] = {image, weights, bias, shortcut, result, workspace};
    return finish(good, 6, all);
}
