"""Writes docs/benchmarks.md out of what the benchmarks left in out/benchmarks."""

import json
import shutil
from pathlib import Path

from common import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = Path("images", "benchmarks")

HEAD = """# Benchmarks

```
make bench         # on the CPU, about ten minutes; writes this page and out/benchmarks/*.json
make bench-cuda    # on an NVIDIA GPU
romp-core bench    # how fast a network is on your machine, by runtime
```

One script per topic, in `benchmarks/`; `--help` explains each. What is compared takes turns within
one run, so that what else the machine does meets all of it alike. Numbers are medians; a range is
from the 10th to the 90th percentile of single runs. The open model has its own weights, other
networks random ones: speed does not depend on them, and the number of people is fixed.

What ran a network is said behind it, as "openvino, bfloat16". Which precisions are exact enough for
`auto` to take them: [runtimes](runtimes.md).
"""


def section(name: str, content: dict) -> str:
    """One benchmark: what it does, what came out, its plot."""
    title, _, rest = content["about"].strip().partition("\n\n")
    rows = [
        "| {what} | {value:.4g} {unit} | {spread} | {goal} | {verdict} |".format(
            **claim, verdict={True: "yes", False: "**no**", None: ""}[claim["holds"]]
        )
        for claim in content["claims"]
    ]
    shutil.copy(RESULTS / f"{name}.png", DOCS / PLOTS)
    return "\n".join(
        [
            f"## {name}\n",
            f"{title}\n",
            f"{rest.strip()}\n",
            "| | measured | range | goal | met |\n|---|---:|---:|---:|---|",
            *rows,
            f"\n![{name}]({PLOTS / name}.png)\n",
        ]
    )


def machine_table(machines: list[dict]) -> str:
    """The machine of all results, or where they come from several, the names that differ."""
    facts = {key: sorted({str(m[key]) for m in machines if key in m}) for key in machines[0]}
    rows = [f"| {key} | {' or '.join(values)} |" for key, values in facts.items()]
    return "\n".join(["## Machine\n", "| | |\n|---|---|", *rows, ""])


def main() -> None:
    (DOCS / PLOTS).mkdir(parents=True, exist_ok=True)
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    sections = [section(name, content) for name, content in found.items()]
    machine = machine_table([content["machine"] for content in found.values()])
    if not any(name.endswith("_cuda") for name in found):
        machine += "\nNot measured on a GPU: there was none.\n"
    page = DOCS / "benchmarks.md"
    page.write_text("\n".join([HEAD, machine, *sections]))
    print(f"written to {page}")


if __name__ == "__main__":
    main()
