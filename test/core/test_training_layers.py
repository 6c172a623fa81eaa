"""Which layers learn, how fast, and from what."""

import pytest
import torch
from training_factory import tiny

pytest.importorskip("lightning", reason="the training extra is not installed")


@pytest.mark.filterwarnings("ignore")
def test_frozen_layers_do_not_learn(tmp_path):
    from romp_core.training.run import make_network
    from romp_core.training.schedule import make_optimizer

    config = tiny(
        tmp_path, "schedule.frozen=[final_layers.1, backbone.layer]", "schedule.backbone_rate=0.5"
    )
    network = make_network(config)
    groups = make_optimizer(network, config.schedule)["optimizer"].param_groups
    learning = {id(parameter) for group in groups for parameter in group["params"]}
    for name, parameter in network.named_parameters():
        frozen = name.startswith(("final_layers.1", "backbone.layer"))
        assert parameter.requires_grad != frozen, name
        assert (id(parameter) in learning) != frozen, name


@pytest.mark.parametrize("kind", ["resnet18", "mobilenet"])
def test_a_frozen_backbone_does_not_change(tmp_path, kind):
    """Nor do its batch norms' statistics, though the rest trains."""
    from romp_core.body.model import BodyModel
    from romp_core.training.batch import collate
    from romp_core.training.module import RompTraining
    from romp_core.training.run import make_network, make_source

    config = tiny(
        tmp_path,
        "schedule.frozen=[backbone]",
        f"network.backbone={kind}",
        f"network.lifting={kind == 'mobilenet'}",
        "losses.similarity=1",
    )
    network = make_network(config)
    module = RompTraining(network, BodyModel.load("open"), config)
    module.on_fit_start()
    module.configure_optimizers()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    source = make_source(config.data[0])
    batch = collate([source[index] for index in range(2)])
    found = module.losses(batch)
    assert {"center", "pose", "similarity"} <= set(found)
    sum(found.values()).backward()
    assert all(parameter.grad is None for parameter in network.backbone.parameters())
    assert any(parameter.grad is not None for parameter in network.final_layers.parameters())
    for name, value in network.backbone.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=0, rtol=0, msg=name)
    assert network.final_layers.training


def test_refinement_learns_from_the_bodies_that_a_frozen_lifting_makes(tmp_path):
    from romp_core.body.model import BodyModel
    from romp_core.training.batch import collate
    from romp_core.training.module import RompTraining
    from romp_core.training.run import make_network, make_source

    config = tiny(
        tmp_path,
        "schedule.frozen=[backbone, lifting]",
        "network={backbone: mobilenet, input_size: 128, lifting: true, levels: 2, "
        "head_blocks: 1, center_sigmoid: true}",
        "initial=open",
    )
    network = make_network(config)
    module = RompTraining(network, BodyModel.load("open"), config)
    module.setup("fit")
    source = make_source(config.data[0])
    found = module.losses(collate([source[index] for index in range(3)]))
    (found["pose"] + found["joints"]).backward()
    # Of what a round says, keypoints, confidence and depth, each makes other bodies.
    assert (network.refinement.output.weight.grad.abs().amax(1) > 0).all()
    assert all(parameter.grad is None for parameter in network.lifting.parameters())


def test_rates_relative_to_the_size_of_layers(tmp_path):
    from romp_core.training.run import make_network
    from romp_core.training.schedule import make_optimizer

    config = tiny(
        tmp_path, "schedule.backbone_rates=relative", "schedule.backbone_rate=2", "seed=1"
    )
    network = make_network(config)
    first, last = network.backbone.conv1.weight, network.backbone.layer4[0].conv1.weight
    with torch.no_grad():
        last.mul_(64 * first.std() / last.std())
    groups = make_optimizer(network, config.schedule)["optimizer"].param_groups
    rates = {id(each): group["initial_lr"] for group in groups for each in group["params"]}
    assert rates[id(last)] / rates[id(first)] == pytest.approx(64, rel=0.1)
    expected = 2 * config.schedule.learning_rate * first.std().item()
    assert rates[id(first)] == pytest.approx(expected, rel=0.1)
