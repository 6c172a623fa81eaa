"""Training by several processes, as torchrun starts them: one network, other samples."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from romp_core.errors import ConfigError

pytest.importorskip("lightning", reason="the training extra is not installed")
ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "config" / "training" / "tiny.yaml"

# `romp-core train` that tells what became of each process; "broken" is the number of the process
# whose second loss is NaN, or none.
COMMAND = """
import json, os, sys
from romp_core.cli import main
from romp_core.training import finite, run

folder, broken, *words = sys.argv[1:]
rank, seen, kept = os.environ["RANK"], [], {}
make, step = run.make_trainer, finite.FiniteLossModule.training_step

def make_trainer(*arguments):
    kept["trainer"] = make(*arguments)
    return kept["trainer"]

def training_step(module, batch, index):
    posed = getattr(batch, "posed", None)  # people without pictures, which have names
    seen.extend(posed.place[:, 2].tolist() if posed else batch.sources)
    if broken == rank and len(seen) > len(batch):
        losses = module.losses
        module.losses = lambda batch: {k: v * float("nan") for k, v in losses(batch).items()}
    return step(module, batch, index)

run.make_trainer, finite.FiniteLossModule.training_step = make_trainer, training_step
code = main(["train", *words])
trainer = kept["trainer"]
parameters = trainer.lightning_module.network.named_parameters()
told = {
    "code": code, "rank": trainer.global_rank, "world": trainer.world_size,
    "steps": trainer.global_step, "seen": seen,
    "weights": {name: value.double().sum().item() for name, value in parameters},
}
with open(os.path.join(folder, rank + ".json"), "w") as file:
    json.dump(told, file)
"""


def environment(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **more,
    }


def start(words: list[str], **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *words],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def on_one_machine(words: list[str]) -> list[subprocess.Popen]:
    return [start(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *words])]


def on_two_machines(words: list[str]) -> list[subprocess.Popen]:
    """What torchrun tells the only process of each of two machines."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
    return [start(words, RANK=rank, GROUP_RANK=rank, **common) for rank in "01"]


def train(launch, folder: Path, *changes: str, broken: str = "none") -> tuple[list[dict], str]:
    """What the two processes tell, and what they print."""
    script = folder / "command.py"
    script.write_text(COMMAND)
    words = [str(script), str(folder), broken, str(TINY)]
    for change in (f"output={folder / 'run'}", *changes):
        words += ["--set", change]
    processes = launch(words)
    try:
        printed = "".join(process.communicate(timeout=240)[0] for process in processes)
    finally:
        for process in processes:
            process.kill()
    told = [folder / f"{rank}.json" for rank in range(2)]
    assert all(path.is_file() for path in told), printed[-4000:]
    return [json.loads(path.read_text()) for path in told], printed


LIFTING = (
    "task=lifting",
    "network={backbone: mobilenet, input_size: 128, lifting: true}",
    "data=[{name: poses, options: {pool: 20}}, {name: synthetic, options: {height: 128, "
    "width: 128, length: 9, supersampling: 1, max_people: 2}}]",
    "seen_pictures=6",
    "center=box",
)


@pytest.mark.parametrize(
    ("launch", "changes", "frozen"),
    [
        (on_one_machine, ["schedule.frozen=[backbone]"], "backbone."),
        (on_one_machine, ["task=pretraining", "schedule.backbone_rate=2"], "final_layers."),
        (on_two_machines, [*LIFTING], "backbone."),
    ],
    ids=["bodies", "pretraining", "lifting, two machines"],
)
def test_two_processes_train_one_network_on_unlike_samples(launch, changes, frozen, tmp_path):
    """Must show: layers without gradients do not end the run at its second step."""
    (first, second), _ = train(launch, tmp_path, *changes)
    for rank, told in enumerate((first, second)):
        assert (told["code"], told["rank"], told["world"], told["steps"]) == (0, rank, 2, 4)
    assert first["seen"] != second["seen"]
    shares = sorted((tmp_path / "run").glob("seen-people-*.pt"))
    if "task=lifting" in changes:
        assert [share.name for share in shares] == [
            "seen-people-0-of-2.pt",
            "seen-people-1-of-2.pt",
        ]
        assert shares[0].read_bytes() != shares[1].read_bytes()
    assert first["weights"] == second["weights"]
    from lightning.pytorch import seed_everything

    from romp_core.training.config import read_config
    from romp_core.training.run import make_network

    config = read_config(TINY, list(changes))
    seed_everything(config.seed, verbose=False)
    before = make_network(config).named_parameters()
    changed = {
        name
        for name, value in before
        if value.double().sum().item() != pytest.approx(first["weights"][name], rel=1e-9, abs=1e-9)
    }
    assert changed
    assert not any(name.startswith(frozen) for name in changed)


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        (["schedule.frozen=[backbone, final_layers.2]"], ("backbone.", "final_layers.2.")),
        (["schedule.backbone_rate=0"], ("backbone.conv1.", "backbone.layer4.")),
        (["task=pretraining"], ("final_layers.",)),
        (LIFTING, ("backbone.", "final_layers.", "refinement.")),
    ],
    ids=["frozen", "backbone_rate", "pretraining", "lifting"],
)
def test_layers_are_frozen_before_processes_agree_on_what_learns(changes, frozen):
    """Lightning wraps the module after `setup`, before `configure_optimizers`."""
    from romp_core.body.model import BodyModel
    from romp_core.training.config import read_config
    from romp_core.training.lifting import LiftingTraining
    from romp_core.training.module import RompTraining
    from romp_core.training.pretraining import Pretraining
    from romp_core.training.run import make_network

    config = read_config(TINY, list(changes))
    network, body = make_network(config), BodyModel.load("open")
    if config.task == "pretraining":
        module = Pretraining(network, config)
    elif config.task == "lifting":
        module = LiftingTraining(network, body, config)
    else:
        module = RompTraining(network, body, config)
    module.setup("fit")
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    assert learning
    assert not any(name.startswith(frozen) for name in learning)
    module.configure_optimizers()
    assert learning == {name for name, value in network.named_parameters() if value.requires_grad}


def test_a_loss_that_is_not_finite_in_one_process_stops_all_of_them(tmp_path):
    told, printed = train(on_one_machine, tmp_path, broken="1")
    assert [each["code"] for each in told] == [2, 2]
    assert printed.count("the loss is no longer finite") == 2
    assert (tmp_path / "run" / "stopped.ckpt").is_file()
    # Both name the samples of the process whose loss it was.
    sentences = [line for line in printed.splitlines() if "no longer finite" in line]
    assert all(told[1]["seen"][-1] in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "LOCAL_WORLD_SIZE=None.*Start with torchrun"),
        ({"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2"}, "as many processes on every machine"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'; expected a number"),
    ],
)
def test_processes_that_would_train_alone_are_refused(variables, message, monkeypatch):
    from romp_core.training.processes import trainer_options

    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        trainer_options()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    from romp_core.training import processes

    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(processes.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"started 4 processes .* has 1 GPUs"):
        processes.trainer_options()


@pytest.mark.parametrize(
    ("wanted", "cuda", "bfloat16", "expected"),
    [
        ("auto", False, True, "bf16-mixed"),
        ("auto", False, False, "32-true"),
        ("auto", True, True, "bf16-mixed"),
        ("auto", True, False, "16-mixed"),
        ("16-mixed", True, True, "16-mixed"),
        ("16-mixed", False, False, "32-true"),
        ("bf16-mixed", False, False, "bf16-mixed"),
        ("32-true", False, True, "32-true"),
    ],
)
def test_precision_is_one_that_the_device_is_made_for(
    wanted, cuda, bfloat16, expected, monkeypatch
):
    from romp_core.training import processes

    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(processes, "multiplies_bfloat16", lambda: bfloat16)
    assert processes.fitting_precision(wanted) == expected
