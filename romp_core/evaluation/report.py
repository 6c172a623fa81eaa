"""Reports: the numbers as JSON, CSV and Markdown."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.summary import COLUMNS

Rows = Mapping[str, Mapping[str, float | int | None]]
GAP = "-"
"""What stands where there is no number."""


def markdown_table(rows: Rows, metrics: Iterable[str]) -> str:
    """Rows as a Markdown table; unknown numbers are shown as gaps.

    Args:
        rows: {row's name: {measure: number}}.
        metrics: the columns, keys of `COLUMNS`; `pictures` and `people` come first where known.
    """
    counts = [key for key in ("pictures", "people") if any(key in row for row in rows.values())]
    columns = [*counts, *metrics]
    headings = [COLUMNS[key].heading if key in COLUMNS else key for key in columns]
    lines = [["", *headings], ["---", *["---:"] * len(columns)]]
    lines += [
        [name, *(formatted(row.get(key), key) for key in columns)] for name, row in rows.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def formatted(value: float | int | None, metric: str) -> str:
    """A number with the digits of its column."""
    if value is None:
        return GAP
    return f"{value:.{COLUMNS[metric].digits}f}" if metric in COLUMNS else str(value)


def write_report(
    folder: Path,
    protocol: Protocol,
    rows: Rows,
    settings: Mapping[str, Any],
    problems: Iterable[str],
) -> str:
    """`report.json`, `report.csv` and `report.md` in a folder.

    Returns:
        The Markdown text, with the paper's rows beside ours where there are some.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems = list(problems)
    content = {"settings": dict(settings), "results": rows, "problems": problems}
    (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n")
    _write_csv(folder / "report.csv", rows)
    table = markdown_table({**protocol.published, **rows}, protocol.metrics)
    told = "".join(f"- {problem}\n" for problem in problems)
    text = f"# {protocol.title}\n\n{table}\n" + (f"Left out:\n\n{told}" if told else "")
    (folder / "report.md").write_text(text)
    return text


def _write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = list(next(iter(rows.values()), {}))
        writer.writerow(["group", *columns])
        for name, row in rows.items():
            writer.writerow([name, *(row.get(key) for key in columns)])
