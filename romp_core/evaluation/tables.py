"""The layout of the paper's Tables 1 to 6, filled with whatever was evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from romp_core.data.readers.files import read_json
from romp_core.errors import DataError
from romp_core.evaluation.datasets import EVALUATIONS
from romp_core.evaluation.report import GAP, formatted
from romp_core.evaluation.summary import ALL, COLUMNS


@dataclass(frozen=True)
class Cell:
    """Where the number of a column comes from.

    Attributes:
        heading: the column's heading.
        dataset, protocol: keys of `EVALUATIONS`.
        metric: key of `COLUMNS`.
        group: row of the report; None takes its last, which is over everybody.
    """

    heading: str
    dataset: str
    protocol: str
    metric: str
    group: str | None = None

    def published(self) -> dict[str, float]:
        """The paper's numbers: {method: number}."""
        rows = EVALUATIONS[self.dataset][self.protocol].protocol.published
        total = self.group in (None, ALL)
        return {m: row[self.metric] for m, row in rows.items() if total and self.metric in row}

    def measured(self, reports: Sequence["Report"]) -> dict[str, float]:
        """Our numbers: {weights: number}."""
        found = {}
        for report in reports:
            if (report.dataset, report.protocol) == (self.dataset, self.protocol):
                value = report.row(self.group).get(self.metric)
                if value is not None:
                    found[report.name] = value
        return found


@dataclass(frozen=True)
class Table:
    """One of the paper's tables.

    Attributes:
        title: number and subject.
        cells: its columns.
    """

    title: str
    cells: tuple[Cell, ...]


def _columns(dataset: str, protocol: str, *metrics: str, prefix: str = "") -> tuple[Cell, ...]:
    return tuple(Cell(prefix + COLUMNS[m].heading, dataset, protocol, m) for m in metrics)


def _activities() -> tuple[Cell, ...]:
    names = ("haggling", "mafia", "ultimatum", "pizza")
    return tuple(Cell(name, "panoptic", "default", "mpjpe", name) for name in names)


_SUBSETS = tuple(
    Cell(f"3DPW-{name.upper()}", "3dpw", name, "pmpjpe") for name in ("pc", "nc", "oc")
)

TABLES: tuple[Table, ...] = (
    Table(
        "Table 1. 3DPW, protocol 1",
        _columns("3dpw", "1", "mpjpe", "pmpjpe", "pck", "auc", "mpjae", "pmpjae", "found"),
    ),
    Table(
        "Table 2. 3DPW, protocols 2 and 3",
        (
            *_columns("3dpw", "2", "mpjpe", "pmpjpe", "pve", "found", prefix="2: "),
            *_columns("3dpw", "3", "mpjpe", "pmpjpe", "pve", "found", prefix="3: "),
        ),
    ),
    Table(
        "Table 3. CMU Panoptic, MPJPE in mm",
        (*_activities(), Cell("mean", "panoptic", "default", "mpjpe"),
         Cell("found %", "panoptic", "default", "found")),
    ),
    Table("Table 4. Occluded parts of 3DPW, PMPJPE in mm", _SUBSETS),
    Table(
        "Table 5. CrowdPose, AP at OKS 0.5 in %",
        (Cell("test", "crowdpose", "test", "ap50"), Cell("val", "crowdpose", "val", "ap50")),
    ),
    Table(
        "Table 6. Repulsion coefficient: networks trained with different gamma, PMPJPE in mm",
        _SUBSETS,
    ),
)  # fmt: skip
"""Tables 1 to 6. Table 7, the speed, is `speed.speed_table`."""


@dataclass(frozen=True)
class Report:
    """A report.json that `romp-core evaluate` wrote.

    Attributes:
        name: row's name, the weights.
        dataset, protocol: what was evaluated.
        results: {group: {metric: number}}.
    """

    name: str
    dataset: str
    protocol: str
    results: Mapping[str, Mapping[str, float | None]]

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a report.

        Raises:
            DataError: the file is no report.
        """
        content = read_json(path)
        try:
            settings = content["settings"]
            name = Path(settings["weights"]).stem
            return cls(name, settings["dataset"], settings["protocol"], content["results"])
        except (KeyError, TypeError) as error:
            raise DataError(f"{path} is no report of romp-core evaluate: no {error}") from error

    def row(self, group: str | None) -> Mapping[str, float | None]:
        """Numbers of a group, or over everybody; empty where there is no such group."""
        if group is not None:
            return self.results.get(group, {})
        return self.results.get(ALL) or next(iter(self.results.values()), {})


def fill_tables(reports: Sequence[Report]) -> str:
    """Tables 1 to 6 as Markdown: the paper's rows, then ours; gaps are shown as gaps.

    Args:
        reports: whatever was evaluated.
    """
    return "\n".join(_filled(table, reports) for table in TABLES)


def _filled(table: Table, reports: Sequence[Report]) -> str:
    published = [cell.published() for cell in table.cells]
    measured = [cell.measured(reports) for cell in table.cells]
    lines = [["", *(cell.heading for cell in table.cells)], ["---", *["---:"] * len(table.cells)]]
    for columns, mark in ((published, ""), (measured, "**")):
        for name in dict.fromkeys(name for column in columns for name in column):
            values = [
                formatted(column.get(name), cell.metric)
                for column, cell in zip(columns, table.cells, strict=True)
            ]
            lines.append([f"{mark}{name}{mark}", *values])
    if not any(measured):
        lines.append(["**ours: not evaluated**", *[GAP] * len(table.cells)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {table.title}\n\n{body}\n"
