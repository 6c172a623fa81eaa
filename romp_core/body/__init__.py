"""The SMPL-form body: joint names, file readers and the batched layer."""
