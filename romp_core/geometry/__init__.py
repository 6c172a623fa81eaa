"""Rotations, alignment and cameras: batched, differentiable, free of state."""
