"""`romp-core tables`: the paper's tables, out of evaluations and benchmarks."""

from pathlib import Path

from romp_core.errors import DataError
from romp_core.evaluation.tables import Report, fill_tables, speed_table


def tables(
    evaluations: Path = Path("out/evaluation"),
    benchmarks: Path | None = None,
    out: Path = Path("out/tables.md"),
) -> None:
    """Make the paper's Tables 1 to 7 with whatever was evaluated; gaps are shown as gaps.

    Args:
        evaluations: Folder with report.json files of romp-core evaluate, at any depth.
        benchmarks: Folder of the benchmarks' results, for the speed of Table 7.
        out: Markdown file to write.

    Raises:
        FileNotFoundError: There is no such folder.
        DataError: A report is damaged, or the folder of benchmarks holds none.
    """
    for folder in (evaluations, benchmarks):
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
    reports = [Report.read(path) for path in sorted(evaluations.rglob("report.json"))]
    timings = sorted(benchmarks.glob("*.json")) if benchmarks else []
    if benchmarks and not timings:
        raise DataError(f"{benchmarks} holds no .json of the benchmarks")
    text = f"{fill_tables(reports)}\n{speed_table(timings)}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    print(text)
