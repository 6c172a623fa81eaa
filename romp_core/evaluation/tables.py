"""The layout of the paper's Tables 1 to 6, filled with whatever was evaluated."""

from collections.abc import Iterable, Mapping, Sequence
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

    def measured(self, reports: Mapping[str, Sequence["Report"]]) -> dict[str, float]:
        """Our numbers: {row's name: number}."""
        found = {}
        for name, report in ((name, each) for name, row in reports.items() for each in row):
            if (report.dataset, report.protocol) == (self.dataset, self.protocol):
                value = report.row(self.group).get(self.metric)
                if value is not None:
                    found[name] = value
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


_VARIANTS = ("input size", "threshold", "count", "body")
"""Settings by which a network's numbers differ, as reports name them."""


@dataclass(frozen=True)
class Report:
    """A report.json that `romp-core evaluate` wrote.

    Attributes:
        dataset, protocol: what was evaluated.
        weights: "open", or the weights file.
        results: {group: {metric: number}}.
        network: what tells networks apart whose files have one name.
        variant: values of `_VARIANTS`.
    """

    dataset: str
    protocol: str
    weights: str
    results: Mapping[str, Mapping[str, float | None]]
    network: str | None = None
    variant: tuple[object, ...] = (None,) * len(_VARIANTS)

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a report.

        Raises:
            DataError: the file is no report.
        """
        content = read_json(path)
        try:
            settings = content["settings"]
            return cls(
                settings["dataset"],
                settings["protocol"],
                str(settings["weights"]),
                content["results"],
                settings.get("network"),
                tuple(settings.get(name) for name in _VARIANTS),
            )
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
        reports: whatever was evaluated. Each network, and each way of running it, has a row.
    """
    rows = _rows(reports)
    return "\n".join(_filled(table, rows) for table in TABLES)


def _rows(reports: Iterable[Report]) -> dict[str, list[Report]]:
    """Reports of one network that was run in one way, by the shortest name that tells it apart."""
    networks: dict[str, list[Report]] = {}
    for report in reports:
        networks.setdefault(report.network or report.weights, []).append(report)
    files = {key: Path(found[0].weights).with_suffix("").parts for key, found in networks.items()}
    rows: dict[str, list[Report]] = {}
    for key, found in networks.items():
        name = _shortest_name(files[key], set(files.values()) - {files[key]})
        if list(files.values()).count(files[key]) > 1:
            name += f" ({key})"
        varied = [len(set(values)) > 1 for values in zip(*(r.variant for r in found), strict=True)]
        for report in found:
            values = zip(_VARIANTS, report.variant, varied, strict=True)
            label = [f"{what} {value}" for what, value, varies in values if varies]
            rows.setdefault(", ".join([name, *label]), []).append(report)
    return rows


def _shortest_name(file: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> str:
    """As much of the end of a path, given by its parts, as no other path ends with."""
    for length in range(1, len(file)):
        if all(other[-length:] != file[-length:] for other in others):
            return "/".join(file[-length:])
    return "/".join(file)


def _filled(table: Table, rows: Mapping[str, Sequence[Report]]) -> str:
    published = [cell.published() for cell in table.cells]
    measured = [cell.measured(rows) for cell in table.cells]
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
