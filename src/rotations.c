/* Rotations of joints from one form to another, as romp_core.geometry.rotations has them. For a
   handful of people the calls of torch cost a hundred times the arithmetic. */
#include "compiled.h"

#include <math.h>

typedef void conversion(const float *from, float *to);

static double length(double x, double y, double z)
{
    return sqrt(x * x + y * y + z * z);
}

/* Unlike fmax it lets pass what is no number. */
static double at_least(double number, double least)
{
    return number < least ? least : number;
}

/* About an axis by its length in radians (Rodrigues), by way of a quaternion. */
static void matrix_of_axis_angle(const float *vector, float *matrix)
{
    const double angle = length(vector[0], vector[1], vector[2]);
    const double share = angle > 0 ? sin(0.5 * angle) / angle : 0.5, w = cos(0.5 * angle);
    const double x = share * vector[0], y = share * vector[1], z = share * vector[2];
    const double found[ROTATION] = {
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
        2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y),
    };
    for (int i = 0; i < ROTATION; i++) {
        matrix[i] = (float)found[i];
    }
}

/* Two columns, row by row, are made orthonormal (Gram-Schmidt); the third is their product. */
static void matrix_of_six(const float *six, float *matrix)
{
    const double least = 1e-6;
    double x[COORDINATES], y[COORDINATES], along = 0;
    const double first = at_least(length(six[0], six[2], six[4]), least);
    for (int i = 0; i < COORDINATES; i++) {
        x[i] = six[2 * i] / first;
        along += x[i] * six[2 * i + 1];
    }
    for (int i = 0; i < COORDINATES; i++) {
        y[i] = six[2 * i + 1] - along * x[i];
    }
    const double second = at_least(length(y[0], y[1], y[2]), least);
    for (int i = 0; i < COORDINATES; i++) {
        y[i] /= second;
    }
    for (int i = 0; i < COORDINATES; i++) {
        const int j = (i + 1) % COORDINATES, k = (i + 2) % COORDINATES;
        matrix[COORDINATES * i] = (float)x[i];
        matrix[COORDINATES * i + 1] = (float)y[i];
        matrix[COORDINATES * i + 2] = (float)(x[j] * y[k] - x[k] * y[j]);
    }
}

/* By way of the best conditioned of four quaternions (Shepperd). */
static void axis_angle_of_matrix(const float *m, float *vector)
{
    const double diagonal[COORDINATES] = {m[0], m[4], m[8]};
    const double trace = diagonal[0] + diagonal[1] + diagonal[2];
    const double skew[COORDINATES] = {(double)m[7] - m[5], (double)m[2] - m[6],
                                      (double)m[3] - m[1]};
    int best = -1;
    double square = 1 + trace, w, found[COORDINATES];
    for (int i = 0; i < COORDINATES; i++) {
        if (1 + 2 * diagonal[i] - trace > square) {
            square = 1 + 2 * diagonal[i] - trace;
            best = i;
        }
    }
    if (best < 0) {
        w = square;
        memcpy(found, skew, sizeof found);
    } else {
        w = skew[best];
        for (int i = 0; i < COORDINATES; i++) {
            found[i] = (double)m[COORDINATES * best + i] + m[COORDINATES * i + best];
        }
        found[best] = square;
    }
    /* Neither its length nor its sign matters to the angle, 0 to pi. */
    const double sine = length(found[0], found[1], found[2]);
    const double angle = 2 * atan2(sine, fabs(w));
    const double share = sine == 0 && !isnan(w) ? 0 : copysign(angle / sine, w);
    for (int i = 0; i < COORDINATES; i++) {
        vector[i] = (float)(share * found[i]);
    }
}

static PyObject *convert(PyObject *arguments, conversion *one, size_t from, size_t to)
{
    Py_buffer given, wanted;
    Py_ssize_t rotations;
    if (!PyArg_ParseTuple(arguments, "ny*w*", &rotations, &given, &wanted)) {
        return NULL;
    }
    const size_t numbers = (size_t)rotations * sizeof(float);
    const Py_buffer *const buffers[] = {&given, &wanted};
    const size_t bytes[] = {numbers * from, numbers * to};
    const Py_ssize_t most = PY_SSIZE_T_MAX / (Py_ssize_t)(ROTATION * sizeof(float));
    int good = rotations >= 0 && rotations <= most;
    if (!good) {
        PyErr_Format(PyExc_ValueError, "%zd rotations; expected 0 to %zd", rotations, most);
    }
    good = good && fit(2, buffers, bytes);
    for (size_t i = 0; good && i < (size_t)rotations; i++) {
        one((const float *)given.buf + from * i, (float *)wanted.buf + to * i);
    }
    Py_buffer all[] = {given, wanted};
    return finish(good, 2, all);
}

PyObject *romp_core_axis_angle_to_matrix(PyObject *self, PyObject *arguments)
{
    (void)self;
    return convert(arguments, matrix_of_axis_angle, COORDINATES, ROTATION);
}

PyObject *romp_core_rotation_6d_to_matrix(PyObject *self, PyObject *arguments)
{
    (void)self;
    return convert(arguments, matrix_of_six, 2 * COORDINATES, ROTATION);
}

PyObject *romp_core_matrix_to_axis_angle(PyObject *self, PyObject *arguments)
{
    (void)self;
    return convert(arguments, axis_angle_of_matrix, ROTATION, COORDINATES);
}
