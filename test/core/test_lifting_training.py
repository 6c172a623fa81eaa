"""What the lifting learns from: posed people, and people of pictures as they are seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from romp_core.cli import main
from romp_core.errors import ConfigError, DataError

pytest.importorskip("lightning", reason="the training extra is not installed")
TINY = Path(__file__).resolve().parents[2] / "config" / "training" / "tiny.yaml"
SYNTHETIC = (
    "{name: synthetic, options: {height: 128, width: 128, length: 9, supersampling: 1, "
    "max_people: 3}}"
)
CHANGES = [
    "task=lifting",
    "network={backbone: mobilenet, input_size: 128, lifting: true, levels: 2, head_blocks: 1, "
    "center_sigmoid: true}",
    "initial=open",
    "center=box",
    f"data=[{{name: poses, options: {{pool: 20}}}}, {SYNTHETIC}]",
    "seen_pictures=6",
    "size=64",  # of other tasks: this one looks at what inference would
    "losses.similarity=200",
]


def lifting_config(*changes: str):
    from romp_core.training.config import read_config

    return read_config(TINY, [*CHANGES, *changes])


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """People of some pictures, as the open model sees them."""
    from romp_core.body.model import BodyModel
    from romp_core.errors import RendererError
    from romp_core.training.lifting import LiftingTraining
    from romp_core.training.run import make_network, make_trainer, see_people

    config = lifting_config(f"output={tmp_path_factory.mktemp('seen')}")
    module = LiftingTraining(make_network(config), BodyModel.load("open"), config)
    try:
        return see_people(config, module, make_trainer(config, "open_body"), resume=False)
    except RendererError as error:
        pytest.skip(str(error))


def test_what_is_seen_belongs_to_whom_it_is_of(seen):
    from romp_core.training.evidence import COCO

    assert len(seen) > 4
    truth = seen.people.keypoints[:, COCO].mean(1)
    found = seen.evidence.keypoints.mean(1)
    own = (found - truth).norm(dim=-1)
    nearest = torch.cdist(found, truth).amin(1)
    assert (own == nearest).float().mean() > 0.5
    assert own.median() < 0.2
    assert seen.evidence.confidence.shape == seen.evidence.depth.shape == (len(seen), 17)
    assert seen.people.has_pose.all()
    assert seen.people.has_betas.all()


def test_seen_people_are_kept_and_drawn(seen, tmp_path):
    from romp_core.training.seen_people import SeenPeople

    path = tmp_path / "runs" / "seen.pt"
    assert SeenPeople.read(path, "these") is None
    seen.write(path, "these")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["seen.pt"]
    assert SeenPeople.read(path, "others") is None
    read = SeenPeople.read(path, "these")
    for there, here in zip(read.evidence, seen.evidence, strict=True):
        assert torch.equal(there, here)
    for name, value in vars(seen.people).items():
        assert torch.equal(getattr(read.people, name), value), name
    drawn = read.drawn(50, np.random.default_rng(0))
    assert len(drawn) == 50
    # What is seen and what is true stay together.
    row = (seen.people.keypoints == drawn.people.keypoints[7]).flatten(1).all(1).nonzero()[0, 0]
    assert torch.equal(seen.evidence.keypoints[row], drawn.evidence.keypoints[7])


def test_losses_are_means_over_posed_and_seen_people(seen):
    from romp_core.body.model import BodyModel
    from romp_core.training.lifting import LiftingBatch, LiftingTraining
    from romp_core.training.posed_people import PoseStream
    from romp_core.training.run import make_network

    config = lifting_config()
    module = LiftingTraining(make_network(config), BodyModel.load("open"), config).eval()
    posed = PoseStream(len(seen), pool=20)[0]

    def losses(batch: LiftingBatch) -> dict[str, float]:
        torch.manual_seed(0)
        return {name: value.item() for name, value in module.losses(batch).items()}

    alone, both = losses(LiftingBatch(posed)), losses(LiftingBatch(posed, seen))
    assert set(alone) == {
        "pose", "betas", "joints", "aligned_joints", "keypoints", "similarity",
    }  # fmt: skip
    lifting = module.network.lifting
    guesses = lifting.rounds(module.network.size.told(seen.looks.float(), seen.evidence))
    bodies = module.decoder(torch.cat(guesses), with_vertices=False)
    of_seen = module.body_losses(bodies, seen.people.repeated(len(guesses)))
    for name in ("pose", "betas", "joints"):
        expected = (alone[name] + of_seen[name].item()) / 2
        assert both[name] == pytest.approx(expected, rel=1e-4), name
    # As good as the weights are: a posed person's guess is near what it was made of.
    assert alone["similarity"] < 0.3


def test_noise_is_a_batchs_own():
    """Wart: it was the process', which a resumed run, and each of several, began anew."""
    from romp_core.body.model import BodyModel
    from romp_core.training.lifting import LiftingBatch, LiftingTraining
    from romp_core.training.posed_people import PoseStream
    from romp_core.training.run import make_network

    config = lifting_config()
    module = LiftingTraining(make_network(config), BodyModel.load("open"), config)
    streams = PoseStream(3, seed=0, pool=20), PoseStream(3, seed=1, pool=20)

    def pose_loss(stream: PoseStream, number: int) -> float:
        return module.losses(LiftingBatch(stream[number]))["pose"].item()

    torch.manual_seed(0)
    found = [pose_loss(stream, number) for stream in streams for number in (0, 1)]
    assert len(set(found)) == len(found)
    assert pose_loss(streams[0], 1) == found[1]
    assert streams[0][0].seed != streams[1][0].seed


def test_size_is_learnt_where_its_loss_counts(seen):
    from romp_core.body.model import BodyModel
    from romp_core.training.lifting import LiftingBatch, LiftingTraining
    from romp_core.training.posed_people import PoseStream
    from romp_core.training.run import make_network

    posed = PoseStream(len(seen), pool=20)[0]
    for weight in (0, 50):
        config = lifting_config(f"losses.size={weight}")
        module = LiftingTraining(make_network(config), BodyModel.load("open"), config).train()
        losses = module.losses(LiftingBatch(posed, seen))
        assert ("size" in losses) == (weight > 0)
        losses.get("size", losses["betas"]).backward()
        of_size = module.network.size.output.weight.grad
        assert (of_size is not None and of_size.abs().max() > 0) == (weight > 0)
        assert module.network.size.forget.training == (weight > 0)


def test_a_resumed_run_sees_the_batches_that_are_left(seen):
    from romp_core.training.lifting import make_lifting_loader
    from romp_core.training.posed_people import PoseStream

    def loader():
        return make_lifting_loader(lifting_config(), PoseStream(3, pool=20), seen)

    def content(batch):
        return torch.cat([batch.posed.rotations.flatten(), batch.seen.people.keypoints.flatten()])

    whole, resumed = loader(), loader()
    first = [content(batch) for batch in whole]
    for each in (whole, resumed):
        each.sampler.set_epoch(1)  # as Lightning does before each epoch
    second = [content(batch) for batch in whole]
    assert len(first) == len(second) == lifting_config().schedule.steps_per_epoch
    assert len({tuple(batch.tolist()) for batch in first + second}) == 2 * len(first)
    for there, here in zip(resumed, second, strict=True):
        assert torch.equal(content(there), here)


def test_a_run_learns_the_lifting_alone_and_looks_at_pictures_once(seen, tmp_path, monkeypatch):
    from romp_core.checkpoints import read_checkpoint
    from romp_core.training import run

    def changed(before: str | Path, after: Path) -> set[str]:
        one, other = read_checkpoint(before).state, read_checkpoint(after).state
        return {name for name in one if not torch.equal(one[name].float(), other[name].float())}

    words = ["train", str(TINY)]
    for change in (*CHANGES, f"output={tmp_path}", "schedule.learning_rate=1e-3"):
        words += ["--set", change]
    assert main(words) == 0
    weights = tmp_path / "weights.safetensors"
    assert changed("open", weights)
    assert all(name.startswith("lifting.") for name in changed("open", weights))

    before = weights.rename(tmp_path / "before.safetensors")
    looked = []
    look_at = run.look_at
    monkeypatch.setattr(run, "look_at", lambda *args: looked.append(1) or look_at(*args))
    assert main([*words, "--set", "schedule.epochs=3", "--resume"]) == 0
    assert changed(before, weights)
    assert not looked
    # Other pictures than those that were looked at.
    resumed = ["--set", "schedule.epochs=4", "--set", "seen_pictures=5", "--resume"]
    assert main([*words, *resumed]) == 0
    assert looked


def test_wrong_poses_are_refused_before_pictures_are_looked_at(tmp_path, monkeypatch, capsys):
    from romp_core.training import run

    monkeypatch.setattr(run, "look_at", None)
    words = ["train", str(TINY)]
    for change in (*CHANGES, f"output={tmp_path}", "data.0.options.pol=3"):
        words += ["--set", change]
    assert main(words) == 2
    assert "options of data set 'poses'" in capsys.readouterr().err


def test_pictures_without_people_are_refused():
    from romp_core.body.model import BodyModel
    from romp_core.data.sample import Sample
    from romp_core.training.batch import collate
    from romp_core.training.lifting import LiftingTraining
    from romp_core.training.run import make_network
    from romp_core.training.seen_people import look_at

    config = lifting_config()
    module = LiftingTraining(make_network(config), BodyModel.load("open"), config)
    nobody = collate([Sample(image=np.zeros((128, 128, 3), np.uint8), source="nobody")])
    with pytest.raises(DataError, match="nobody is in any of the pictures"):
        look_at([nobody], module.network, module.body_losses, config, torch.device("cpu"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"[{SYNTHETIC}]", "0 entries of data are named poses, expected one"),
        ("[{name: poses}, {name: poses}]", "2 entries of data are named poses, expected one"),
    ],
)
def test_lifting_without_poses_is_refused(data, message):
    from romp_core.training.lifting import split_data

    with pytest.raises(ConfigError, match=message):
        split_data(lifting_config(f"data={data}"))
