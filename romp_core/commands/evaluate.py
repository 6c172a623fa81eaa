"""`romp-core evaluate`: how well a network finds and poses people."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from romp_core.errors import ConfigError, DataError
from romp_core.evaluation.datasets import EVALUATIONS, Place, find_evaluation
from romp_core.evaluation.pictures import draw_result
from romp_core.evaluation.plots import draw_plots
from romp_core.evaluation.precision import difference, in_half_precision
from romp_core.evaluation.processes import Processes
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.report import write_report
from romp_core.evaluation.results import ResultStore
from romp_core.evaluation.runner import Evaluator, spread
from romp_core.evaluation.scoring import PictureResult
from romp_core.evaluation.summary import summarize
from romp_core.evaluation.worst import worst_pictures
from romp_core.media import write_image
from romp_core.model import Romp, load
from romp_core.render.overlay import Renderer


def evaluate(
    dataset: str = "synthetic",
    root: Path | None = None,
    weights: str = "open",
    protocol: str | None = None,
    out: Path = Path("out/evaluation"),
    body: str = "open",
    smpl: Path | None = None,
    device: str | None = None,
    runtime: str = "auto",
    input_size: int | None = None,
    threshold: float = 0.2,
    count: int | None = None,
    batch: int = 8,
    overlays: int = 0,
    worst: bool = False,
    plots: bool = True,
    half: bool = False,
    resume: bool = False,
) -> None:
    """Measure a network on a data set; print and write the paper's rows beside its own.

    Writes report.md, report.json and report.csv, plots where 3D joints are known, and a line per
    picture to pictures.jsonl. Several processes share the work when torchrun starts them:
    torchrun --nproc-per-node 4 -m romp_core.cli evaluate ...

    Args:
        dataset: Name of the data set; a wrong name is answered with the known ones.
        root: Folder of the data set; the synthetic one can do without.
        weights: "open", or a weights file.
        protocol: Name of one of the data set's protocols; by default its first.
        out: Folder to write to; made if need be.
        body: "open", or an SMPL file (.npz, .pkl, packed .pth).
        smpl: Folder of SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, which some sets are given in.
        device: cpu, cuda, ...; by default a GPU where there is one.
        runtime: What runs the network, in float32; "auto" takes the fastest there is.
        input_size: Side of the square that pictures are brought to, a multiple of 64 pixels; by
            default the weights' own.
        threshold: Confidence that a person must exceed.
        count: Only so many pictures, spread evenly over the set.
        batch: Pictures per forward pass.
        overlays: So many pictures are drawn with their results, spread evenly.
        worst: Draw the 12 pictures with the worst people.
        plots: Draw error per joint, PCK curve and error by occlusion.
        half: Also measure the network in half precision, and the difference.
        resume: Go on with an interrupted evaluation in the same folder.

    Raises:
        FileNotFoundError: The weights, the body, or files of the data set do not exist.
        DataError: The data set is damaged, the folder to resume holds another evaluation, or
            results of other machines are not in it.
        ConfigError: There is no such data set or protocol, or a number is too small.
    """
    limits = {"count": (count, 1), "batch": (batch, 1), "overlays": (overlays, 0)}
    for name, (number, least) in limits.items():
        if number is not None and number < least:
            raise ConfigError(f"{name} is {number}; expected at least {least}")
    evaluation = find_evaluation(dataset, protocol)
    processes = Processes.started()
    device = processes.device(device)
    romp = load(
        weights,
        device=device,
        runtime=runtime,
        precision="float32",
        body=body,
        input_size=input_size,
        center_threshold=threshold,
    )
    datasets = evaluation.open(Place(root, smpl))
    settings = {
        "dataset": dataset,
        "protocol": protocol or next(iter(EVALUATIONS[dataset])),
        "root": _absolute(root),
        "smpl": _absolute(smpl),
        "weights": weights,
        "network": _content_hash(romp),
        "body": romp.body.id,
        "input size": romp.network.config.input_size,
        "threshold": threshold,
        "count": count,
    }

    evaluator = Evaluator(
        romp, datasets, evaluation.protocol, count=count, batch=batch, part=processes.part
    )
    store = ResultStore(out, settings, processes.rank)
    results = _results(evaluator, store, processes, resume)
    half_results = None
    if half:
        other = evaluator.with_predictor(in_half_precision(romp))
        store = ResultStore(out / "half", settings, processes.rank)
        half_results = _results(other, store, processes, resume)
    unreadable = processes.gather(evaluator.unreadable)
    pictures = sum(processes.gather([len(evaluator)]))
    processes.close()
    if processes.rank > 0:
        return
    _check_whole(out, pictures - len(unreadable), len(results))
    problems = [f"{d.name}: {problem}" for d in datasets for problem in d.problems]
    problems += [f"unreadable: {line}" for line in unreadable]
    rows = _rows(results, half_results, evaluation.protocol)
    print(write_report(out, evaluation.protocol, rows, settings, problems))
    if plots:
        draw_plots(out, results, evaluation.protocol)
    drawn = spread(len(results), overlays)
    _draw(evaluator, out / "overlays", [results[place].index for place in drawn])
    _draw(evaluator, out / "worst", worst_pictures(results) if worst else [])


def _results(
    evaluator: Evaluator, store: ResultStore, processes: Processes, resume: bool
) -> list[PictureResult]:
    """Results of all pictures of all processes."""
    if not resume and processes.rank == 0:
        store.clear()
    processes.wait()  # nobody writes before the old results are gone
    store.repair()
    for picture in evaluator.run(skip=[result.index for result in store.read()]):
        store.add(picture.result)
    processes.wait()  # nobody reads before all have written
    return store.read()


def _check_whole(out: Path, expected: int, found: int) -> None:
    """Refuse to report on some of the pictures as if they were all."""
    if found < expected:
        raise DataError(
            f"{out} holds results of {found} pictures, not of all {expected}: on several machines, "
            "give a folder that all of them see"
        )


def _rows(
    results: list[PictureResult], half: list[PictureResult] | None, protocol: Protocol
) -> dict[str, dict[str, float | int | None]]:
    rows = summarize(results, protocol)
    if half is not None:
        reference, total = (list(summarize(r, protocol).values())[-1] for r in (results, half))
        rows["in half precision"] = total
        rows["difference"] = difference(total, reference)
    return rows


def _draw(evaluator: Evaluator, folder: Path, indices: Iterable[int]) -> None:
    """Pictures with their results, named by their place in the list and their number.

    Those of an earlier evaluation in the same folder are removed.
    """
    for earlier in folder.glob("[0-9]*-[0-9]*.jpg"):
        earlier.unlink()
    renderer = None
    for place, index in enumerate(indices):
        if renderer is None:
            renderer = Renderer()
            folder.mkdir(parents=True, exist_ok=True)
        picture = evaluator.one(index)
        body = evaluator.predictor.body
        drawn = draw_result(
            renderer, picture.sample, picture.people, picture.result, body, picture.keypoints
        )
        write_image(folder / f"{place:02}-{index:06}.jpg", drawn)


def _absolute(folder: Path | None) -> str | None:
    return None if folder is None else str(folder.resolve())


def _content_hash(romp: Romp) -> str:
    """Eight hexadecimal digits that change with any number of the network."""
    digest = hashlib.sha256()
    for tensor in romp.network.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]
