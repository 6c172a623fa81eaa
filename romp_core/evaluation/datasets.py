"""What can be evaluated by name: data sets, each with its protocols."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from romp_core.body.joints import JOINT_SETS
from romp_core.body.model import BodyModel
from romp_core.data.readers import Problems, open_data_set
from romp_core.data.readers.coco import coco_style
from romp_core.data.readers.mpi_inf_3dhp import mpi_inf_3dhp_npz
from romp_core.data.readers.mpii import mpii_json
from romp_core.data.readers.panoptic import ACTIVITIES
from romp_core.data.sample import Sample
from romp_core.errors import ConfigError, DataError
from romp_core.evaluation import protocols
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.runner import DataSet

DEFAULT = "default"


class Place(NamedTuple):
    """Where files are.

    Attributes:
        root: the data set's folder.
        smpl: folder of SMPL's bodies; see `read_smpl_bodies`.
    """

    root: Path | None
    smpl: Path | None = None


class Evaluation(NamedTuple):
    """A protocol, and how its pictures are opened.

    Attributes:
        protocol: what counts.
        reader: opens the data sets at a place.
        needs_root: whether there is nothing without a root.
    """

    protocol: Protocol
    reader: Callable[[Place], Sequence[DataSet]]
    needs_root: bool = True

    def open(self, place: Place) -> Sequence[DataSet]:
        """The data sets at a place.

        Raises:
            ConfigError: a folder is needed, and None is given.
            FileNotFoundError, DataError: it is another folder, or the files are damaged.
        """
        root = place.root
        if root is None and self.needs_root:
            raise ConfigError("this data set has files of its own: say where with --root FOLDER")
        if root is not None and not root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}; the root is the data set's folder")
        return self.reader(place)


class SyntheticSet:
    """Synthetic pictures with what evaluation asks of a data set.

    Args:
        root: folder that holds `poses/cmu_poses.npz` and `panoramas`. Where either is missing,
            poses are made up, or backgrounds are rooms and noise: another set, and said to be so.
        preset: see `romp_core.data.synthetic.preset`.
        size: side of the pictures in pixels.
    """

    keypoints = JOINT_SETS["coco17"]
    everybody_annotated = True

    def __init__(self, root: Path | None, preset: str = "held_out", size: int = 512):
        # Rendering needs OpenGL, which other data sets do without.
        from romp_core.data import synthetic

        self.name = f"synthetic {preset}"
        self.problems = Problems()
        base = synthetic.SyntheticConfig(
            height=size,
            width=size,
            poses=self._part(root, "poses/cmu_poses.npz"),
            panoramas=self._part(root, "panoramas"),
            length=1000,
        )
        config, seed = synthetic.preset(preset, base)
        self._pictures = synthetic.SyntheticPeople(config, seed)
        self._body = BodyModel.load(config.body)

    def _part(self, root: Path | None, name: str) -> Path | None:
        path = None if root is None else root / name
        if path is None or not path.exists():
            self.problems.add("missing parts of the synthetic set", name)
            return None
        return path

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        return self._pictures[index]

    def group(self, index: int) -> str:
        """The set's name: there is only one group."""
        return self.name

    def body_of(self, index: int, person: int) -> BodyModel:
        """Everybody's betas belong to one body."""
        return self._body


def sample_photographs(root: Path) -> list[DataSet]:
    """The few photographs with their original annotations, of those data sets that are there.

    Args:
        root: folder that holds `coco`, `crowdpose`, `mpii` and `mpi_inf_3dhp`.

    Raises:
        DataError: none of them is there.
    """
    openers: dict[str, Callable[[Path], DataSet]] = {
        "coco": lambda f: coco_style(f / "test_coco.json", f, name="coco"),
        "crowdpose": lambda f: coco_style(
            f / "test_crowdpose.json", f, JOINT_SETS["crowdpose14"], "crowdpose"
        ),
        "mpii": lambda f: mpii_json(f / "test_mpii.json", f),
        "mpi_inf_3dhp": lambda f: mpi_inf_3dhp_npz(f / "test_3dhp_test.npz", f),
    }
    there = [name for name in openers if (root / name).is_dir()]
    if not there:
        raise DataError(f"{root} holds none of the folders {', '.join(openers)}")
    return [openers[name](root / name) for name in there]


def _read(name: str, **options: str | bool) -> Callable[[Place], Sequence[DataSet]]:
    """Opens one of `romp_core.data.readers`."""
    return lambda place: [open_data_set(name, place.root, smpl=place.smpl, **options)]


def _part_of_3dpw(
    chosen: Callable[[Mapping[str, str]], bool],
) -> Callable[[Place], Sequence[DataSet]]:
    """Opens the frames of 3DPW whose tags are chosen."""
    everything = _read("3dpw", split="all")
    return lambda place: [frames.only(chosen) for frames in everything(place)]


def _panoptic(place: Place) -> Sequence[DataSet]:
    """Opens the four activities that the mean is over, whatever else lies beside them."""
    chosen = []
    for frames in _read("panoptic")(place):
        for record in frames.records:
            if not _is_judged(record.tags):
                frames.problems.add("frames of other activities", record.name)
        chosen.append(frames.only(_is_judged))
    return chosen


def _is_judged(tags: Mapping[str, str]) -> bool:
    return tags["activity"] in ACTIVITIES


EVALUATIONS: dict[str, dict[str, Evaluation]] = {
    "synthetic": {
        DEFAULT: Evaluation(protocols.SYNTHETIC, lambda p: [SyntheticSet(p.root)], False),
        "crowd": Evaluation(
            protocols.SYNTHETIC, lambda p: [SyntheticSet(p.root, "held_out_crowd")], False
        ),
    },
    "samples": {DEFAULT: Evaluation(protocols.PHOTOGRAPHS, lambda p: sample_photographs(p.root))},
    "3dpw": {
        "1": Evaluation(protocols.THREE_DPW_1, _read("3dpw", split="all")),
        "2": Evaluation(protocols.THREE_DPW_2, _read("3dpw", split="test")),
        "3": Evaluation(protocols.THREE_DPW_3, _read("3dpw", split="test")),
        "pc": Evaluation(protocols.THREE_DPW_PC, _part_of_3dpw(protocols.person_occluded)),
        "oc": Evaluation(protocols.THREE_DPW_OC, _part_of_3dpw(protocols.object_occluded)),
        "nc": Evaluation(protocols.THREE_DPW_NC, _part_of_3dpw(protocols.nobody_occluded)),
    },
    "panoptic": {DEFAULT: Evaluation(protocols.PANOPTIC, _panoptic)},
    "mpi_inf_3dhp": {DEFAULT: Evaluation(protocols.MPI_INF_3DHP, _read("mpi_inf_3dhp_test"))},
    "mupots": {DEFAULT: Evaluation(protocols.MUPOTS, _read("mupots"))},
    "crowdpose": {
        "test": Evaluation(protocols.CROWDPOSE_TEST, _read("crowdpose", split="test")),
        "val": Evaluation(protocols.CROWDPOSE_VALIDATION, _read("crowdpose", split="val")),
    },
    "coco": {DEFAULT: Evaluation(protocols.COCO, _read("coco", split="val2017", with_empty=True))},
    "coco_style": {DEFAULT: Evaluation(protocols.USER_DATA, _read("coco_style", with_empty=True))},
}
"""{data set: {protocol: evaluation}}; the first protocol is the default."""


def find_evaluation(dataset: str, protocol: str | None) -> Evaluation:
    """The evaluation of that name.

    Raises:
        ConfigError: there is none; the message lists what there is.
    """
    if dataset not in EVALUATIONS:
        raise ConfigError(
            f"dataset is {dataset!r}; expected one of {', '.join(sorted(EVALUATIONS))}"
        )
    known = EVALUATIONS[dataset]
    name = next(iter(known)) if protocol is None else protocol
    if name not in known:
        raise ConfigError(f"protocol is {name!r}; {dataset} has {', '.join(known)}")
    return known[name]
