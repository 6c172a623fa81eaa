"""`romp-core evaluate`, `tables` and `data check` on the command line."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reader_factory import PIXELS, write_picture
from three_dpw_factory import write_bodies, write_three_dpw

from romp_core.body.files import read_body, write_body
from romp_core.checkpoints import write_checkpoint
from romp_core.cli import main
from romp_core.errors import RendererError
from romp_core.evaluation.precision import difference, in_half_precision
from romp_core.evaluation.processes import Processes
from romp_core.evaluation.speed import speed_table
from romp_core.evaluation.tables import Report, fill_tables
from romp_core.media import read_image
from romp_core.model import load
from romp_core.render.overlay import Renderer

REPOSITORY = Path(__file__).resolve().parents[2]
COCO = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory, light_network, small_body_data):
    """Options that name random weights and a made-up body."""
    folder = tmp_path_factory.mktemp("model")
    weights, body = folder / "weights.safetensors", folder / "body.npz"
    write_checkpoint(weights, light_network, root_align=True, body=small_body_data.name)
    write_body(small_body_data, body)
    words = ["--weights", str(weights), "--body", str(body), "--device", "cpu"]
    return [*words, "--runtime", "torch"]  # which starts fast


@pytest.fixture
def photographs(tmp_path):
    """Three pictures of one person each, in the style of COCO; one of them is damaged."""
    root = tmp_path / "photographs"
    keypoints = [value for name in COCO.split() for value in (*PIXELS[name], 2)]
    images, annotations = [], []
    for number in (1, 2, 3):
        write_picture(root / "images" / f"{number}.jpg", number)
        images.append({"id": number, "file_name": f"{number}.jpg"})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0,
                            "area": 3000, "bbox": [20, 5, 60, 105], "keypoints": keypoints,
                            "num_keypoints": 17})  # fmt: skip
    (root / "annotations.json").write_text(
        json.dumps({"images": images, "annotations": annotations})
    )
    (root / "images" / "3.jpg").write_bytes(b"no picture")
    return root


def options(root, out, *more):
    return ["evaluate", "--dataset", "coco_style", "--root", str(root), "--out", str(out), *more]


def test_report_in_all_forms(model, photographs, tmp_path, capsys):
    pytest.importorskip("pycocotools")
    out = tmp_path / "out"
    assert main([*options(photographs, out), *model]) == 0
    printed = capsys.readouterr().out
    assert "| coco-style | 2 | 2 |" in printed
    assert "unreadable" in printed and "3.jpg" in printed
    assert (out / "report.md").read_text() in printed
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["dataset"] == "coco_style"
    assert report["results"]["coco-style"]["people"] == 2
    rows = list(csv.DictReader((out / "report.csv").open()))
    assert rows[0]["group"] == "coco-style"
    assert float(rows[0]["found"]) == report["results"]["coco-style"]["found"]


def test_an_interrupted_evaluation_goes_on(model, photographs, tmp_path):
    pytest.importorskip("pycocotools")
    out = tmp_path / "out"
    assert main([*options(photographs, out), *model]) == 0
    whole = (out / "report.json").read_text()
    lines = (out / "pictures.jsonl").read_text().splitlines(keepends=True)
    (out / "pictures.jsonl").write_text("".join(lines[:2]) + lines[2][:30])
    # The first picture is not read again: it need not even be there any more.
    (photographs / "images" / "1.jpg").write_bytes(b"gone")
    assert main([*options(photographs, out, "--resume", "true"), *model]) == 0
    assert (out / "report.json").read_text() == whole
    # Without resume nothing of the earlier run is used.
    assert main([*options(photographs, out), *model]) == 0
    assert (out / "report.json").read_text() != whole


def test_other_settings_are_not_resumed(model, photographs, tmp_path, capsys):
    pytest.importorskip("pycocotools")
    out = tmp_path / "out"
    assert main([*options(photographs, out), *model]) == 0
    more = ["--resume", "true", "--threshold", "0.4"]
    assert main([*options(photographs, out, *more), *model]) == 2
    assert "another threshold" in capsys.readouterr().err


def test_another_folder_is_not_resumed(
    model, photographs, small_body_data, tmp_path, capsys, monkeypatch
):
    """Wart: results of one root were once reported as another's."""
    pytest.importorskip("pycocotools")
    other, out = tmp_path / "other", tmp_path / "out"
    shutil.copytree(photographs, other)
    assert main([*options(photographs, out), *model]) == 0
    assert main([*options(other, out, "--resume", "true"), *model]) == 2
    assert "another root" in capsys.readouterr().err
    write_bodies(tmp_path / "smpl", small_body_data)
    with_bodies = ["--resume", "true", "--smpl", str(tmp_path / "smpl")]
    assert main([*options(photographs, out, *with_bodies), *model]) == 2
    assert "another smpl" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)  # the same folder, said otherwise
    assert main([*options("photographs/../photographs", out, "--resume", "true"), *model]) == 0


def test_a_body_without_the_joints_to_measure_is_said(model, photographs, tmp_path, capsys):
    data = read_body(model[3])
    few = replace(
        data, landmark_names=data.landmark_names[:21],
        landmark_regressor=data.landmark_regressor[:21],
    )  # fmt: skip
    write_body(few, tmp_path / "few.npz")
    words = [*options(photographs, tmp_path / "out"), *model[:2], "--body"]
    assert main([*words, str(tmp_path / "few.npz"), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert "left_hip_lsp" in error and "this one has 45" in error and "SMPL_NEUTRAL.pth" in error


def test_half_precision_is_reported_beside(model, photographs, tmp_path):
    pytest.importorskip("pycocotools")
    out = tmp_path / "out"
    assert main([*options(photographs, out, "--half", "true"), *model]) == 0
    rows = json.loads((out / "report.json").read_text())["results"]
    reference, half, change = (
        rows[name] for name in ("coco-style", "in half precision", "difference")
    )
    assert change["oks"] == pytest.approx((half["oks"] or 0) - (reference["oks"] or 0))
    assert change == difference(half, reference)


def test_half_precision_really_is_half(model, photographs):
    romp = load(model[1], body=model[3], device="cpu")
    image = read_image(photographs / "images" / "1.jpg")
    ours, half = romp.predict(image), in_half_precision(romp).predict(image)
    assert romp.predict(image).confidence.tolist() == ours.confidence.tolist()
    count = min(len(ours), len(half))
    gap = np.abs(ours.confidence[:count] - half.confidence[:count]).max()
    assert 0 < gap < 0.1 * ours.confidence.max()


def test_overlays_and_worst_cases_are_drawn(model, photographs, tmp_path):
    pytest.importorskip("pycocotools")
    try:
        Renderer()
    except RendererError as error:
        pytest.skip(str(error))
    out = tmp_path / "out"
    more = ["--overlays", "1", "--worst", "true"]
    assert main([*options(photographs, out, *more), *model]) == 0
    assert len(list((out / "overlays").iterdir())) == 1
    drawn = sorted((out / "worst").iterdir())
    assert main([*options(photographs, out), *model]) == 0
    assert not list((out / "overlays").iterdir())  # they would be of another evaluation
    assert main([*options(photographs, out, *more), *model]) == 0
    assert len(drawn) == 2
    assert read_image(drawn[0]).shape == (1000, 833, 3)


def test_two_processes_give_the_same_report(model, photographs, tmp_path):
    pytest.importorskip("pycocotools")
    assert main([*options(photographs, tmp_path / "one"), *model]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "romp_core.cli",
               *options(photographs, tmp_path / "two"), *model]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "pictures.1.jsonl").is_file()
    one, two = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two")
    )
    assert one["problems"] == two["problems"]
    # Batches of other sizes are summed in another order.
    for metric, value in one["results"]["coco-style"].items():
        expected = value if value is None else pytest.approx(value, rel=1e-3)
        assert two["results"]["coco-style"][metric] == expected, metric


def test_results_that_another_machine_kept_to_itself_are_missed(
    model, photographs, tmp_path, capsys, monkeypatch
):
    """As where `--out` is not shared: this process evaluates its half, and waits for nobody."""
    half = Processes(rank=0, count=2)
    monkeypatch.setattr(Processes, "started", classmethod(lambda cls: half))
    monkeypatch.setattr(Processes, "gather", lambda self, value: 2 * list(value))
    monkeypatch.setattr(Processes, "close", lambda self: None)
    (photographs / "images" / "3.jpg").write_bytes((photographs / "images" / "1.jpg").read_bytes())
    assert main([*options(photographs, tmp_path / "out"), *model]) == 2
    assert "results of 2 pictures, not of all 4: on several machines" in capsys.readouterr().err


def test_three_dpw_from_end_to_end(model, small_body_data, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    bodies = write_bodies(tmp_path / "smpl", small_body_data)
    write_three_dpw(tmp_path / "3dpw", bodies)
    words = ["evaluate", "--dataset", "3dpw", "--protocol", "2", "--root", str(tmp_path / "3dpw"),
             "--smpl", str(tmp_path / "smpl"), "--out", str(tmp_path / "out" / "3dpw"),
             "--threshold", "-9"]  # fmt: skip
    assert main([*words, *model]) == 0
    assert "paper, HRNet 32 | - | - | - | 85.5 | 53.3 | 103.1 |" in capsys.readouterr().out
    out = tmp_path / "tables.md"
    assert main(["tables", "--evaluations", str(tmp_path / "out"), "--out", str(out)]) == 0
    ours = json.loads((tmp_path / "out" / "3dpw" / "report.json").read_text())["results"]["3dpw"]
    row = next(line for line in out.read_text().splitlines() if line.startswith("| **weights**"))
    assert row.startswith(f"| **weights** | {ours['mpjpe']:.1f} | {ours['pmpjpe']:.1f} |")


def test_bad_input_is_one_sentence(model, tmp_path, capsys):
    for words, told in (
        (["--dataset", "3pdw"], "expected one of"),
        (["--dataset", "3dpw"], "--root"),
        (["--dataset", "coco", "--root", str(tmp_path)], "no annotations"),
        (["--dataset", "coco", "--protocol", "9", "--root", str(tmp_path)], "coco has default"),
        (["--batch", "0"], "batch is 0; expected at least 1"),
        (["--count", "-2"], "count is -2; expected at least 1"),
        (["--overlays", "-1"], "overlays is -1; expected at least 0"),
    ):
        assert main(["evaluate", *words, *model]) == 2
        error = capsys.readouterr().err.strip()
        assert told in error
        assert "\n" not in error


def report(weights, dataset, protocol, network=None, variant=(448, 0.2, None, "open"), **groups):
    return Report(dataset, protocol, weights, groups, network, variant)


def test_tables_show_what_there_is_and_gaps():
    text = fill_tables(
        [
            report("mine", "panoptic", "default", mafia={"mpjpe": 101.0}, all={"mpjpe": 99.5}),
            report("mine", "3dpw", "pc", **{"3dpw": {"pmpjpe": 70.25}}),
        ]
    )
    assert "| paper, HRNet 32 | - | - | - | - | 128.2 | - |" in text
    assert "| **mine** | - | 101.0 | - | - | 99.5 | - |" in text
    assert "| **mine** | 70.2 | - | - |" in text
    assert "| **ours: not evaluated** | - | - |" in text
    for number in range(1, 7):
        assert f"Table {number}." in text


def test_every_network_and_every_way_of_running_it_has_a_row():
    def rows(*reports):
        table = fill_tables(reports).split("## Table 4")[1].split("##")[0]
        ours = [line for line in table.splitlines() if "**" in line]
        return [line.removeprefix("| ").removesuffix(" | - | - |") for line in ours]

    def made(weights, network, value, **options):
        return report(weights, "3dpw", "pc", network, **{"3dpw": {"pmpjpe": value}}, **options)

    file = "weights.safetensors"
    trained = made(f"runs/car-0.2/{file}", "aa", 57.1), made(f"runs/car-0/{file}", "bb", 60.0)
    assert rows(*trained) == ["**car-0.2/weights** | 57.1", "**car-0/weights** | 60.0"]
    again = made(f"runs/car-0/{file}", "cc", 59.0)
    assert rows(trained[1], again) == [
        "**weights (bb)** | 60.0",
        "**weights (cc)** | 59.0",
    ]
    larger = made(f"/data/runs/car-0/{file}", "bb", 55.0, variant=(576, 0.2, None, "open"))
    assert rows(trained[1], larger) == [
        "**weights, input size 448** | 60.0",
        "**weights, input size 576** | 55.0",
    ]


def test_speed_comes_from_the_benchmark(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    times = {"hrnet32": {"1": {"median": 50.0}, "64": {"median": 100.0}}}
    content = {"machine": {"processor": "abacus"},
               "results": {"device": "cpu", "end to end by people": times}}  # fmt: skip
    file = tmp_path / "people.json"
    file.write_text(json.dumps(content))
    words = ["tables", "--evaluations", str(tmp_path), "--speed", str(file)]
    assert main([*words, "--out", str(tmp_path / "out" / "tables.md")]) == 0
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "| **hrnet32** | abacus, cpu | 20.0 |" in text
    assert "| paper, ResNet 50 | GTX 1070 Ti | 30.9 |" in text
    assert read_image(tmp_path / "out" / "figure4.png").std() > 5
    file.write_text('{"results": {}}')
    assert main(words) == 2
    assert "no result of benchmarks/people.py" in capsys.readouterr().err
    assert "not measured" in speed_table(None)


def test_damaged_reports_are_refused(tmp_path, capsys):
    (tmp_path / "report.json").write_text('{"settings": {}}')
    assert main(["tables", "--evaluations", str(tmp_path)]) == 2
    assert "report.json" in capsys.readouterr().err
    assert main(["tables", "--evaluations", str(tmp_path / "none")]) == 2


def test_data_check_counts_and_draws(photographs, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", "coco_style", str(photographs), "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr().out
    assert "3 pictures, 3 people" in printed
    assert "with 2D joints 3, with 3D joints 0" in printed
    assert "2D joints visible 51, hidden 0, not labeled 0" in printed
    assert "taken as not labeled: 0" in printed
    assert "problem: 1 unreadable images" in printed and "3.jpg" in printed
    picture = read_image(sheet)
    shown = color_at(picture, "left_wrist"), color_at(picture, "right_wrist")
    assert shown[0][0] > 150 > shown[0][2]  # blue on the person's left
    assert shown[1][2] > 150 > shown[1][0]  # orange on the right


def color_at(sheet, name):
    """Colour of the sheet where a joint of the first picture is."""
    x, y = PIXELS[name]
    return sheet[round(y * 3), round(x * 3)]


def test_data_check_reads_every_picture_if_asked(photographs, tmp_path, capsys):
    words = ["data", "check", "coco_style", str(photographs), "--samples", "1"]
    sheet = ["--sheet", str(tmp_path / "sheet.png")]
    assert main([*words, *sheet]) == 0
    assert "problem" not in capsys.readouterr().out
    assert main([*words, *sheet, "--decode", "true"]) == 0
    assert "1 unreadable images" in capsys.readouterr().out


def test_data_check_of_a_wrong_root(tmp_path, capsys):
    assert main(["data", "check", "3dpw", str(tmp_path)]) == 2
    assert "SMPL_NEUTRAL" in capsys.readouterr().err
    assert main(["data", "check", "lsp", str(tmp_path)]) == 2
    assert "is the root right" in capsys.readouterr().err
    assert main(["data", "check", "lsp", str(tmp_path), "--samples", "0"]) == 2
    assert "samples is 0" in capsys.readouterr().err
    assert main(["data", "check", "lps", str(tmp_path)]) == 2
    assert "lspet" in capsys.readouterr().err


def test_the_sample_photographs(model, shared, tmp_path, capsys):
    pytest.importorskip("pycocotools")
    words = ["evaluate", "--dataset", "samples", "--root", str(shared / "samples")]
    assert main([*words, "--out", str(tmp_path), *model]) == 0
    rows = json.loads((tmp_path / "report.json").read_text())["results"]
    assert {name: row["people"] for name, row in rows.items()} == {
        "coco": 12, "crowdpose": 4, "mpi_inf_3dhp": 2, "mpii": 5, "all": 23
    }  # fmt: skip
    # MPII labels one person of several: nothing can be said of false positives.
    assert rows["mpii"]["false_positives"] is None


def test_fine_tuning_on_3dpw_and_protocol_3(small_body_data, tmp_path, capsys):
    """Protocol 3 from end to end: train on the training split, evaluate on the test split."""
    pytest.importorskip("lightning")
    write_three_dpw(tmp_path / "3dpw", write_bodies(tmp_path / "smpl", small_body_data))
    body = str(tmp_path / "smpl" / "SMPL_NEUTRAL.npz")
    place = {"root": str(tmp_path / "3dpw"), "smpl": str(tmp_path / "smpl")}
    data = [{"name": "3dpw", "options": {**place, "split": "train"}}]
    changes = [f"data={json.dumps(data)}", f"body={body}", f"output={tmp_path / 'run'}",
               "prior=null", "schedule.epochs=1", "schedule.steps_per_epoch=1"]  # fmt: skip
    tiny = str(REPOSITORY / "config" / "training" / "tiny.yaml")
    assert main(["train", tiny, *(f"--set={change}" for change in changes)]) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    words = ["--dataset", "3dpw", "--protocol", "3", "--root", place["root"], "--smpl",
             place["smpl"], "--body", body, "--device", "cpu", "--threshold", "-9",
             "--weights", str(weights), "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(["evaluate", *words]) == 0
    row = json.loads((tmp_path / "out" / "report.json").read_text())["results"]["3dpw"]
    assert (row["pictures"], row["people"]) == (4, 8)
    assert "paper, HRNet 32 | - | - | - | 76.7 | 47.3 | 93.4 |" in capsys.readouterr().out
