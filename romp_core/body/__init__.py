"""The SMPL-form body: joint names, file readers and the batched layer."""

from romp_core.body.data import BodyData
from romp_core.body.files import read_body, write_body
from romp_core.body.model import BodyModel, BodyOutput

__all__ = ["BodyData", "BodyModel", "BodyOutput", "read_body", "write_body"]
