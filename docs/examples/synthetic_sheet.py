"""The sheet in docs/synthetic-data.md: 100 samples, procedural poses and backgrounds."""

from pathlib import Path

import cv2
import numpy as np

from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople

SIDE = 10


def main() -> None:
    """Write docs/images/synthetic-samples.jpg."""
    data = SyntheticPeople(SyntheticConfig(height=144, width=144, varied=True), seed=3)
    pictures = [data[index].image for index in range(SIDE**2)]
    rows = [np.hstack(pictures[start : start + SIDE]) for start in range(0, SIDE**2, SIDE)]
    file = Path(__file__).resolve().parents[1] / "images" / "synthetic-samples.jpg"
    cv2.imwrite(str(file), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
