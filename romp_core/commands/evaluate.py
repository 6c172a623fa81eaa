"""`romp-core evaluate`: how well a network finds and poses people."""

from pathlib import Path

from romp_core.evaluation.datasets import Place, find_evaluation
from romp_core.evaluation.pictures import draw_result
from romp_core.evaluation.report import write_report
from romp_core.evaluation.runner import RESULTS_FILE, Evaluator, ResultFile
from romp_core.evaluation.summary import summarize
from romp_core.media import write_image
from romp_core.model import load
from romp_core.render.overlay import Renderer


def evaluate(
    dataset: str = "synthetic",
    root: Path | None = None,
    weights: str = "open",
    protocol: str | None = None,
    out: Path = Path("evaluation"),
    body: str = "open",
    device: str | None = None,
    smpl: Path | None = None,
    runtime: str = "auto",
    threshold: float = 0.2,
    count: int | None = None,
    batch: int = 8,
    overlays: int = 0,
) -> None:
    """Measure a network on a data set; print and write the paper's rows beside its own.

    Writes report.md, report.json and report.csv, and a line per picture to pictures.jsonl, with
    which an interrupted evaluation goes on.

    Args:
        dataset: Name of the data set.
        root: Folder of the data set; the synthetic one can do without.
        weights: "open", or a weights file.
        protocol: Name of one of the data set's protocols; by default its first.
        out: Folder to write to; made if need be.
        body: "open", or an SMPL file (.npz, .pkl, packed .pth).
        device: cpu, cuda, ...; by default a GPU where there is one.
        smpl: Folder of SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, which some sets are given in.
        runtime: What runs the network; "auto" takes the fastest there is.
        threshold: Confidence that a person must exceed.
        count: Only so many pictures, spread evenly over the set.
        batch: Pictures per forward pass.
        overlays: So many pictures are drawn with their results.

    Raises:
        FileNotFoundError: The weights, the body, or files of the data set do not exist.
        DataError: The data set is damaged, or the folder holds another evaluation's results.
        ConfigError: There is no such data set or protocol.
    """
    evaluation = find_evaluation(dataset, protocol)
    romp = load(weights, device=device, runtime=runtime, body=body, center_threshold=threshold)
    datasets = evaluation.open(Place(root, smpl))
    evaluator = Evaluator(romp, datasets, evaluation.protocol, count=count, batch=batch)
    settings = {
        "dataset": dataset,
        "protocol": protocol,
        "weights": weights,
        "body": romp.body.id,
        "threshold": threshold,
        "count": count,
    }
    file = ResultFile(out / RESULTS_FILE, settings)
    results = file.resume()
    overlay_folder = out / "overlays"
    renderer = Renderer() if overlays else None
    if renderer is not None:
        overlay_folder.mkdir(exist_ok=True)
    for picture in evaluator.run(skip=[result.index for result in results]):
        file.add(picture.result)
        results.append(picture.result)
        if renderer is not None and len(results) <= overlays:
            drawn = draw_result(
                renderer,
                picture.sample,
                picture.people,
                picture.result,
                romp.body,
                picture.keypoints,
            )
            write_image(overlay_folder / f"{picture.index:06}.jpg", drawn)
    problems = [f"{d.name}: {problem}" for d in datasets for problem in d.problems]
    print(
        write_report(
            out, evaluation.protocol, summarize(results, evaluation.protocol), settings, problems
        )
    )
