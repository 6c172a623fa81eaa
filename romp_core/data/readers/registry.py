"""All readers by name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from romp_core.data.readers.ai_challenger import ai_challenger
from romp_core.data.readers.coco import coco, coco_style
from romp_core.data.readers.crowdhuman import crowdhuman
from romp_core.data.readers.crowdpose import crowdpose
from romp_core.data.readers.human36m import human36m
from romp_core.data.readers.lsp import lsp, lspet
from romp_core.data.readers.mpi_inf_3dhp import mpi_inf_3dhp_test, mpi_inf_3dhp_train
from romp_core.data.readers.mpii import mpii
from romp_core.data.readers.muco import muco
from romp_core.data.readers.mupots import mupots
from romp_core.data.readers.panoptic import panoptic
from romp_core.data.readers.posetrack import posetrack
from romp_core.data.readers.pseudo_labels import attach, eft_fits, spin_fits
from romp_core.data.readers.records import RecordSet
from romp_core.data.readers.smpl_people import read_smpl_bodies
from romp_core.data.readers.three_doh50k import three_doh50k
from romp_core.data.readers.three_dpw import three_dpw
from romp_core.data.readers.up3d import up3d
from romp_core.errors import ConfigError, DataError, RompError


def _user_data(root: Path, *, with_empty: bool = False) -> RecordSet:
    return coco_style(root / "annotations.json", root / "images", with_empty=with_empty)


READERS: dict[str, Callable[..., RecordSet]] = {
    "3doh50k": three_doh50k,
    "3dpw": three_dpw,
    "ai_challenger": ai_challenger,
    "coco": coco,
    "coco_style": _user_data,
    "crowdhuman": crowdhuman,
    "crowdpose": crowdpose,
    "human36m": human36m,
    "lsp": lsp,
    "lspet": lspet,
    "mpi_inf_3dhp": mpi_inf_3dhp_train,
    "mpi_inf_3dhp_test": mpi_inf_3dhp_test,
    "mpii": mpii,
    "muco": muco,
    "mupots": mupots,
    "panoptic": panoptic,
    "posetrack": posetrack,
    "up3d": up3d,
}
"""{name: reader}; a reader's first argument is the root, the others are its options."""

_GIVEN_IN_SMPL = ("3dpw", "up3d")


def open_data_set(
    name: str,
    root: str | Path,
    *,
    smpl: str | Path | None = None,
    fits: str | Path | None = None,
    **options: Any,
) -> RecordSet:
    """A data set by name.

    Args:
        name: one of `READERS`.
        root: its folder.
        smpl: folder of SMPL's bodies, see `read_smpl_bodies`; 3DPW cannot do without, and fits
            and UP-3D have no betas without.
        fits: SPIN's (.npz) or EFT's (.json) fits that attach to the pictures.
        options: the reader's own, such as `split`.

    Raises:
        ConfigError: there is no such data set, option or split, or 3DPW without `smpl`.
        FileNotFoundError, DataError: files are missing, damaged or of another form.
    """
    if name not in READERS:
        raise ConfigError(f"there is no data set {name!r}; expected one of {', '.join(READERS)}")
    bodies = read_smpl_bodies(Path(smpl)) if smpl is not None else None
    if name == "3dpw" and bodies is None:
        raise ConfigError(
            "3DPW's people are given as SMPL's numbers: say with smpl where the folder of "
            "SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE is"
        )
    if name in _GIVEN_IN_SMPL and bodies is not None:
        options["bodies"] = bodies
    try:
        signature(READERS[name]).bind(root, **options)
    except TypeError as error:
        raise ConfigError(f"options of data set {name!r}: {error}") from error
    with _form_told(f"a file of data set {name!r} below {root}"):
        records = READERS[name](Path(root), **options)
    if fits is None:
        return records
    records = replace(records, bodies=bodies or {})
    read = eft_fits if Path(fits).suffix == ".json" else spin_fits
    with _form_told(str(fits)):
        return attach(records, read(Path(fits)), with_betas=bodies is not None)


@contextmanager
def _form_told(what: str) -> Iterator[None]:
    """Readers check what often goes wrong; but a file may hold anything in any place.

    Raises:
        DataError: instead of whatever Python says of what it did not expect.
    """
    try:
        yield
    except RompError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{what} is of another form than the official one ({type(error).__name__}: {error}); "
            "get it again, and see whether the options fit it"
        ) from error
