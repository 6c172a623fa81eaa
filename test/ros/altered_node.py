"""The node with a network that does what a test needs: `altered_node.py HOW NODE-ARGUMENTS`.

gate:PATH   each forward pass waits until somebody has opened and closed the FIFO at PATH
endless     a forward pass in torch that does not end
small       too little memory for two images at once
none        too little memory for any image that is not black
recalling   as it is, but ROS4HRI forgets nobody by itself
telling     as it is, but every array of markers and every overlay is told of when it is made
"""

import sys

import torch

from romp_core.render.overlay import Renderer
from romp_core.runtime.dense import DenseNetwork
from ros2_romp import humans
from ros2_romp.markers import MarkerWriter
from ros2_romp.romp_node import main

how, _, path = sys.argv[1].partition(":")
real_forward = DenseNetwork.forward


def forward(self, images):
    if not images.any():  # the one that warms up
        return real_forward(self, images)
    if how == "gate":
        with open(path) as fifo:
            fifo.read()
    elif how == "endless":
        matrix = torch.rand(3000, 3000)
        while True:
            matrix = torch.nn.functional.normalize(matrix @ matrix)
    elif how == "none" or (how == "small" and len(images) > 1):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB.")
    return real_forward(self, images)


def tell(owner, name, what):
    real = getattr(owner, name)

    def telling(*args, **options):
        print(what, flush=True)
        return real(*args, **options)

    setattr(owner, name, telling)


DenseNetwork.forward = forward
if how == "recalling":
    humans.KEPT_S = 1e9
if how == "telling":
    tell(MarkerWriter, "write", "made markers")
    tell(Renderer, "draw_people", "made an overlay")
main(sys.argv[2:])
