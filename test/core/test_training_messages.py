"""What training refuses, in one sentence, before anything starts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from romp_core.checkpoints import read_checkpoint, write_checkpoint
from romp_core.cli import main
from romp_core.commands import train as commands
from romp_core.data.augmentation import AugmentationConfig
from romp_core.errors import CheckpointError, ConfigError
from romp_core.network import NetworkConfig, build_network
from romp_core.training.config import DataConfig, ScheduleConfig, read_config

pytest.importorskip("lightning", reason="the training extra is not installed")
TINY = Path(__file__).resolve().parents[2] / "config" / "training" / "tiny.yaml"
LIFTING = ("network.backbone=mobilenet", "network.lifting=true")


def tiny(*changes: str):
    return read_config(TINY, list(changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schedule.epoch=3", r"tiny.yaml: there is no key 'schedule.epoch'; did you mean"),
        ("data.0.probablity=1", r"no key 'data.0.probablity'; did you mean 'data.0.probability'"),
        ("schedul.epochs=3", r"no key 'schedul'; did you mean 'schedule'"),
        ("network.xyz=3", r"no key 'network.xyz'; expected one of backbone, input_size, "),
        ("losses=3", r"losses is 3; expected keys out of center, "),
        ("data=[3]", r"data.0 is 3; expected keys out of name, "),
        ("x=[a", r"--set 'x=\[a': the value is not YAML: expected ',' or '\]'"),
        ("size=400", "size is 400; expected a multiple of 64"),
        ("size=0", "size is 0; expected a multiple of 64"),
        ("seed=-1", "seed is -1; expected 0 to"),
        ("schedule.precision=foo", "schedule.precision is 'foo'; expected one of auto, 32-true, "),
        ("schedule.decay=linear", "schedule.decay is 'linear'; expected one of cosine, "),
        ("schedule.batch_size=0", "schedule.batch_size is 0; expected 1 or more"),
        ("schedule.epochs=-1", "schedule.epochs is -1; expected 1 or more"),
        ("schedule.workers=-1", "schedule.workers is -1; expected 0 or more"),
        ("schedule.weight_decay=.nan", "schedule.weight_decay is nan; expected 0 or more"),
        ("schedule.learning_rate=0", "schedule.learning_rate is 0.0; expected more than 0"),
        ("schedule.averaging=1", "schedule.averaging is 1.0; expected 0 or more, less than 1"),
        ("schedule.crop=[2, 0]", r"schedule.crop is \[2.0, 0.0\]; expected two probabilities"),
        ("schedule.learning_rate=.inf", "schedule.learning_rate is inf; expected more than 0, fin"),
        ("schedule.weight_decay=.inf", "schedule.weight_decay is inf; expected 0 or more, finite"),
        ("losses.center=-1", "losses.center is -1.0; expected 0 or more, finite"),
        ("losses.prior=.nan", "losses.prior is nan; expected 0 or more, finite"),
        ("losses.pose=.inf", "losses.pose is inf; expected 0 or more, finite"),
        ("losses.refined=1", "losses.refined is 1.0; expected 0, or network.lifting to be true"),
        ("losses.heatmaps=1", "losses.heatmaps is 1.0; expected 0, or network.lifting"),
        ("losses.offsets=1", "losses.offsets is 1.0; expected 0, or network.lifting"),
        ("losses.size=1", "losses.size is 1.0; expected 0, or network.lifting"),
        ("augmentation.flip=2", "augmentation.flip is 2.0; expected a probability, 0 to 1"),
        ("augmentation.jpeg=.nan", "augmentation.jpeg is nan; expected a probability, 0 to 1"),
        ("augmentation.zoom=[0, 0]", r"augmentation.zoom is \[0.0, 0.0\]; expected smallest and"),
        ("augmentation.zoom=[2, 1]", r"augmentation.zoom is \[2.0, 1.0\]; expected smallest and"),
        ("augmentation.crop_scale=[-1, 1]", r"augmentation.crop_scale is \[-1.0, 1.0\]; expected"),
        ("augmentation.rotation_deg=.nan", "augmentation.rotation_deg is nan; expected degrees"),
        ("augmentation.shift=9", "augmentation.shift is 9.0; expected a share of the side"),
        ("car_gamma=-1", "car_gamma is -1.0; expected 0 or more, finite"),
        ("car_gamma=.nan", "car_gamma is nan; expected 0 or more, finite"),
        ("data.0.probability=.nan", "probability of data synthetic is nan; expected 0 or more"),
        ("data=[{name: poses, options: {pool: 0}}]", "options.pool of data poses is 0; expected a"),
        ("output=null", "output is null; expected a value"),
        ("losses.pose=null", "losses.pose is null; expected a value"),
    ],
)
def test_the_configuration(change, message):
    with pytest.raises(ConfigError, match=message) as raised:
        tiny(change)
    assert "\n" not in str(raised.value)


def test_extremes_are_accepted():
    ScheduleConfig(warmup_steps=0, gradient_clip=0, workers=0, averaging=0, crop=(0, 1))
    AugmentationConfig(flip=0, rotate=1, rotation_deg=180, zoom=(1, 1), shift=0)
    assert tiny("car_gamma=0", "prior=null", "losses.pose=0").prior is None
    assert tiny(*LIFTING, "losses.refined=1").losses.refined == 1


def test_a_configuration_that_is_no_utf_8(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("# für\n".encode("latin-1") + TINY.read_bytes())
    with pytest.raises(ConfigError, match=r"latin\.yaml is not a text in UTF-8: .*; save it as"):
        read_config(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rendered", "'rendered': root is missing"),
        ("coco", "'coco': root is missing"),
        ("synthetics", "no data set 'synthetics'; expected one of synthetic, rendered, 3doh50k, "),
        ("poses", "poses are for task lifting only"),
    ],
)
def test_data_sets(name, message):
    from romp_core.training.run import make_source

    with pytest.raises(ConfigError, match=message):
        make_source(DataConfig(name))


def written(folder: Path, network: NetworkConfig, **meaning) -> Path:
    path = folder / "weights.safetensors"
    write_checkpoint(
        path, build_network(network), **({"root_align": True, "body": "open_body"} | meaning)
    )
    return path


@pytest.mark.parametrize(
    ("option", "value", "there", "here"),
    [
        ("levels", 2, "1", "2"),
        ("head_channels", 32, "64", "32"),
        ("head_blocks", 1, "2", "1"),
        ("lifting", False, "true", "false"),
    ],
)
def test_initial_weights_of_other_layers(option, value, there, here, tmp_path):
    from romp_core.training.run import make_network

    path = written(tmp_path, tiny(*LIFTING).network)
    config = tiny(*LIFTING, f"initial={path}", f"network.{option}={str(value).lower()}")
    with pytest.raises(CheckpointError) as raised:
        make_network(config)
    sentence = f"initial weights {path} do not fit the network of the configuration: {option} is "
    sentence += f"{there} in the weights, {here} in the configuration."
    assert sentence in str(raised.value)


def test_initial_weights_of_the_same_layers_fit_other_sizes_and_strides(tmp_path):
    from romp_core.training.run import make_network

    path = written(tmp_path, tiny().network)
    config = tiny(
        f"initial={path}",
        "network.input_size=256",
        "network.map_stride=16",
        "network.center_sigmoid=false",
    )
    expected = read_checkpoint(path).state
    for key, value in make_network(config).state_dict().items():
        torch.testing.assert_close(value, expected[key], msg=key)


@pytest.mark.parametrize(
    ("meaning", "message"),
    [
        ({"root_align": False}, "root_align false, the configuration has true: set root_align="),
        ({"body": "smpl"}, "body 'smpl', the configuration's body, open, is 'open_body': set body"),
    ],
)
def test_initial_weights_whose_bodies_mean_something_else(meaning, message, tmp_path):
    from romp_core.training.run import make_network

    path = written(tmp_path, tiny().network, **meaning)
    config = tiny(f"initial={path}")
    with pytest.raises(CheckpointError, match=message):
        make_network(config)
    make_network(replace(config, task="pretraining"))  # learns no bodies
    if "root_align" in meaning:
        make_network(replace(config, root_align=False))
    written(tmp_path, tiny().network, bodies=False, **meaning)
    make_network(config)


def test_pretraining_leaves_it_to_its_initial_weights_whether_bodies_are_known(tmp_path):
    from romp_core.training.starting import learns_bodies

    assert learns_bodies(tiny())
    assert not learns_bodies(tiny("task=pretraining"))
    assert not learns_bodies(tiny("task=pretraining", "initial=movenet:weights.json"))
    for bodies in (True, False):
        path = written(tmp_path, tiny().network, bodies=bodies)
        assert learns_bodies(tiny("task=pretraining", f"initial={path}")) == bodies


def test_frozen_layers_that_do_not_exist():
    from romp_core.training.starting import check_frozen, make_network

    network = make_network(tiny())
    check_frozen(network, ScheduleConfig(frozen=("backbone.layer1", "final_layers.2")))
    with pytest.raises(ConfigError, match=r"begins with Backbone; .* such as backbone, final_la"):
        check_frozen(network, ScheduleConfig(frozen=("backbone", "Backbone")))


@pytest.mark.parametrize(
    "changes",
    [
        ["schedule.frozen=[backbone, final_layers]"],
        ["schedule.frozen=[lifting]", "task=lifting", "data=[{name: poses}]", *LIFTING],
        ["schedule.frozen=[backbone]", "task=pretraining"],
    ],
)
def test_to_freeze_everything(changes, tmp_path, capsys):
    words = ["train", str(TINY), "--set", f"output={tmp_path}"]
    for change in changes:
        words += ["--set", change]
    assert main(words) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert "nothing of the network is left to learn: " in sentence
    assert "schedule.frozen (" in sentence


def test_training_without_lightning_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[training\]'"):
        commands.train(TINY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Output of a run of one step."""
    from romp_core.training.run import train

    output = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(f"output={output}", "schedule.epochs=1", "schedule.steps_per_epoch=1"))
    return output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["network.head_channels=32"], "head_channels is 64 in the weights, 32 in the config"),
        (["network.backbone=mobilenet"], "backbone is resnet18 in the weights, mobilenet in"),
        (["task=pretraining"], "is of another network: differing layers: heads"),
        (["schedule.frozen=[backbone]"], "a run in which other layers learnt"),
        (["schedule.backbone_rate=0"], "a run in which other layers learnt"),
    ],
)
def test_to_resume_another_run(changes, message, finished, capsys):
    words = ["train", str(TINY), "--resume", "--set", f"output={finished}"]
    for change in changes:
        words += ["--set", change]
    assert main(words) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert message in sentence
    assert "resume with the configuration it was written by" in sentence


def test_to_resume_from_a_damaged_checkpoint(finished, tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes()[:9999])
    words = ["train", str(TINY), "--set", f"output={tmp_path}"]
    assert main([*words, "--resume"]) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert f"{last} is damaged" in sentence
    assert f"with another output or after removing {tmp_path}" in sentence
    assert main(words) == 2  # which is why


def test_to_start_where_weights_are(finished, tmp_path, capsys):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes((finished / weights.name).read_bytes())
    before = weights.read_bytes()
    words = ["train", str(TINY), "--set", f"output={tmp_path}"]
    assert main(words) == 2
    assert f"{weights} are there already" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words, "--resume"]) == 2
    assert f"or after removing {tmp_path}" in capsys.readouterr().err.splitlines()[-1]
    assert weights.read_bytes() == before


class Evil:
    """What a pickle asks to run."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_to_resume_from_a_checkpoint_that_runs_code(finished, tmp_path, capsys):
    """Must show: nothing in it is run."""
    last, ran = tmp_path / "checkpoints" / "last.ckpt", tmp_path / "ran"
    last.parent.mkdir()
    content = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(content | {"evil": Evil(ran)}, last)
    assert main(["train", str(TINY), "--resume", "--set", f"output={tmp_path}"]) == 2
    assert "nothing in it was run" in capsys.readouterr().err.splitlines()[-1]
    assert not ran.exists()


def test_the_same_run_resumes(finished):
    from romp_core.training.run import train

    train(
        tiny(f"output={finished}", "schedule.epochs=2", "schedule.steps_per_epoch=1"), resume=True
    )
    last = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2


def test_overlays_draw_bones_between_labelled_joints_only():
    import numpy as np

    from romp_core.training.run import _draw_skeletons

    people = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 24, 2))
    known = np.zeros((1, 24), bool)
    known[0, [0, 1]] = True
    people[0, [0, 1]] = [[-0.5, 0], [0.5, 0]]
    picture = np.zeros((64, 64, 3), np.uint8)
    _draw_skeletons(picture, people, known, (255, 255, 255))
    rows, columns = picture[..., 0].nonzero()
    assert len(rows) > 20
    assert set(rows) <= {31, 32, 33}
    assert 15 <= columns.min() <= 17
    assert 47 <= columns.max() <= 49
