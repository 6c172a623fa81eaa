"""The body-center heatmap: how it is drawn for training and read in inference."""

from romp_core.center_map.decode import Detections, decode
from romp_core.center_map.encode import body_centers, encode, kernel_radii, repel_centers

__all__ = ["Detections", "body_centers", "decode", "encode", "kernel_radii", "repel_centers"]
