"""Runs that end before their end: what they leave behind, and how they go on."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_factory import CONFIGS, TINY, tiny

from romp_core.cli import main
from romp_core.errors import ConfigError, ImageError, TrainingError

pytest.importorskip("lightning", reason="the training extra is not installed")
SHORT = ("schedule.steps_per_epoch=1", "schedule.batch_size=2")
TASKS = {
    "bodies": (),
    "pretraining": ("task=pretraining",),
    "lifting": (
        "task=lifting",
        "network={backbone: mobilenet, input_size: 128, lifting: true}",
        "data=[{name: poses, options: {pool: 20}}]",
    ),
}


def run(config, **options):
    from romp_core.training.run import train

    return train(config, **options)


def last_of(output: Path) -> dict:
    path = output / "checkpoints" / "last.ckpt"
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Outputs of runs of one epoch, by task."""
    outputs = {}
    for task, changes in TASKS.items():
        config = tiny(tmp_path_factory.mktemp(task), *SHORT, *changes, "schedule.epochs=1")
        run(config)
        outputs[task] = config.output
    return outputs


def numbered(config) -> list[torch.Tensor]:
    """What the three steps of an unbroken run learn from."""
    from romp_core.training.batch import collate
    from romp_core.training.lifting import make_pose_stream
    from romp_core.training.run import make_loader

    if config.task == "lifting":  # whose batches have numbers, instead of samples
        stream = make_pose_stream(config)
        return [stream[number].place for number in range(3)]
    mixed = make_loader(config).dataset
    return [collate([mixed[2 * number], mixed[2 * number + 1]]).images for number in range(3)]


@pytest.mark.parametrize(
    ("task", "workers"), [("bodies", 0), ("bodies", 1), ("pretraining", 0), ("lifting", 0)]
)
def test_what_is_resumed_goes_on_with_the_samples_that_are_left(
    task, workers, begun, tmp_path, monkeypatch
):
    """Wart: with workers, and in task lifting, the first resumed epoch was epoch 0 again."""
    from romp_core.training.finite import FiniteLossModule

    shutil.copytree(begun[task], tmp_path / "run", symlinks=True)
    more = ("schedule.epochs=3", f"schedule.workers={workers}")
    config = tiny(tmp_path, *SHORT, *TASKS[task], *more)
    drawn, step = [], FiniteLossModule.training_step

    def training_step(module, batch, index):
        drawn.append((batch.posed.place if task == "lifting" else batch.images).clone())
        return step(module, batch, index)

    monkeypatch.setattr(FiniteLossModule, "training_step", training_step)
    run(config, resume=True)
    assert last_of(config.output)["global_step"] == 3
    first, *left = numbered(config)
    torch.testing.assert_close(drawn, left)
    assert not any(torch.equal(first, each) for each in left)


def test_a_terminated_run_says_so_and_how_to_go_on(tmp_path):
    """Wart: it ended with status 0, as one that is finished."""
    words = ["train", str(TINY), f"--set=output={tmp_path}", "--set=schedule.epochs=9999"]
    process = subprocess.Popen(
        [sys.executable, "-m", "romp_core.cli", *words, *(f"--set={each}" for each in SHORT)],
        env={**os.environ, "PYTHONPATH": str(CONFIGS.parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1].startswith("romp-core train: terminated (SIGTERM): go on from")
    assert "--resume true" in said.splitlines()[-1]


@contextmanager
def room_for(size: int):
    """No file can be larger than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path):
    from romp_core.training.run import make_trainer

    writer = make_trainer(tiny(tmp_path), "open_body").strategy.checkpoint_io
    path = tmp_path / "checkpoints" / "epoch.ckpt"
    small, large = {"weights": torch.ones(9)}, {"weights": torch.ones(999_999)}
    writer.save_checkpoint(large, path)
    writer.save_checkpoint(small, path)
    with room_for(99_999), pytest.raises(TrainingError) as raised:
        writer.save_checkpoint(large, path)
    assert str(raised.value).startswith(f"checkpoint {path} cannot be written: ")
    assert "\n" not in str(raised.value)
    assert torch.equal(torch.load(path, weights_only=True)["weights"], small["weights"])
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with pytest.raises(TrainingError, match=r"epoch\.ckpt/last\.ckpt cannot be written"):
        writer.save_checkpoint(small, path / "last.ckpt")


def test_checkpoints_are_written_where_they_will_be(tmp_path, monkeypatch):
    """Moving from another file system is copying, which first loses what is there."""
    from romp_core.training.run import make_trainer

    path, written = tmp_path / "last.ckpt", []
    path.write_text("the one before")
    save = torch.save

    def watched(content, file):
        save(content, file)
        written.append((Path(file).parent, path.read_text()))

    monkeypatch.setattr(torch, "save", watched)
    make_trainer(tiny(tmp_path), "open_body").strategy.checkpoint_io.save_checkpoint({}, path)
    assert written == [(tmp_path, "the one before")]


def test_a_gradient_that_is_not_finite_stops_before_it_is_learnt(tmp_path, monkeypatch):
    """Wart: a finite loss can have one, and the weights that it made NaN were written."""
    from romp_core.training.module import RompTraining

    losses = RompTraining.losses

    def broken(module, batch):
        found = losses(module, batch)
        if module.current_epoch == 1:  # the root of 0, whose slope is infinite
            nothing = 0 * module.network.backbone.conv1.weight.sum()
            found["center"] = found["center"] + nothing.sqrt()
        return found

    monkeypatch.setattr(RompTraining, "losses", broken)
    config = tiny(tmp_path, *SHORT)
    with pytest.raises(TrainingError, match="the gradient is no longer finite at step 1, samples"):
        run(config)
    stopped = torch.load(config.output / "stopped.ckpt", weights_only=True)
    for kind in ("state_dict", "current_model_state"):
        assert all(value.isfinite().all() for value in stopped[kind].values())
    assert last_of(config.output)["global_step"] == 1


@pytest.mark.parametrize("scaler", [None, object()])
def test_infinite_gradients_of_half_precision_are_left_to_its_scaler(scaler):
    from romp_core.training.finite import FiniteLossModule

    layer = torch.nn.Linear(1, 1)
    layer.weight.grad = torch.full((1, 1), torch.inf)
    stopped = []
    module = SimpleNamespace(
        trainer=SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler)),
        _stop=lambda *found: stopped.append(found),
        _sources=["made"],
    )
    optimizer = torch.optim.SGD(layer.parameters(), 1)
    FiniteLossModule.configure_gradient_clipping(module, optimizer, 1.0)
    assert stopped == ([("gradient", [], ["made"])] if scaler is None else [])


def test_gradients_are_clipped_only_where_the_schedule_says_so():
    from romp_core.training.finite import FiniteLossModule

    module = SimpleNamespace(trainer=SimpleNamespace(precision_plugin=None))
    for limit, expected in ((0.0, 5.0), (2.0, 2.0), (9.0, 5.0)):
        layer = torch.nn.Linear(2, 1, bias=False)
        layer.weight.grad = torch.tensor([[3.0, 4.0]])
        optimizer = torch.optim.SGD(layer.parameters(), 1)
        FiniteLossModule.configure_gradient_clipping(module, optimizer, limit)
        assert layer.weight.grad.norm().item() == pytest.approx(expected, rel=1e-5)


def test_weights_that_are_not_finite_are_not_written(tmp_path, monkeypatch):
    from romp_core.training.module import RompTraining

    def spoil(module, *_):
        module.network.backbone.bn1.running_mean.fill_(torch.nan)

    monkeypatch.setattr(RompTraining, "on_train_batch_start", spoil)
    config = tiny(tmp_path, *SHORT)
    with pytest.raises(TrainingError, match=r"after epoch 0 \(backbone.bn1.running_mean: 1 in all"):
        run(config)
    assert not (config.output / "weights.safetensors").exists()
    assert not (config.output / "checkpoints").exists()


def test_losses_of_nothing_that_learns_are_refused(tmp_path, monkeypatch):
    from romp_core.training.module import RompTraining

    constant = {"center": torch.tensor(1.0)}
    monkeypatch.setattr(RompTraining, "losses", lambda *_: constant)
    with pytest.raises(ConfigError, match=r"losses \(center\) depend on nothing that learns"):
        run(tiny(tmp_path, *SHORT))


class Lost:
    """A data set whose disk is gone."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        raise ImageError(f"{index}.jpg is damaged")


def test_workers_say_in_one_sentence_what_is_wrong(tmp_path, monkeypatch, capsys):
    """Wart: PyTorch puts a traceback into their errors."""
    from romp_core.training import run as module

    monkeypatch.setattr(module, "make_source", lambda data: Lost())
    words = ["train", str(TINY), f"--set=output={tmp_path}", "--set=schedule.workers=1"]
    assert main([*words, *(f"--set={each}" for each in SHORT)]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("romp-core train: 3 samples in a row of data set 0")
    assert "Traceback" not in error
