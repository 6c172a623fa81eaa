/* Kinematics and skinning: what a posed body costs most of on a CPU.

   Posing one person's 6,890 vertices takes 30 microseconds of a server's core. In torch the same
   needs several passes over every vertex's blended transform, which leaves the cache between
   them. */
#include "compiled.h"

enum { ROWS = 4, NUMBERS = 4 * ROWS };

/* A transform is four columns of four rows: three of a rotation's and the shift. The last row
   does not count. Columns lie at any address. */
typedef float column __attribute__((vector_size(4 * ROWS), aligned(4), may_alias));

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

PyObject *romp_core_compose(PyObject *self, PyObject *arguments)
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
    return finish(good, 4, all);
}

PyObject *romp_core_skin(PyObject *self, PyObject *arguments)
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
    return finish(good, 5, all);
}
