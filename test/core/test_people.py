"""People: shapes, indexing, files."""

import numpy as np
import pytest

from romp_core import People
from romp_core.errors import DataError


def make_people(count: int, vertices: int = 5, joints: int = 24) -> People:
    rng = np.random.default_rng(count)
    fields = {
        name: rng.normal(size=(count, *value.shape[1:])).astype(value.dtype)
        for name, value in vars(People.empty(vertices, joints)).items()
    }
    return People(**fields | {"track_ids": np.arange(1, count + 1)})


def test_indexing_keeps_all_fields_together():
    people = make_people(4)
    assert len(people) == 4
    for index, expected in [
        (people.track_ids > 2, [3, 4]),
        ([2, 0], [3, 1]),
        (np.array([3]), [4]),
        (slice(1, 3), [2, 3]),
        (-1, [4]),
        (np.array(2), [3]),
        ([], []),
        (np.zeros(4, bool), []),
    ]:
        chosen = people[index]
        assert chosen.track_ids.tolist() == expected
        np.testing.assert_array_equal(chosen.vertices, people.vertices[np.array(expected, int) - 1])
    assert [one.track_ids.tolist() for one in people] == [[1], [2], [3], [4]]


@pytest.mark.parametrize("index", [4, -5, np.ones(3, bool)], ids=str)
def test_wrong_indices_are_refused(index):
    with pytest.raises(IndexError):
        make_people(4)[index]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_saved_people_load_unchanged(count, tmp_path):
    people = make_people(count)
    people.save(tmp_path / "people.npz")
    again = People.load(tmp_path / "people.npz")
    for name, value in vars(people).items():
        np.testing.assert_array_equal(getattr(again, name), value)
        assert getattr(again, name).dtype == value.dtype


def test_damaged_and_foreign_files_are_named(tmp_path):
    damaged, foreign = tmp_path / "damaged.npz", tmp_path / "foreign.npz"
    make_people(2).save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:200])
    np.savez(foreign, something=np.zeros(3))
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    for path in (damaged, foreign, text):
        with pytest.raises(DataError, match=path.name) as caught:
            People.load(path)
        assert "pickle" not in str(caught.value)  # NumPy advises to run it
    with pytest.raises(FileNotFoundError):
        People.load(tmp_path / "missing.npz")


def test_fields_of_unequal_length_are_refused():
    fields = vars(make_people(3)) | {"betas": np.zeros((2, 10), np.float32)}
    with pytest.raises(ValueError, match=r"betas has shape \(2, 10\); expected \(3, 10\)"):
        People(**fields)
    fields = vars(make_people(3)) | {"keypoints_2d": np.zeros((3, 30, 2), np.float32)}
    with pytest.raises(ValueError, match="keypoints_2d"):
        People(**fields)
