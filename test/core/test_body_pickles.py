"""Pickles are read for their arrays and never run."""

import os
import pickle
import struct

import numpy as np
import pytest
import python2_pickle
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from romp_core.body import pickles
from romp_core.body.pickles import as_array, load_pickle
from romp_core.errors import BodyFileError, UnsafePickleError

BASE = np.arange(60, dtype=np.float64).reshape(4, 3, 5)
SPARSE = scipy.sparse.csc_matrix(np.array([[0.0, 2, 0], [1, 0, 3]]))
ARRAYS = {
    "c_order": BASE,
    "fortran_order": np.asfortranarray(BASE[0]),
    "big_endian": np.arange(5, dtype=">u4"),
    "scalar": np.float32(3.5),
    "sparse": SPARSE,
}


class RunsCommand:
    """What an attacker would put into a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def dense(value):
    return value.toarray() if scipy.sparse.issparse(value) else value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_python_3(protocol):
    content = load_pickle(pickle.dumps(ARRAYS, protocol))
    for key, expected in ARRAYS.items():
        np.testing.assert_array_equal(as_array(content[key]), dense(expected))


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_arrays_of_python_2_with_chumpy(protocol):
    selected = np.arange(60).reshape(4, 3, 5)[:, :, :2].ravel()
    chumpy = {
        "wrapped": python2_pickle.Ch(BASE),
        "selected": python2_pickle.Select(python2_pickle.Ch(BASE), selected, (4, 3, 2)),
    }
    content = load_pickle(python2_pickle.dumps(ARRAYS | chumpy, protocol))
    for key, expected in ARRAYS.items():
        np.testing.assert_array_equal(as_array(content[key]), dense(expected))
    np.testing.assert_array_equal(as_array(content["wrapped"]), BASE)
    np.testing.assert_array_equal(as_array(content["selected"]), BASE[:, :, :2])


def test_array_inside_an_object_array():
    content = load_pickle(pickle.dumps(np.array(SPARSE, dtype=object)))
    np.testing.assert_array_equal(as_array(content), SPARSE.toarray())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_command_is_not_run(tmp_path, protocol):
    marker = tmp_path / "marker"
    attack = pickle.dumps({"v_template": RunsCommand(marker)}, protocol)
    with pytest.raises(UnsafePickleError, match=r"posix\.system|nt\.system"):
        load_pickle(attack)
    assert not marker.exists()
    pickle.loads(attack)  # the attack is a real one
    assert marker.exists()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"cnumpy\nndarray.tofile\n.", "numpy.ndarray.tofile"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray.fromfile"),
        (b"cchumpy.ch\nChLambda\n.", "chumpy.ch.ChLambda"),
        (b"cromp_core.body.pickles\npickle\n.", "romp_core.body.pickles.pickle"),
        (b"\x80\x02\x82\x01.", "extension registry"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "extension registry"),
    ],
)
def test_other_names_are_refused(attack, named):
    with pytest.raises(UnsafePickleError, match=named.replace(".", r"\.")):
        load_pickle(attack)


def test_extension_registry_is_refused_even_when_filled(monkeypatch):
    """A code that the process knows already never reaches `find_class`."""
    import copyreg

    monkeypatch.setitem(copyreg._inverted_registry, 200, ("os", "system"))
    monkeypatch.setitem(copyreg._extension_cache, 200, os.system)
    with pytest.raises(UnsafePickleError, match="number 200 of the extension registry"):
        load_pickle(b"\x80\x02\x82\xc8.")


def test_pickle_cannot_change_the_records():
    """BUILD with slot state sets attributes on whatever lies on the stack, classes too."""
    attack = (
        b"\x80\x02cnumpy\ndtype\n"  # a class of ours
        b"N}U\x05valueU\x04ouchs\x86b."  # BUILD with (None, {"value": "ouch"})
    )
    before = pickles._Dtype.value
    with pytest.raises(BodyFileError):
        load_pickle(attack)
    assert pickles._Dtype.value is before


def test_memo_as_large_as_memory():
    assert load_pickle(b"\x80\x02Nr\xff\xff\xff\xff.") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"not a pickle",
        b"\x80\x02",
        b"\x80\x7f.",
        pickle.dumps(BASE)[:-20],
        b"\x80\x02Q.",
    ],
)
def test_damaged(content):
    with pytest.raises(BodyFileError, match="not a readable pickle"):
        load_pickle(content)


@pytest.mark.parametrize(
    "value", [None, "text", {}, [object], np.array([{}, {}], dtype=object), set(), np.dtype("f4")]
)
def test_not_an_array(value):
    try:
        content = load_pickle(pickle.dumps(value))
    except UnsafePickleError:
        return
    if isinstance(value, str):
        assert as_array(content).dtype.kind == "U"
        return
    with pytest.raises(BodyFileError):
        as_array(content)


@pytest.mark.parametrize("field", ["indptr", "indices", "_shape"])
def test_sparse_matrix_with_inconsistent_parts(field):
    broken = SPARSE.copy()
    parts = {
        "indptr": np.array([0, 1, 2, 10**9], np.int32),
        "indices": np.array([0, 1, 7], np.int32),
        "_shape": (10**6, 10**6),
    }
    broken.__dict__[field] = parts[field]
    with pytest.raises(BodyFileError):
        as_array(load_pickle(pickle.dumps(broken)))


def test_array_that_contains_itself():
    """A chumpy array whose content is that same array."""
    attack = b"\x80\x02cchumpy.ch\nCh\n)\x81q\x00}U\x01xh\x00sb."
    with pytest.raises(BodyFileError, match="damaged array"):
        as_array(load_pickle(attack))


SEED = python2_pickle.dumps(
    {"a": BASE[:1, :1], "s": SPARSE, "c": python2_pickle.Ch(np.ones(2)), "n": np.float64(1)}
)
MODERN_SEED = pickle.dumps({"a": BASE[:1, :1], "s": SPARSE, "o": np.array(None)}, 5)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from([SEED, MODERN_SEED]),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 10**6),
)
def test_mutations_only_raise_body_file_errors(seed, edits, length):
    content = bytearray(seed)
    for position, byte in edits:
        content[position % len(content)] = byte
    if length < 10**5:  # sometimes truncated too
        del content[length % len(content) :]
    check_only_body_file_errors(bytes(content))


OPCODES = b"cRbo\x81\x92}]()tsuae0q\x00h\x00NK\x01\x85\x86\x87\x8c\x01x\x93.\x94"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([bytes([code]) for code in OPCODES]),
            st.sampled_from(sorted(pickles._ALLOWED)).map(
                lambda name: b"c" + "\n".join((*name, "")).encode()
            ),
            st.binary(max_size=8).map(lambda text: b"U" + struct.pack("<B", len(text)) + text),
        ),
        max_size=30,
    )
)
def test_random_programs_only_raise_body_file_errors(parts):
    check_only_body_file_errors(b"\x80\x02" + b"".join(parts) + b".")


def check_only_body_file_errors(content):
    try:
        value = load_pickle(content)
    except BodyFileError:
        return
    for item in value.values() if isinstance(value, dict) else [value]:
        try:
            assert as_array(item).dtype != object
        except BodyFileError:
            continue
