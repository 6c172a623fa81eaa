/* The Python module romp_core_compiled. */
#include "compiled.h"

#define CONTIGUOUS \
    "Contiguous arrays, else float32; only their sizes are checked. ValueError: they do not fit."

static PyMethodDef methods[] = {
    {"axis_angle_to_matrix", romp_core_axis_angle_to_matrix, METH_VARARGS,
     "axis_angle_to_matrix(rotations, vectors, matrices)\n\n"
     "Fill matrices (rotations, 3, 3) from vectors (rotations, 3) in radians.\n" CONTIGUOUS},
    {"rotation_6d_to_matrix", romp_core_rotation_6d_to_matrix, METH_VARARGS,
     "rotation_6d_to_matrix(rotations, sixes, matrices)\n\n"
     "Fill matrices (rotations, 3, 3) from sixes (rotations, 6), two columns row by row.\n"
     CONTIGUOUS},
    {"matrix_to_axis_angle", romp_core_matrix_to_axis_angle, METH_VARARGS,
     "matrix_to_axis_angle(rotations, matrices, vectors)\n\n"
     "Fill vectors (rotations, 3), in radians, from matrices (rotations, 3, 3).\n" CONTIGUOUS},
    {"compose", romp_core_compose, METH_VARARGS,
     "compose(people, points, parents, rotations, rest, transforms)\n\n"
     "Fill transforms (people, joints, 4, 4), columns first, from parents (joints,) int64,\n"
     "rotations (people, joints, 3, 3) and rest (people, 3, points), whose first points are the\n"
     "joints. " CONTIGUOUS},
    {"skin", romp_core_skin, METH_VARARGS,
     "skin(people, points, bones, resting, transforms, joints, weights, posed)\n\n"
     "Fill posed (people, points, 3) from resting (people, 3, points), transforms (people, bones,\n"
     "4, 4), columns first, joints (points, K) uint8 and weights (points, K). " CONTIGUOUS},
    {"mean_shift", romp_core_mean_shift, METH_VARARGS,
     "mean_shift(number, height, width, least, maps, bell, lever, steps)\n\n"
     "Fill steps (number, 2, height, width), x and y, in units of -1..1 from border to border:\n"
     "sums of maps (number, height, width) under the window bell (an odd number) along one axis\n"
     "and lever along the other, over the sum under bell along both and least. " CONTIGUOUS},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "romp_core_compiled",
    .m_doc = "Rotations, kinematics, skinning and mean shift.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_romp_core_compiled(void)
{
    return PyModule_Create(&definition);
}
