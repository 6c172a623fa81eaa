"""Table 7 and Figure 4 of the paper: speed, and speed against the number of people."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from romp_core.data.readers.files import read_json
from romp_core.errors import DataError
from romp_core.evaluation.plots import draw
from romp_core.evaluation.report import GAP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PUBLISHED = {"paper, ResNet 50": 30.9, "paper, HRNet 32": 20.8}
_PAPERS_MACHINE = "GTX 1070 Ti"


@dataclass(frozen=True)
class Speed:
    """What benchmarks/people.py measured.

    Attributes:
        machine: processor and device.
        rates: {network: {number of people: pictures per second}}.
    """

    machine: str
    rates: dict[str, dict[int, float]]

    @classmethod
    def read(cls, path: Path) -> "Speed":
        """Read out/benchmarks/people.json.

        Raises:
            FileNotFoundError: there is no such file.
            DataError: it is another file, or damaged.
        """
        content = read_json(path)
        try:
            results = content["results"]
            rates = {
                network: {int(n): 1000 / row["median"] for n, row in rows.items()}
                for network, rows in results["end to end by people"].items()
            }
            return cls(f"{content['machine']['processor']}, {results['device']}", rates)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no result of benchmarks/people.py: no {error}") from error


def speed_table(speed: Speed | None) -> str:
    """Table 7 as Markdown: pictures per second with one person, the paper's and ours.

    Args:
        speed: None shows a gap.
    """
    lines = [["", "machine", "pictures / s"], ["---", "---", "---:"]]
    lines += [[name, _PAPERS_MACHINE, f"{rate:.1f}"] for name, rate in _PUBLISHED.items()]
    if speed is None:
        lines.append(["**ours: not measured**", GAP, GAP])
    else:
        for name, rates in speed.rates.items():
            lines.append([f"**{name}**", speed.machine, f"{rates[min(rates)]:.1f}"])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## Table 7. Speed\n\n{body}\n"


def draw_speed(path: Path, speed: Speed) -> Path:
    """Figure 4: pictures per second against the number of people.

    Raises:
        ConfigError: matplotlib is not installed.
    """

    def plot(axes: "Axes") -> None:
        for name, rates in speed.rates.items():
            axes.plot(list(rates), list(rates.values()), marker="o", label=name)
        axes.set(
            xlabel="people in the picture",
            ylabel="pictures / s",
            title=speed.machine,
            ylim=(0, None),
        )
        axes.legend()

    return draw(path, plot)
