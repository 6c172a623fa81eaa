"""Renders romp_core/assets/check_pictures.jpg: what runtimes are compared on before one is chosen.

Eight pictures of 640x480, two rows of four: synthetic people, near and far, whole and hidden, with
procedural clothes, poses and rooms.
"""

import cv2
import numpy as np

from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople
from romp_core.runtime.guard import CHECK_PICTURES, CHECK_SIZE

COUNT, COLUMNS = 8, 4
MOST_PEOPLE = 6


def main() -> None:
    """Write the sheet."""
    height, width = CHECK_SIZE
    data = SyntheticPeople(SyntheticConfig(height=height, width=width), seed=11)
    pictures: list[np.ndarray] = []
    for index in range(len(data)):
        sample = data[index]
        if 1 <= len(sample.boxes) <= MOST_PEOPLE:
            pictures.append(sample.image)
        if len(pictures) == COUNT:
            break
    rows = [np.hstack(pictures[start : start + COLUMNS]) for start in range(0, COUNT, COLUMNS)]
    cv2.imwrite(str(CHECK_PICTURES), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
