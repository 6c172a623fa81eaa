"""The body-center heatmap: how it is drawn for training and read in inference."""

from romp_core.center_map.decode import (
    Centers,
    Detections,
    cell_positions,
    decode,
    find_centers,
    sample_params,
)
from romp_core.center_map.encode import body_centers, encode, kernel_radii, repel_centers

__all__ = [
    "Centers",
    "Detections",
    "body_centers",
    "cell_positions",
    "decode",
    "encode",
    "find_centers",
    "kernel_radii",
    "repel_centers",
    "sample_params",
]
