"""Training runs: configuration, start, resume, bad losses, several processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from test_movenet import write_tensorflow_js
from training_factory import CONFIGS, TINY, tiny

from romp_core.checkpoints import read_checkpoint
from romp_core.cli import main
from romp_core.errors import CheckpointError, ConfigError, TrainingError
from romp_core.network import NetworkConfig, build_network
from romp_core.network.mobilenet import MobileNetPyramid
from romp_core.training.config import read_config

pytest.importorskip("lightning", reason="the training extra is not installed")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_open_model.sh"
QUICKEST = ("schedule.epochs=1", "schedule.steps_per_epoch=1", "schedule.batch_size=2",
        "schedule.workers=0", "schedule.precision=32-true", "size=128",
        "seen_pictures=2")  # fmt: skip


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_of_the_package_can_be_read(path):
    config = read_config(path)
    assert config.data
    assert config.schedule.epochs > 0


def test_paper_defaults():
    config = read_config(CONFIGS / "romp_hrnet32.yaml")
    weights = config.losses
    assert (weights.center, weights.pose, weights.betas, weights.prior) == (160, 80, 1, 1.6)
    assert (weights.joints, weights.aligned_joints, weights.keypoints) == (360, 400, 420)
    assert config.schedule.learning_rate == 5e-5
    assert config.schedule.crop == (0.9, 0.4)  # whole images 10 % of the time, then 60 %
    assert config.car_gamma == 0.2


def test_settings_change_values_of_any_depth(tmp_path):
    config = tiny(tmp_path, "schedule.epochs=7", "data.0.options.length=5", "losses.center=1.5")
    assert config.schedule.epochs == 7
    assert config.data[0].options["length"] == 5
    assert config.losses.center == 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.backbone=vgg", "vgg"),
        ("network.depth=3", "depth"),
        ("schedule.epochs=many", "epochs"),
        ("learning=1", "learning"),
        ("schedule", "KEY=VALUE"),
        ("data.9.name=coco", "nothing below it"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        read_config(TINY, [change])


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_config(tmp_path / "missing.yaml")
    (tmp_path / "broken.yaml").write_text("network: [")
    with pytest.raises(ConfigError, match="not YAML"):
        read_config(tmp_path / "broken.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigError, match="holds no mapping"):
        read_config(tmp_path / "empty.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.0.name=nowhere", "data.0.options={root: .}"], "nowhere"),
        (["data.0.name=coco", "data.0.options={}"], "root"),
        (["data.0.name=rendered", "data.0.options={root: /missing}"], "render-dataset"),
        (["data.0.options={widht: 3}"], "widht"),
        (["initial=movenet:missing.json"], "fit mobilenet only"),
        (["schedule.optimizer=sgd"], "adam"),
        (["--resume"], "to resume from"),
    ],
    ids=str,
)
def test_the_command_says_what_is_wrong_in_one_sentence(changes, message, tmp_path, capsys):
    words = ["train", str(TINY), "--set", f"output={tmp_path / 'run'}"]
    for change in changes:
        words += [change] if change.startswith("--") else ["--set", change]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]


def test_initial_weights_of_another_architecture_are_refused(tmp_path, light_network):
    from romp_core.checkpoints import write_checkpoint
    from romp_core.training.run import make_network

    path = tmp_path / "light.safetensors"
    write_checkpoint(path, light_network, root_align=True, body="open_body")
    config = tiny(tmp_path, f"initial={path}")
    started = make_network(config).state_dict()
    assert all(
        torch.equal(started[key], value) for key, value in light_network.state_dict().items()
    )
    other = replace(config, network=NetworkConfig("mobilenet"))
    with pytest.raises(CheckpointError, match="backbone is resnet18 in the weights"):
        make_network(other)


def run(config, **options):
    from romp_core.training.run import train

    return train(config, **options)


def state(output: Path) -> dict:
    path = output / "checkpoints" / "last.ckpt"
    return torch.load(path, map_location="cpu", weights_only=True)


RUN = """
import os, sys
from lightning.pytorch.callbacks import Callback
from romp_core.training import run
from romp_core.training.config import read_config

class Kill(Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            os._exit(9)

configuration, output, what = sys.argv[1:]
if what == "killed":
    make = run.make_trainer
    def make_trainer(*arguments):
        trainer = make(*arguments)
        trainer.callbacks.append(Kill())
        return trainer
    run.make_trainer = make_trainer
changes = [f"output={output}", "schedule.backbone_rates=relative"]
run.train(read_config(configuration, changes), resume=what == "resumed")
"""


def test_a_killed_run_that_resumes_ends_where_an_unbroken_one_does(tmp_path):
    """Must show: killed and resumed continues the same curve; here to the last weight."""
    # One thread each: sums in another order would grow into other weights.
    environment = dict(os.environ, PYTHONPATH=str(CONFIGS.parents[1]), OMP_NUM_THREADS="1")
    for what, folder, expected in (
        ("whole", "whole", 0),
        ("killed", "parts", 9),
        ("resumed", "parts", 0),
    ):
        ended = subprocess.run(
            [sys.executable, "-c", RUN, str(TINY), str(tmp_path / folder), what],
            capture_output=True,
            env=environment,
            check=False,
        )
        assert ended.returncode == expected, ended.stderr.decode()[-2000:]
    whole, parts = (state(tmp_path / folder) for folder in ("whole", "parts"))
    assert parts["global_step"] == whole["global_step"] == 4
    # What learns, and the averaged weights.
    for kind in ("current_model_state", "state_dict"):
        for key, value in whole[kind].items():
            torch.testing.assert_close(parts[kind][key], value, msg=key)


@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_not_finite_stops_and_saves(tmp_path, monkeypatch):
    from romp_core.training.module import RompTraining

    losses, config = RompTraining.losses, tiny(tmp_path)
    broken = {"center": torch.tensor(torch.nan)}
    monkeypatch.setattr(RompTraining, "losses", lambda *args: losses(*args) | broken)
    with pytest.raises(TrainingError, match="no longer finite") as raised:
        run(config)
    assert "(center)" in str(raised.value)
    assert "synthetic" in str(raised.value)
    assert (config.output / "stopped.ckpt").is_file()


@pytest.mark.filterwarnings("ignore")
def test_weights_that_diverge_stop_the_run_too(tmp_path):
    config = tiny(tmp_path, "schedule.learning_rate=1e30", "schedule.optimizer=adam")
    with pytest.raises(TrainingError, match="no longer finite"):
        run(config)
    assert (config.output / "stopped.ckpt").is_file()


def test_the_last_checkpoint_is_the_newest_wherever_its_folder_is(tmp_path):
    config = tiny(tmp_path, "schedule.epochs=1")
    run(config)
    with pytest.raises(ConfigError, match="of a run before this one: resume to go on"):
        run(config)
    moved = replace(config, output=tmp_path / "moved", schedule=replace(config.schedule, epochs=2))
    config.output.rename(moved.output)
    run(moved, resume=True)
    files = {path.name for path in (moved.output / "checkpoints").iterdir()}
    assert files == {"epoch.ckpt", "last.ckpt"}
    assert state(moved.output)["global_step"] == 4


def test_pretraining_gives_weights_to_start_from(tmp_path):
    config = tiny(
        tmp_path / "a", "task=pretraining", "data.0.options.dense=true", "schedule.epochs=1"
    )
    weights = run(config)
    # Whose heads learnt no bodies, so that these may mean anything.
    started = tiny(tmp_path / "b", f"initial={weights}", "root_align=false")
    from romp_core.training.run import make_network

    backbone = make_network(started).backbone.state_dict()
    fresh = build_network(started.network).backbone.state_dict()
    assert not torch.equal(backbone["conv1.weight"], fresh["conv1.weight"])


def test_pretraining_uses_every_annotation_there_is(tmp_path):
    from romp_core.data.augmentation import NO_AUGMENTATION, augment
    from romp_core.training.batch import collate
    from romp_core.training.pretraining import JOINTS, Pretraining
    from romp_core.training.run import make_network, make_source

    config = tiny(tmp_path, "data.0.options.dense=true")
    source = make_source(config.data[0])
    rng = np.random.default_rng(0)
    batch = collate([augment(source[i], 128, rng, NO_AUGMENTATION) for i in range(4)])
    module = Pretraining(make_network(config), config)
    parts = module.losses(batch)
    assert set(parts) == set(module.loss_weights)
    sum(parts.values()).backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in module.heads.values())
    batch.has_dense[:] = False
    assert set(module.losses(batch)) == {"heatmaps", "pull", "push"}
    batch.annotated[:, JOINTS[0]] = False  # a data set without noses
    module.zero_grad()
    module.losses(batch)["heatmaps"].backward()
    slopes = module.heads["heatmaps"].weight.grad.abs().sum((1, 2, 3))
    assert slopes[0] == 0
    assert (slopes[1:] > 0).all()


GRADIENTS = """
import json, sys, torch
import torch.distributed as dist
from romp_core.body.model import BodyModel
from romp_core.data.augmentation import NO_AUGMENTATION, augment
from romp_core.training.batch import collate
from romp_core.training.config import read_config
from romp_core.training.module import RompTraining
from romp_core.training.run import make_network, make_source
import numpy as np

rank, world = 0, 1
if "RANK" in __import__("os").environ:
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
config = read_config(sys.argv[1])
torch.manual_seed(0)
module = RompTraining(make_network(config), BodyModel.load("open"), config).eval()
source = make_source(config.data[0])
rng = np.random.default_rng(0)
samples = [augment(source[i], 128, rng, NO_AUGMENTATION) for i in range(4)]
share = samples[rank * 4 // world : (rank + 1) * 4 // world]
network = module.network
if world > 1:
    module = torch.nn.parallel.DistributedDataParallel(Summed := type("S", (torch.nn.Module,), {
        "__init__": lambda self, m: (torch.nn.Module.__init__(self), setattr(self, "m", m))[0],
        "forward": lambda self, b: sum(self.m.losses(b).values())})(module))
    module(collate(share)).backward()
else:
    sum(module.losses(collate(share)).values()).backward()
if rank == 0:
    gradient = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    json.dump([gradient.norm().item(), gradient[::50000].tolist()], open(sys.argv[2], "w"))
"""


def test_two_processes_give_the_gradient_of_one(tmp_path):
    """Must show: the same gradient under torchrun, though the processes see unlike crowds."""
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    environment = dict(os.environ, PYTHONPATH=str(CONFIGS.parents[1]), OMP_NUM_THREADS="1")
    results = []
    for name, launcher in (
        ("one", [sys.executable]),
        (
            "two",
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
        ),
    ):
        output = tmp_path / name
        subprocess.run(
            [*launcher, str(script), str(TINY), str(output)],
            check=True,
            env=environment,
            capture_output=True,
        )
        results.append(json.loads(output.read_text()))
    (norm, sampled), (other_norm, other_sampled) = results
    assert other_norm == pytest.approx(norm, rel=1e-4)
    np.testing.assert_allclose(other_sampled, sampled, rtol=1e-3, atol=1e-5 * norm)


def test_tiny_configuration_is_what_the_documentation_says():
    content = yaml.safe_load(TINY.read_text())
    assert content["data"][0]["name"] == "synthetic"
    assert content["schedule"]["epochs"] * content["schedule"]["steps_per_epoch"] <= 10


def test_eight_pictures_are_learnt_by_heart(tmp_path):
    """Must show: overfitting 8 synthetic pictures drives MPJPE under 20 mm."""
    from romp_core.body.model import BodyModel
    from romp_core.data.augmentation import NO_AUGMENTATION, augment
    from romp_core.training.batch import collate
    from romp_core.training.module import RompTraining
    from romp_core.training.run import make_network, make_source

    torch.manual_seed(0)
    config = tiny(tmp_path)
    source = make_source(config.data[0])
    rng = np.random.default_rng(0)
    batch = collate([augment(source[i], 96, rng, NO_AUGMENTATION) for i in range(8)])
    assert batch.valid.sum() > 8
    module = RompTraining(make_network(config), BodyModel.load("open"), config).train()
    steps = 80
    optimizer = torch.optim.AdamW(module.network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        parts = module.losses(batch)
        optimizer.zero_grad()
        sum(module.loss_weights[name] * value for name, value in parts.items()).backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        mpjpe = module.losses(batch)["joints"]
    assert mpjpe < 0.02


def test_the_open_model_can_be_trained_by_one_script(tmp_path):
    weights = tmp_path / "movenet.json"
    write_tensorflow_js(weights, MobileNetPyramid())
    np.savez(tmp_path / "poses.npz", pose=0.1 * np.random.default_rng(0).normal(size=(9, 24, 3)))
    panoramas = tmp_path / "panoramas"
    panoramas.mkdir()
    cv2.imwrite(str(panoramas / "grey.jpg"), np.full((64, 128, 3), 128, np.uint8))
    light = {"sh9_rgb": np.eye(9, 3).tolist(), "exposure": 1.0}
    (panoramas / "lighting.json").write_text(json.dumps({"grey": light}))

    def run(*changes: str) -> str:
        """What the script prints."""
        words = [SCRIPT, tmp_path / "poses.npz", panoramas, "2", "--"]
        ended = subprocess.run(
            [*words, *(f"--set={change}" for change in (*QUICKEST, *changes))],
            cwd=tmp_path,
            env={
                **os.environ,
                "MOVENET": str(weights),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(SCRIPT.parents[1]),
            },
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    run()
    result = tmp_path / "runs" / "open.safetensors"
    checkpoint = read_checkpoint(result)
    assert checkpoint.config.lifting
    assert checkpoint.build(64).config.levels == 2

    before = result.read_bytes()
    said = run("schedule.epochs=2")
    assert "Everything is finished already" in said
    assert result.read_bytes() == before
    # What it says to do, for the last step.
    (tmp_path / "runs" / "open_seen_lifting" / "finished").unlink()
    assert "open_mobilenet is finished already" in run("schedule.epochs=2")
    assert result.read_bytes() != before
