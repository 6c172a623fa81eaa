"""The node's state as diagnostic_msgs, and when it is a warning or an error."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from ros2_romp.statistics import Latency, Report

SILENCE_LIMIT = 5.0
"""Seconds without an image, after there were some, that are an error."""

SLOW_SHARE = 0.5
"""The node is slow when it answers fewer than this share of the images that come."""

LOST_SHARE = 0.1
"""More than this share of the images lost on the way is a warning."""

Judgement = tuple[bytes, str]
"""A level of DiagnosticStatus, and its message."""


def status(name: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    """A status with its values in their order."""
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)


def camera_status(name: str, report: Report, topic: str) -> DiagnosticStatus:
    """Status of one camera.

    Args:
        name: of the status.
        report: what the camera's statistics say.
        topic: of its images.
    """
    level, message = judge_camera(report, topic)
    return status(name, level, message, camera_values(report))


def judge_camera(report: Report, topic: str) -> Judgement:
    """What is wrong with a camera: a failure by itself, else all of it at the worst level."""
    if report.failure:
        return DiagnosticStatus.ERROR, report.failure
    level, troubles = DiagnosticStatus.WARN, []
    if report.silence is None:
        troubles.append(f"no image has come on {topic}")
    elif report.silence > SILENCE_LIMIT:
        level = DiagnosticStatus.ERROR
        troubles.append(f"no image on {topic} for {report.silence:.0f} s")
    elif report.answered:
        troubles += [report.calibration_problem, depth_trouble(report.depth_problem)]
    troubles += [loss_on_the_way(report), _slowness(report)]
    if any(troubles):
        return level, "; ".join(filter(None, troubles))
    return DiagnosticStatus.OK, f"{report.people} people, {report.output_rate:.1f} images/s"


def depth_trouble(problem: str) -> str:
    """What a depth problem means for the results; empty: there is none."""
    return problem and f"depth is not used: {problem}"


def loss_on_the_way(report: Report) -> str:
    """How many images do not arrive; empty: not worth a word."""
    if report.loss_share <= LOST_SHARE:
        return ""
    return f"{100 * report.loss_share:.0f} % of the images are lost on the way"


def _slowness(report: Report) -> str:
    """How many of the images that come are processed, and why no more; empty: enough."""
    if not report.last_loss or report.output_rate >= SLOW_SHARE * report.input_rate:
        return ""
    rates = f"{report.output_rate:.1f} of {report.input_rate:.1f} images/s are processed"
    return f"{report.last_loss}: {rates}"


def camera_values(report: Report) -> dict[str, str]:
    """The numbers of a report, in words that tools show."""
    values = {
        "input rate (1/s)": f"{report.input_rate:.2f}",
        "output rate (1/s)": f"{report.output_rate:.2f}",
        "people": str(report.people),
        "images received": str(report.received),
        "images lost on the way": str(report.lost),
        "images answered": str(report.answered),
        "images dropped": str(report.dropped),
        "images too old": str(report.stale),
        "images refused": str(report.refused),
        "images failed": str(report.failed),
        "last refusal": report.last_refusal,
        "calibration problem": report.calibration_problem,
        "depth problem": report.depth_problem,
        "translation source": report.translation_source,
        "clock resets": str(report.clock_resets),
        "repeated stamps": str(report.repeated_stamps),
    }
    values.update(_latency_values("latency", report.latency))
    values.update(_latency_values("network", report.network))
    values.update(_latency_values("overhead", report.overhead))
    return values


def _latency_values(name: str, latency: Latency) -> dict[str, str]:
    return {
        f"{name} p50 (s)": _seconds(latency.p50),
        f"{name} p95 (s)": _seconds(latency.p95),
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
