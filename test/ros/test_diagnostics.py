"""When a camera's state is a warning or an error."""

from dataclasses import replace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from ros2_romp.diagnostics import SILENCE_LIMIT, camera_status, judge_camera
from ros2_romp.statistics import Latency, Report

GOOD = Report(
    received=100,
    lost=0,
    answered=95,
    dropped=5,
    stale=0,
    refused=0,
    failed=0,
    clock_resets=0,
    repeated_stamps=0,
    last_refusal="",
    last_loss="slow",
    input_rate=10.0,
    output_rate=9.5,
    loss_share=0.0,
    latency=Latency(0.1, 0.2),
    network=Latency(0.05, 0.06),
    overhead=Latency(0.001, 0.002),
    people=3,
    silence=0.1,
    failure="",
    calibration_problem="",
    depth_problem="",
    translation_source="monocular",
)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({}, OK, "3 people, 9.5 images/s"),
        ({"silence": None, "received": 0}, WARN, "no image has come on /front/image"),
        ({"calibration_problem": "no camera_info"}, WARN, "no camera_info"),
        ({"depth_problem": "another frame"}, WARN, "depth is not used: another frame"),
        (
            {"calibration_problem": "no K", "depth_problem": "another frame", "output_rate": 1.0},
            WARN,
            "no K; depth is not used: another frame; slow: 1.0 of 10.0 images/s",
        ),
        ({"loss_share": 0.6}, WARN, "60 % of the images are lost on the way"),
        ({"loss_share": 0.1}, OK, "3 people"),
        ({"loss_share": 1.0, "silence": None}, WARN, "/front/image; 100 % of the images are lost"),
        ({"loss_share": 1.0, "silence": 6.0}, ERROR, "6 s; 100 % of the images are lost"),
        ({"output_rate": 4.9}, WARN, "slow: 4.9 of 10.0 images/s"),
        ({"output_rate": 5.1}, OK, "images/s"),
        ({"silence": SILENCE_LIMIT + 1}, ERROR, "no image on /front/image for 6 s"),
        ({"failure": "model failed: out of memory"}, ERROR, "model failed: out of memory"),
        ({"failure": "out of memory", "calibration_problem": "no K"}, ERROR, "out of memory"),
        ({"refused": 7, "last_refusal": "damaged"}, OK, "3 people"),
        (
            {"output_rate": 0.0, "refused": 90, "last_loss": "images cannot be used: damaged"},
            WARN,
            "images cannot be used: damaged: 0.0 of 10.0 images/s",
        ),
        ({"output_rate": 0.0, "dropped": 0, "last_loss": ""}, OK, "3 people"),
    ],
)
def test_worst_news_decide(changes, level, text):
    found, message = judge_camera(replace(GOOD, **changes), "/front/image")
    assert found == level
    assert text in message


def test_values_name_every_count_and_time():
    report = replace(GOOD, refused=7, last_refusal="damaged", clock_resets=2)
    report = replace(report, lost=4, calibration_problem="no K", depth_problem="late")
    status = camera_status("romp: camera front", report, "/front/image")
    values = {pair.key: pair.value for pair in status.values}
    assert values == {
        "input rate (1/s)": "10.00",
        "output rate (1/s)": "9.50",
        "people": "3",
        "images received": "100",
        "images lost on the way": "4",
        "images answered": "95",
        "images dropped": "5",
        "images too old": "0",
        "images refused": "7",
        "images failed": "0",
        "last refusal": "damaged",
        "calibration problem": "no K",
        "depth problem": "late",
        "translation source": "monocular",
        "clock resets": "2",
        "repeated stamps": "0",
        "latency p50 (s)": "0.1000",
        "latency p95 (s)": "0.2000",
        "network p50 (s)": "0.0500",
        "network p95 (s)": "0.0600",
        "overhead p50 (s)": "0.0010",
        "overhead p95 (s)": "0.0020",
    }
