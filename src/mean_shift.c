/* Steps of the mean shift at every cell of heatmaps, for romp_core.network.evidence: convolutions
   with two windows along the rows, then down the columns. */
#include "compiled.h"

/* Sums along a row, which has as many zeros on either side as the window reaches. */
FOR_EVERY_PROCESSOR
static void sum_along(const float *restrict row, const float *restrict bell,
                      const float *restrict lever, float *restrict mass, float *restrict x,
                      Py_ssize_t width, Py_ssize_t taps)
{
    memset(mass, 0, sizeof(float) * (size_t)width);
    memset(x, 0, sizeof(float) * (size_t)width);
    for (Py_ssize_t tap = 0; tap < taps; tap++) {
        for (Py_ssize_t i = 0; i < width; i++) {
            mass[i] += bell[tap] * row[i + tap];
            x[i] += lever[tap] * row[i + tap];
        }
    }
}

/* Sums down the columns of what `sum_along` found, over the taps that lie within, and the steps. */
FOR_EVERY_PROCESSOR
static void sum_down(const float *restrict masses, const float *restrict xs,
                     const float *restrict bell, const float *restrict lever,
                     float *restrict mass, float *restrict x, float *restrict y,
                     Py_ssize_t width, Py_ssize_t taps, float unit_x, float unit_y)
{
    memset(x, 0, sizeof(float) * (size_t)width);
    memset(y, 0, sizeof(float) * (size_t)width);
    for (Py_ssize_t tap = 0; tap < taps; tap++) {
        for (Py_ssize_t i = 0; i < width; i++) {
            mass[i] += bell[tap] * masses[tap * width + i];
            x[i] += bell[tap] * xs[tap * width + i];
            y[i] += lever[tap] * masses[tap * width + i];
        }
    }
    for (Py_ssize_t i = 0; i < width; i++) {
        x[i] *= unit_x / mass[i];
        y[i] *= unit_y / mass[i];
    }
}

/* One map; `room` is for two maps, a row with zeros on either side and a row. */
static void shift(const float *restrict map, const float *restrict bell,
                  const float *restrict lever, float *restrict steps, float *restrict room,
                  Py_ssize_t height, Py_ssize_t width, Py_ssize_t reach, float least)
{
    float *masses = room, *xs = masses + height * width, *mass = xs + height * width;
    float *row = mass + width;
    memset(row, 0, sizeof(float) * (size_t)(width + 2 * reach));
    for (Py_ssize_t i = 0; i < height; i++) {
        memcpy(row + reach, map + i * width, sizeof(float) * (size_t)width);
        sum_along(row, bell, lever, masses + i * width, xs + i * width, width, 2 * reach + 1);
    }
    for (Py_ssize_t i = 0; i < height; i++) {
        const Py_ssize_t first = i > reach ? i - reach : 0;
        const Py_ssize_t end = i + reach < height ? i + reach + 1 : height;
        const Py_ssize_t skipped = first - (i - reach);
        for (Py_ssize_t j = 0; j < width; j++) {
            mass[j] = least;
        }
        sum_down(masses + first * width, xs + first * width, bell + skipped, lever + skipped, mass,
                 steps + i * width, steps + (height + i) * width, width, end - first,
                 2 / (float)width, 2 / (float)height);
    }
}

PyObject *romp_core_mean_shift(PyObject *self, PyObject *arguments)
{
    (void)self;
    Py_buffer maps, bell, lever, steps;
    Py_ssize_t number, height, width;
    float least;
    if (!PyArg_ParseTuple(arguments, "nnnfy*y*y*w*", &number, &height, &width, &least, &maps,
                          &bell, &lever, &steps)) {
        return NULL;
    }
    const Py_ssize_t taps = bell.len / (Py_ssize_t)sizeof(float), reach = taps / 2;
    int good = count("maps", number) && count("rows", height) && count("columns", width) &&
               count("cells", height * width);
    const size_t numbers = (size_t)number * (size_t)height * (size_t)width * sizeof(float);
    const size_t window = (size_t)(2 * reach + 1) * sizeof(float);
    const Py_buffer *const buffers[] = {&maps, &bell, &lever, &steps};
    const size_t bytes[] = {numbers, window, window, 2 * numbers};
    good = good && fit(4, buffers, bytes);
    float *room = NULL;
    if (good) {
        room = PyMem_Malloc(sizeof(float) * (size_t)(2 * (height + 1) * width + 2 * reach));
        if (room == NULL) {
            good = 0;
            PyErr_NoMemory();
        }
    }
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < number; i++) {
            shift((const float *)maps.buf + i * height * width, bell.buf, lever.buf,
                  (float *)steps.buf + 2 * i * height * width, room, height, width, reach, least);
        }
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(room);
    Py_buffer all[] = {maps, bell, lever, steps};
    return finish(good, 4, all);
}
