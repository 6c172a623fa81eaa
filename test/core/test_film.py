"""Films of sequences."""

import numpy as np

from romp_core import BodyModel
from romp_core.data.synthetic.film import Film
from romp_core.data.synthetic.sequences import SequenceConfig, make_sequence

HEIGHT, WIDTH = 180, 320


def test_a_film_changes_where_people_are_and_nowhere_else():
    config = SequenceConfig(
        seconds=5, rate=(1, 1), people=(3, 3), gaps=0, drop_share=0, size=(HEIGHT, WIDTH)
    )
    sequence = make_sequence(2, BodyModel.load("open"), config=config)
    frames = np.array(list(Film(sequence, 0).frames()), float)
    assert frames.shape == (len(sequence.stamps), HEIGHT, WIDTH, 3)

    occupied = np.zeros(frames.shape[:3], bool)
    for mask, people in zip(occupied, sequence.everybody, strict=True):
        for x0, y0, x1, y1 in people.boxes.astype(int):
            mask[max(y0 - 8, 0) : y1 + 8, max(x0 - 8, 0) : x1 + 8] = True
    changes = []
    for frame, people in zip(frames, sequence.truth, strict=True):
        for x, y in people.keypoints_2d[:, 6].round().astype(int):  # the middle of the back
            if 0 <= x < WIDTH and 0 <= y < HEIGHT:
                empty = ~occupied[:, y, x]
                changes += list(np.abs(frame[y, x] - frames[empty, y, x]).max(-1))
    assert len(changes) >= 5
    assert np.mean(np.array(changes) > 15) > 0.8
    background = ~occupied.any(0)
    assert np.abs(frames[:, background] - frames[0, background]).mean() < 3
