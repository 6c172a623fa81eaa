"""Body files of every form: what is read, what is refused, what is written."""

import dataclasses
import os
import pickle
import zipfile

import numpy as np
import pytest
import python2_pickle
import scipy.sparse
import torch
from body_factory import official_arrays, random_body
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from romp_core.body import BodyModel, read_body, write_body
from romp_core.body.joints import (
    LANDMARKS,
    SMPL_LANDMARK_VERTICES,
    VERTEX_LANDMARKS,
)
from romp_core.commands import convert
from romp_core.errors import BodyFileError, UnsafePickleError

ARRAY_FIELDS = (
    "v_template", "shapedirs", "posedirs", "J_regressor", "weights", "parents", "faces",
)  # fmt: skip


@pytest.fixture(scope="module")
def smpl():
    """A body with SMPL's vertex count."""
    return random_body(pose_directions=False)


@pytest.fixture
def tiny():
    return random_body(vertices=12, faces=8)


def assert_same_arrays(found, expected):
    for field in ARRAY_FIELDS:
        ours, theirs = getattr(found, field), getattr(expected, field)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=field)


def packed_tensors(body, extra9, h36m17):
    """The body as the published ROMP packs it."""
    return {
        "v_template": torch.from_numpy(body.v_template),
        "shapedirs": torch.from_numpy(body.shapedirs),
        "posedirs": torch.from_numpy(body.posedirs),
        "J_regressor": torch.from_numpy(body.J_regressor),
        "weights": torch.from_numpy(body.weights),
        "kintree_table": torch.from_numpy(body.parents),
        "f": torch.from_numpy(body.faces).float(),
        "J_regressor_extra9": torch.from_numpy(extra9),
        "J_regressor_h36m17": torch.from_numpy(h36m17),
        "extra_joints_index": torch.tensor(SMPL_LANDMARK_VERTICES),
    }


def write_tiny(body, path, **changes):
    """The body as an official file of the form that the path's ending names."""
    arrays = official_arrays(body) | changes
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".pkl":
        path.write_bytes(python2_pickle.dumps(arrays))
    else:
        tensors = {key: torch.from_numpy(value.astype(np.float64)) for key, value in arrays.items()}
        torch.save(tensors, path)
    return path


FORMS = pytest.mark.parametrize("form", [".npz", ".pkl", ".pth"])


def test_official_npz(smpl, tmp_path):
    path = tmp_path / "SMPL_NEUTRAL.npz"
    arrays = official_arrays(smpl)
    three_hundred = np.concatenate([arrays["shapedirs"], np.ones((6890, 3, 290))], axis=2)
    np.savez(path, **(arrays | {"shapedirs": three_hundred.astype(np.float32)}))
    body = read_body(path)
    assert_same_arrays(body, smpl)
    assert body.name == "SMPL_NEUTRAL"
    assert body.landmark_names == VERTEX_LANDMARKS
    vertices = BodyModel(body)(torch.zeros(1, 72), torch.zeros(1, 10))
    np.testing.assert_allclose(
        vertices.joints[0, 24:], smpl.v_template[list(SMPL_LANDMARK_VERTICES)], atol=1e-6
    )


def test_npz_with_object_arrays(tiny, tmp_path):
    """np.savez stores a sparse matrix as a pickle inside the archive."""
    regressor = scipy.sparse.csc_matrix(tiny.J_regressor.astype(np.float64))
    path = write_tiny(tiny, tmp_path / "SMPL.npz", J_regressor=np.array(regressor, dtype=object))
    assert_same_arrays(read_body(path), tiny)


@pytest.mark.parametrize("protocol", [0, 2])
def test_official_pkl(smpl, tmp_path, protocol):
    arrays = official_arrays(smpl)
    directions = np.arange(6890 * 3 * 12).reshape(6890, 3, 12)
    twelve = np.concatenate([arrays["shapedirs"], np.ones((6890, 3, 2))], axis=2)
    arrays |= {
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "v_template": python2_pickle.Ch(arrays["v_template"]),
        "shapedirs": python2_pickle.Select(
            python2_pickle.Ch(twelve), directions[:, :, :10].ravel(), (6890, 3, 10)
        ),
        "bs_type": "lrotmin",
    }
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(python2_pickle.dumps(arrays, protocol))
    body = read_body(path)
    assert_same_arrays(body, smpl)
    assert body.landmark_names == VERTEX_LANDMARKS


@pytest.mark.parametrize("sparse", [False, True])
def test_packed_pth(smpl, tmp_path, sparse):
    extra9, h36m17 = smpl.landmark_regressor[21:30], smpl.landmark_regressor[30:]
    tensors = packed_tensors(smpl, extra9, h36m17)
    if sparse:
        tensors["J_regressor"] = tensors["J_regressor"].to_sparse()
    path = tmp_path / "SMPL_NEUTRAL.pth"
    torch.save(tensors, path)
    body = read_body(path)
    assert_same_arrays(body, smpl)
    assert body.landmark_names == LANDMARKS
    np.testing.assert_array_equal(body.landmark_regressor[21:], smpl.landmark_regressor[21:])
    one_vertex_each = body.landmark_regressor[:21]
    np.testing.assert_array_equal(one_vertex_each.argmax(axis=1), SMPL_LANDMARK_VERTICES)
    np.testing.assert_array_equal(one_vertex_each.sum(axis=1), 1)


def test_write_and_read(smpl, tmp_path):
    path = tmp_path / "body.npz"
    write_body(smpl, path)
    body = read_body(path)
    assert_same_arrays(body, smpl)
    np.testing.assert_array_equal(body.landmark_regressor, smpl.landmark_regressor)
    assert (body.name, body.landmark_names, body.id) == (smpl.name, LANDMARKS, smpl.id)
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[key].dtype != object for key in archive)
    assert path.stat().st_size < 3e6
    again = tmp_path / "again.npz"
    write_body(body, again)
    assert again.read_bytes() == path.read_bytes()


def test_write_and_read_without_landmarks(tiny, tmp_path):
    bare = dataclasses.replace(
        tiny, landmark_names=(), landmark_regressor=np.zeros((0, 12), np.float32)
    )
    write_body(bare, tmp_path / "body.npz")
    assert read_body(tmp_path / "body.npz").id == bare.id


def test_smplx_evaluates_a_written_file(tmp_path):
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    body = random_body(seed=1)
    write_body(body, tmp_path / "body.npz")
    with np.load(tmp_path / "body.npz", allow_pickle=False) as archive:
        reference = smplx.SMPL("", data_struct=Struct(**archive))
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(2, 72, generator=generator)
    betas = torch.randn(2, 10, generator=generator)
    expected = reference(betas=betas, global_orient=pose[:, :3], body_pose=pose[:, 3:])
    found = BodyModel(body)(pose, betas)
    torch.testing.assert_close(found.vertices, expected.vertices, atol=1e-5, rtol=0)


def test_id_changes_with_any_number(tiny):
    changed = tiny.weights.copy()
    changed[3, 5] += 1e-6
    assert dataclasses.replace(tiny, weights=changed).id != tiny.id
    assert tiny.id.startswith("random-") and len(tiny.id) == len("random-") + 8


class RunsCommand:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", [".npz", ".pkl", ".pth", "old .pth"])
def test_command_in_a_body_file_is_not_run(tiny, tmp_path, form):
    marker = tmp_path / "marker"
    attack = {"v_template": RunsCommand(marker)}
    path = tmp_path / f"SMPL{form.split()[-1]}"
    if form == ".npz":
        attack["v_template"] = np.array(attack["v_template"], dtype=object)
        np.savez(path, **(official_arrays(tiny) | attack))
    elif form == ".pkl":
        path.write_bytes(pickle.dumps(official_arrays(tiny) | attack, 2))
    else:
        attack["weights"] = torch.from_numpy(tiny.weights)
        torch.save(attack, path, _use_new_zipfile_serialization=form == ".pth")
    with pytest.raises(UnsafePickleError, match=r"SMPL\..*asks for (posix|nt)\.system"):
        read_body(path)
    assert not marker.exists()


@FORMS
@pytest.mark.parametrize("key", official_arrays(random_body(12, 8)))
def test_missing_key(tiny, tmp_path, form, key):
    path = write_tiny(tiny, tmp_path / f"SMPL{form}")
    arrays = official_arrays(tiny)
    del arrays[key]
    if form == ".npz":
        np.savez(path, **arrays)
    elif form == ".pkl":
        path.write_bytes(python2_pickle.dumps(arrays))
    else:
        torch.save({name: torch.from_numpy(arrays[name].astype(float)) for name in arrays}, path)
    with pytest.raises(BodyFileError, match=f"lacks {key};"):
        read_body(path)


@FORMS
@pytest.mark.parametrize(
    ("joints", "model"), [(55, "SMPL-X"), (52, r"SMPL\+H"), (16, "MANO"), (5, "FLAME")]
)
def test_other_models_are_named(tiny, tmp_path, form, joints, model):
    table = np.stack([np.arange(joints) - 1, np.arange(joints)])
    path = write_tiny(tiny, tmp_path / f"OTHER{form}", kintree_table=table)
    expected = rf"has {joints} joints \(is it {model}\?\); expected SMPL's 24"
    with pytest.raises(BodyFileError, match=expected):
        read_body(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("v_template", lambda a: a[:-1], r"J_regressor|posedirs|shapedirs"),
        ("v_template", lambda a: a[:, :2], r"v_template has shape \(12, 2\); expected \(12, 3\)"),
        ("shapedirs", lambda a: a[..., :9], r"shapedirs has shape \(12, 3, 9\); expected"),
        ("posedirs", lambda a: a[..., :-1], r"posedirs has shape \(206, 36\); expected \(207, 36"),
        ("posedirs", lambda a: a[..., :0], r"posedirs has shape \(0, 36\)"),
        ("J_regressor", lambda a: a[:23], r"J_regressor has shape \(23, 12\); expected \(24, 12\)"),
        ("weights", lambda a: a * np.nan, "weights holds NaN"),
        ("weights", lambda a: a * 2, "sum to 2 to 2 per vertex; expected 1"),
        ("shapedirs", lambda a: a + np.inf, "shapedirs holds NaN or infinity"),
        ("f", lambda a: a + 10, "vertices 0 to 11"),
        ("f", lambda a: a[:0], "found 0 triangles"),
        ("f", lambda a: a + 0.5, "f holds numbers that are no indices"),
        ("f", lambda a: a * np.nan, "f holds numbers that are no indices"),
        ("kintree_table", lambda a: a[:, ::-1], "parents are"),
        ("weights", lambda a: np.array("none"), "weights is a <U4"),
    ],
)
def test_wrong_arrays(tiny, tmp_path, key, change, message):
    changed = change(official_arrays(tiny)[key])
    path = write_tiny(tiny, tmp_path / "SMPL.npz", **{key: changed})
    with pytest.raises(BodyFileError, match=message):
        read_body(path)


def test_landmarks_out_of_order(tiny):
    with pytest.raises(BodyFileError, match="in that order"):
        dataclasses.replace(tiny, landmark_names=LANDMARKS[::-1])


def test_wrong_landmark_regressor(smpl, tmp_path):
    tensors = packed_tensors(smpl, smpl.landmark_regressor[:9], smpl.landmark_regressor[:14])
    torch.save(tensors, tmp_path / "SMPL_NEUTRAL.pth")
    with pytest.raises(BodyFileError, match=r"\(14, 6890\); expected \(9, 6890\) and \(17, 6890\)"):
        read_body(tmp_path / "SMPL_NEUTRAL.pth")


@FORMS
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated(tiny, tmp_path, form, share):
    path = write_tiny(tiny, tmp_path / f"SMPL{form}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BodyFileError, match=f"SMPL{form}"):
        read_body(path)


@FORMS
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
def test_mutated_files_only_raise_body_file_errors(tmp_path, form, edits):
    path = write_tiny(random_body(vertices=2, faces=2), tmp_path / f"SMPL{form}")
    content = bytearray(path.read_bytes())
    for position, byte in edits:
        # Structure is at both ends of a file, numbers are in the middle.
        content[position % 1000 - 500] = byte
    path.write_bytes(content)
    try:
        read_body(path)
    except BodyFileError:
        return


def test_npy_header_that_promises_too_much(tiny, tmp_path):
    path = write_tiny(tiny, tmp_path / "SMPL.npz")
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
    changed = tmp_path / "changed.npz"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            with target.open(name, "w") as file:
                if name == "weights.npy":
                    np.lib.format.write_array_header_1_0(file, header)
                else:
                    file.write(source.read(name))
    with pytest.raises(BodyFileError, match=r"not a readable \.npz"):
        read_body(changed)


def test_network_weights_in_place_of_a_body(tmp_path):
    torch.save({"backbone.conv1.weight": torch.zeros(1)}, tmp_path / "ROMP.pkl")
    with pytest.raises(BodyFileError, match="network weights"):
        read_body(tmp_path / "ROMP.pkl")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(BodyFileError, match="holds a list; expected a dictionary"):
        read_body(tmp_path / "list.pth")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_body(tmp_path / "SMPL_NEUTRAL.npz")
    with pytest.raises(BodyFileError, match=r"expected one of \.npz, \.pkl, \.pth"):
        read_body(tmp_path / "SMPL_NEUTRAL.obj")
    with pytest.raises(BodyFileError, match=r"written as \.npz"):
        write_body(random_body(12, 8), tmp_path / "body.pkl")
    with pytest.raises(FileNotFoundError, match=r"folder .*missing does not exist"):
        write_body(random_body(12, 8), tmp_path / "missing" / "body.npz")


def test_convert_body(smpl, tmp_path, capsys):
    source = tmp_path / "SMPL_NEUTRAL.pkl"
    source.write_bytes(python2_pickle.dumps(official_arrays(smpl)))
    output = tmp_path / "smpl.npz"
    convert.body(source, output)
    converted = read_body(output)
    assert converted.id == read_body(source).id
    printed = capsys.readouterr().out
    assert converted.id in printed
    assert "6890 vertices, 13776 triangles, 45 joints" in printed
    with pytest.raises(BodyFileError, match="exists"):
        convert.body(source, output)
    convert.body(source, output, overwrite=True)
