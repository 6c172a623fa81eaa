"""CrowdPose: COCO's style with 14 joints, crowdedness per picture, and no areas.

Official files: json/crowdpose_{train,val,trainval,test}.json and one folder `images`. A joint's
third number says only whether it is labeled, not whether it is hidden: heads and necks have 1.
"""

from pathlib import Path

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.coco import coco_style
from romp_core.data.readers.records import RecordSet


def crowdpose(root: Path, split: str = "train") -> RecordSet:
    """CrowdPose's pictures.

    Args:
        root: folder that holds `json/` and `images/`.
        split: "train", "val", "trainval" or "test".

    Raises:
        FileNotFoundError, DataError: see `coco_style`.
    """
    annotations = Path(root) / "json" / f"crowdpose_{split}.json"
    joints = JOINT_SETS["crowdpose14"]
    return coco_style(annotations, Path(root) / "images", joints, "crowdpose", tells_hidden=False)
