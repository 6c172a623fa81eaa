"""What half precision changes."""

import copy
from collections.abc import Mapping

from romp_core.evaluation.summary import COLUMNS
from romp_core.model import Romp
from romp_core.runtime import start_runtime

Row = Mapping[str, float | int | None]


def in_half_precision(romp: Romp) -> Romp:
    """The same predictor with its network in bfloat16 on a CPU, float16 on a GPU."""
    half = copy.copy(romp)
    precision = "bfloat16" if romp.device.type == "cpu" else "float16"
    half.runtime = start_runtime(("torch", precision), romp.network, romp.device)
    return half


def difference(row: Row, reference: Row) -> dict[str, float | int | None]:
    """How much each measure of a row is above the reference's; None where one is not known."""
    return {
        metric: None
        if row[metric] is None or reference[metric] is None
        else row[metric] - reference[metric]
        for metric in COLUMNS
    }
