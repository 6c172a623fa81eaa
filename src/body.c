/* What a posed body costs most of on a CPU: the Python module romp_core_compiled, for
   romp_core.body.compiled.

   Posing one person's 6,890 vertices takes 30 microseconds of a server's core. In torch the same
   needs several passes over every vertex's blended transform, which leaves the cache between
   them. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/* One version per instruction set, the best one picked when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

enum { COORDINATES = 3, ROWS = 4, NUMBERS = 4 * ROWS, ROTATION = 9 };

/* So many people, points or joints at most: products of sizes never overflow. */
enum { MOST = 1 << 20 };

/* A transform is four columns of four rows: three of a rotation's and the shift. The last row
   does not count. Columns lie at any address. */
typedef float column __attribute__((vector_size(4 * ROWS), aligned(4), may_alias));

/* The rotation about an axis by its length in radians (Rodrigues), by way of a quaternion. */
static void rotate(const float *restrict axis_angle, float *restrict matrix)
{
    const double angle = sqrt((double)axis_angle[0] * axis_angle[0] +
                              (double)axis_angle[1] * axis_angle[1] +
                              (double)axis_angle[2] * axis_angle[2]);
    const double share = angle > 0 ? sin(0.5 * angle) / angle : 0.5, w = cos(0.5 * angle);
    const double x = share * axis_angle[0], y = share * axis_angle[1], z = share * axis_angle[2];
    const double found[ROTATION] = {
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
        2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y),
    };
    for (int i = 0; i < ROTATION; i++) {
        matrix[i] = (float)found[i];
    }
}

/* One person's transforms from the rest pose to the posed body. Parents come before children. */
static void compose_person(const int64_t *restrict parents, const float *restrict rotations,
                           const float *restrict rest, float *restrict transforms,
                           Py_ssize_t joints, Py_ssize_t points)
{
    for (Py_ssize_t joint = 0; joint < joints; joint++) {
        const float *rotation = rotations + ROTATION * joint;
        column *world = (column *)(transforms + NUMBERS * joint);
        /* A joint alone turns the body about where it rests. */
        column local[4] = {{0}};
        for (int row = 0; row < COORDINATES; row++) {
            local[3][row] = rest[row * points + joint];
            for (int i = 0; i < COORDINATES; i++) {
                local[i][row] = rotation[COORDINATES * row + i];
                local[3][row] -= local[i][row] * rest[i * points + joint];
            }
        }
        if (parents[joint] < 0) {
            memcpy(world, local, sizeof local);
            continue;
        }
        const column *above = (const column *)(transforms + NUMBERS * parents[joint]);
        for (int i = 0; i < 4; i++) {
            world[i] = above[0] * local[i][0] + above[1] * local[i][1] + above[2] * local[i][2];
        }
        world[3] += above[3];
    }
}

/* One person's points: first all x, then all y and all z of the rest pose; of each point the
   joints that it follows, and how much. */
FOR_EVERY_PROCESSOR
static void skin_person(const float *restrict resting, const float *restrict transforms,
                        const uint8_t *restrict joints, const float *restrict weights,
                        float *restrict posed, Py_ssize_t points, Py_ssize_t followed)
{
    const float *x = resting, *y = x + points, *z = y + points;
    for (Py_ssize_t point = 0; point < points; point++) {
        /* Four short vectors: a long one is kept in memory where registers are short. */
        column first = {0}, second = {0}, third = {0}, shift = {0};
        for (Py_ssize_t k = point * followed; k < (point + 1) * followed; k++) {
            const column *columns = (const column *)(transforms + NUMBERS * joints[k]);
            first += weights[k] * columns[0];
            second += weights[k] * columns[1];
            third += weights[k] * columns[2];
            shift += weights[k] * columns[3];
        }
        column place = first * x[point] + second * y[point] + third * z[point] + shift;
        for (int i = 0; i < COORDINATES; i++) {
            posed[COORDINATES * point + i] = place[i];
        }
    }
}

/* Whether a number of people, points or joints is one; else ValueError is set. */
static int count(const char *name, Py_ssize_t number)
{
    if (number < 0 || number > MOST) {
        PyErr_Format(PyExc_ValueError, "%zd %s; expected 0 to %d", number, name, MOST);
        return 0;
    }
    return 1;
}

/* Whether arrays hold as many numbers as expected; else ValueError is set. */
static int fit(int arrays, const Py_buffer *const *buffers, const size_t *bytes)
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

static void release(int arrays, Py_buffer *buffers)
{
    for (int i = 0; i < arrays; i++) {
        PyBuffer_Release(&buffers[i]);
    }
}

static PyObject *rotations(PyObject *self, PyObject *arguments)
{
    (void)self;
    Py_buffer vectors, matrices;
    Py_ssize_t joints;
    if (!PyArg_ParseTuple(arguments, "ny*w*", &joints, &vectors, &matrices)) {
        return NULL;
    }
    const size_t numbers = (size_t)joints * sizeof(float);
    const Py_buffer *const buffers[] = {&vectors, &matrices};
    const size_t bytes[] = {numbers * COORDINATES, numbers * ROTATION};
    const int good = count("joints", joints) && fit(2, buffers, bytes);
    for (Py_ssize_t joint = 0; good && joint < joints; joint++) {
        rotate((const float *)vectors.buf + COORDINATES * joint,
               (float *)matrices.buf + ROTATION * joint);
    }
    Py_buffer all[] = {vectors, matrices};
    release(2, all);
    if (!good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *compose(PyObject *self, PyObject *arguments)
{
    (void)self;
    Py_buffer parents, rotations, rest, transforms;
    Py_ssize_t people, points;
    if (!PyArg_ParseTuple(arguments, "nny*y*y*w*", &people, &points, &parents, &rotations, &rest,
                          &transforms)) {
        return NULL;
    }
    const Py_ssize_t joints = parents.len / (Py_ssize_t)sizeof(int64_t);
    const size_t numbers = (size_t)people * sizeof(float); /* wraps where count() refuses */
    const Py_buffer *const buffers[] = {&rotations, &rest, &transforms};
    const size_t bytes[] = {numbers * (size_t)joints * ROTATION,
                            numbers * COORDINATES * (size_t)points,
                            numbers * (size_t)joints * NUMBERS};
    int good = count("people", people) && count("points", points) && count("joints", joints) &&
               fit(3, buffers, bytes);
    const int64_t *above = parents.buf;
    for (Py_ssize_t joint = 0; good && joint < joints; joint++) {
        good = above[joint] >= -1 && above[joint] < joint;
        if (!good) {
            PyErr_SetString(PyExc_ValueError, "a joint's parent does not come before it");
        }
    }
    if (good && joints > points) {
        good = 0;
        PyErr_SetString(PyExc_ValueError, "there are fewer points than joints");
    }
    for (Py_ssize_t person = 0; good && person < people; person++) {
        compose_person(above, (const float *)rotations.buf + person * joints * ROTATION,
                       (const float *)rest.buf + person * points * COORDINATES,
                       (float *)transforms.buf + person * joints * NUMBERS, joints, points);
    }
    Py_buffer all[] = {parents, rotations, rest, transforms};
    release(4, all);
    if (!good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *skin(PyObject *self, PyObject *arguments)
{
    (void)self;
    Py_buffer resting, transforms, joints, weights, posed;
    Py_ssize_t people, points, bones;
    if (!PyArg_ParseTuple(arguments, "nnny*y*y*y*w*", &people, &points, &bones, &resting,
                          &transforms, &joints, &weights, &posed)) {
        return NULL;
    }
    const size_t numbers = (size_t)people * sizeof(float); /* wraps where count() refuses */
    const Py_ssize_t followed = points > 0 ? joints.len / points : 0;
    const Py_buffer *const buffers[] = {&resting, &transforms, &joints, &weights, &posed};
    const size_t bytes[] = {numbers * (size_t)points * COORDINATES, numbers * (size_t)bones * NUMBERS,
                            (size_t)points * (size_t)followed, (size_t)joints.len * sizeof(float),
                            numbers * (size_t)points * COORDINATES};
    int good = count("people", people) && count("points", points) && count("joints", bones) &&
               count("joints per point", followed) && fit(5, buffers, bytes);
    const uint8_t *follows = joints.buf;
    int last = -1; /* without leaving early, which vectors cannot: 27,560 joints at every call */
    for (Py_ssize_t k = 0; k < joints.len; k++) {
        last = follows[k] > last ? follows[k] : last;
    }
    if (good && last >= bones) {
        good = 0;
        PyErr_SetString(PyExc_ValueError, "a point follows a joint that does not exist");
    }
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t person = 0; person < people; person++) {
            skin_person((const float *)resting.buf + person * points * COORDINATES,
                        (const float *)transforms.buf + person * bones * NUMBERS, follows,
                        weights.buf, (float *)posed.buf + person * points * COORDINATES, points,
                        followed);
        }
        Py_END_ALLOW_THREADS
    }
    Py_buffer all[] = {resting, transforms, joints, weights, posed};
    release(5, all);
    if (!good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"rotations", rotations, METH_VARARGS,
     "rotations(joints, vectors, matrices)\n\n"
     "Fill matrices (joints, 3, 3) from vectors (joints, 3), axis times angle in radians.\n"
     "Contiguous float32 arrays; only their sizes are checked. ValueError: they do not fit."},
    {"compose", compose, METH_VARARGS,
     "compose(people, points, parents, rotations, rest, transforms)\n\n"
     "Fill transforms (people, joints, 4, 4), columns first, from parents (joints,) int64,\n"
     "rotations (people, joints, 3, 3) and rest (people, 3, points), whose first points are the\n"
     "joints. Contiguous arrays, else float32; only their sizes are checked. ValueError: they do\n"
     "not fit."},
    {"skin", skin, METH_VARARGS,
     "skin(people, points, bones, resting, transforms, joints, weights, posed)\n\n"
     "Fill posed (people, points, 3) from resting (people, 3, points), transforms (people, bones,\n"
     "4, 4), columns first, joints (points, K) uint8 and weights (points, K). Contiguous arrays,\n"
     "else float32; only their sizes are checked. ValueError: they do not fit."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "romp_core_compiled",
    .m_doc = "Kinematics and linear blend skinning.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_romp_core_compiled(void)
{
    return PyModule_Create(&definition);
}
