"""What the channels of the mesh-parameter map are."""

CAMERA_CHANNELS = 3  # raw scale, tx, ty
ROTATION_CHANNELS = 22 * 6  # global orient and 21 body joints, 6D each
BETAS_CHANNELS = 10
SMPL_CHANNELS = ROTATION_CHANNELS + BETAS_CHANNELS
PARAMETER_CHANNELS = CAMERA_CHANNELS + SMPL_CHANNELS

SCALE_BASE = 1.1
"""The camera's scale is this to the power of the map's first channel."""
