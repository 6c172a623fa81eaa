"""`romp-core tables`: the paper's tables, out of evaluations and benchmarks."""

from pathlib import Path

from romp_core.evaluation.speed import Speed, draw_speed, speed_table
from romp_core.evaluation.tables import Report, fill_tables


def tables(
    evaluations: Path = Path("out/evaluation"),
    speed: Path | None = None,
    out: Path = Path("out/tables.md"),
) -> None:
    """Make the paper's Tables 1 to 7 with whatever was evaluated; gaps are shown as gaps.

    Args:
        evaluations: Folder with report.json files of romp-core evaluate, at any depth.
        speed: What benchmarks/people.py wrote (out/benchmarks/people.json), for Table 7 and, as
            figure4.png beside the tables, Figure 4.
        out: Markdown file to write.

    Raises:
        FileNotFoundError: There is no such folder or file.
        DataError: A report or the speed is damaged or another file.
    """
    if not evaluations.is_dir():
        raise FileNotFoundError(f"there is no folder {evaluations}")
    reports = [Report.read(path) for path in sorted(evaluations.rglob("report.json"))]
    measured = Speed.read(speed) if speed else None
    text = f"{fill_tables(reports)}\n{speed_table(measured)}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    if measured is not None:
        draw_speed(out.parent / "figure4.png", measured)
    print(text)
