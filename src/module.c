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
    {"convolution_lanes", romp_core_convolution_lanes, METH_NOARGS,
     "convolution_lanes()\n\n"
     "Floats that convolutions can have in a register on this processor, best first."},
    {"has_avx512_bf16", romp_core_has_avx512_bf16, METH_NOARGS,
     "has_avx512_bf16()\n\nWhether convolutions can multiply bfloat16 on this processor."},
    {"has_team", romp_core_has_team, METH_NOARGS,
     "has_team()\n\n"
     "Whether an OpenMP was loaded (by torch) whose threads share a convolution."},
    {"convolution_workspace", romp_core_convolution_workspace, METH_VARARGS,
     "convolution_workspace(threads, batch, height, width, inputs, outputs, kernel, stride, scale,\n"
     "winograd, bfloat16, lanes)\n\n"
     "Floats that convolve wants as its workspace. ValueError: it is not possible."},
    {"convolve", romp_core_convolve, METH_VARARGS,
     "convolve(sizes, relu, image, weights, bias, shortcut, result, workspace)\n\n"
     "Fill result (batch, height / stride * scale, width / stride * scale, outputs), rounded up,\n"
     "from image (batch, height, width, inputs), padded with zeros: kernel by kernel pixels times\n"
     "weights, with the bias, each cell repeated scale times both ways, and a shortcut of result's\n"
     "shape added, or None. The shortcut may be the result itself, the image may not. sizes are\n"
     "the arguments of convolution_workspace. Weights (panels, kernel * kernel, inputs, 2 * lanes)\n"
     "are padded with zeros, as is the bias; with winograd they are transformed, 36 instead of 9,\n"
     "with bfloat16 they are (panels, kernel * kernel, inputs / 2, 2 * lanes, 2) of those,\n"
     "transformed 16. " CONTIGUOUS},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "romp_core_compiled",
    .m_doc = "Rotations, kinematics, skinning, mean shift and convolutions.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_romp_core_compiled(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddIntMacro(module, MOST_THREADS) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
