/* What the parts of the Python module romp_core_compiled share: one file per subject, for
   romp_core.compiled. */
#ifndef ROMP_CORE_COMPILED_H
#define ROMP_CORE_COMPILED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* One version per instruction set, the best one picked when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

enum { COORDINATES = 3, ROTATION = 9 };

/* So many threads at most share a convolution. */
enum { MOST_THREADS = 256 };

/* So many people, points, joints or cells at most: products of two sizes never overflow. */
enum { MOST = 1 << 20 };

/* Whether a number of things is one; else ValueError is set. */
static inline int count(const char *name, Py_ssize_t number)
{
    if (number < 0 || number > MOST) {
        PyErr_Format(PyExc_ValueError, "%zd %s; expected 0 to %d", number, name, MOST);
        return 0;
    }
    return 1;
}

/* Whether arrays hold as many bytes as expected; else ValueError is set. */
static inline int fit(int arrays, const Py_buffer *const *buffers, const size_t *bytes)
{
    for (int i = 0; i < arrays; i++) {
        if ((size_t)buffers[i]->len != bytes[i]) {
            PyErr_Format(PyExc_ValueError, "array %d has %zd bytes; expected %zu", i + 1,
                         buffers[i]->len, bytes[i]);
            return 0;
        }
    }
    return 1;
}

/* What a method returns that is done with its arrays. */
static inline PyObject *finish(int good, int arrays, Py_buffer *buffers)
{
    for (int i = 0; i < arrays; i++) {
        PyBuffer_Release(&buffers[i]);
    }
    if (!good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *romp_core_axis_angle_to_matrix(PyObject *self, PyObject *arguments);
PyObject *romp_core_rotation_6d_to_matrix(PyObject *self, PyObject *arguments);
PyObject *romp_core_matrix_to_axis_angle(PyObject *self, PyObject *arguments);
PyObject *romp_core_compose(PyObject *self, PyObject *arguments);
PyObject *romp_core_skin(PyObject *self, PyObject *arguments);
PyObject *romp_core_mean_shift(PyObject *self, PyObject *arguments);
PyObject *romp_core_convolution_lanes(PyObject *self, PyObject *unused);
PyObject *romp_core_has_avx512_bf16(PyObject *self, PyObject *unused);
PyObject *romp_core_has_team(PyObject *self, PyObject *unused);
PyObject *romp_core_convolution_workspace(PyObject *self, PyObject *arguments);
PyObject *romp_core_convolve(PyObject *self, PyObject *arguments);

#endif
