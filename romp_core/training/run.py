"""A training run: configuration to trained weights, through Lightning."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader

from romp_core.body.joints import SMPL_PARENTS
from romp_core.body.model import BodyModel
from romp_core.checkpoints import body_family, write_checkpoint
from romp_core.data.mixing import MixedSamples, NumberSampler, SampleSource
from romp_core.errors import ConfigError, TrainingError
from romp_core.training.batch import Batch, collate
from romp_core.training.config import DataConfig, TrainingConfig
from romp_core.training.lifting import (
    LiftingTraining,
    make_lifting_loader,
    make_pose_stream,
    split_data,
)
from romp_core.training.module import RompTraining
from romp_core.training.pretraining import Pretraining
from romp_core.training.prior import load_prior
from romp_core.training.processes import fitting_precision, told_plainly, trainer_options
from romp_core.training.saving import WholeCheckpoints
from romp_core.training.seen_people import SeenPeople, look_at
from romp_core.training.starting import (
    CHECKPOINT_NAME,
    WEIGHTS_NAME,
    check_frozen,
    check_resumable,
    check_unused,
    learns_bodies,
    make_network,
)

_OVERLAYS = 4
_NAMED_WEIGHTS = 3


@told_plainly()
def train(config: TrainingConfig, *, resume: bool = False) -> Path:
    """Train a network.

    Under torchrun every process trains on its own share of each epoch and gradients are
    averaged.

    Args:
        config: the run.
        resume: go on from the last checkpoint in `config.output`.

    Returns:
        The file of the trained (averaged) weights.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingError: see the messages.
        SIGTERMException: Lightning's, after the step during which the process was told to end.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    body = BodyModel.load(config.body)
    if config.task == "pretraining":
        module = Pretraining(make_network(config), config)
    elif config.task == "lifting":
        module = LiftingTraining(make_network(config), body, config)
    else:
        prior = load_prior(config.prior) if config.prior else None
        module = RompTraining(make_network(config), body, config, prior)
    epoch, last = 0, None
    if resume:
        epoch, last = check_resumable(module, config), config.output / CHECKPOINT_NAME
    else:
        check_unused(config.output)
    check_frozen(module.network, config.schedule)
    trainer = make_trainer(config, body_family(body))
    place = trainer.global_rank, trainer.world_size
    if config.task == "lifting":
        stream = make_pose_stream(config, *place)  # what is wrong with poses shows at once
        seen = see_people(config, module, trainer, resume=resume)
        loader = make_lifting_loader(config, stream, seen)
    else:
        loader = make_loader(config, *place)
    # Lightning says so too, but after it has asked for the first samples.
    loader.sampler.set_epoch(epoch)
    trainer.fit(module, loader, ckpt_path=last, weights_only=True)
    return config.output / WEIGHTS_NAME


def see_people(
    config: TrainingConfig, module: LiftingTraining, trainer: Trainer, *, resume: bool
) -> SeenPeople | None:
    """People of the configuration's pictures as the network sees them before it learns.

    They are kept in the output folder, for a run that is resumed.

    Returns:
        This process' share; None where there are no pictures to look at.
    """
    _, pictures = split_data(config)
    if not pictures:
        return None
    rank, processes = trainer.global_rank, trainer.world_size
    looked_at = replace(
        config,
        data=pictures,
        size=config.network.input_size,
        schedule=replace(
            config.schedule,
            batch_size=1,
            epochs=1,
            steps_per_epoch=-(-config.seen_pictures // processes),
            crop=(config.schedule.crop[0],) * 2,
        ),
    )
    kept = config.output / f"seen-people-{rank}-of-{processes}.pt"
    # All that decides who is looked at, how they are seen, and what is known of them.
    origin = repr((looked_at.data, config.seen_pictures, config.seed, config.augmentation,
                   config.initial, config.network, looked_at.schedule.crop, config.center,
                   config.car_gamma, config.body))  # fmt: skip
    seen = SeenPeople.read(kept, origin) if resume else None
    if seen is None:
        batches = make_loader(looked_at, rank, processes)
        device = trainer.strategy.root_device
        seen = look_at(batches, module.network, module.body_losses, config, device)
        seen.write(kept, origin)
    return seen


def make_source(data: DataConfig) -> SampleSource:
    """A data set of the mix.

    Raises:
        ConfigError: an unknown data set or option.
        DataError: its files are not there.
    """
    from romp_core.data.readers import READERS, open_data_set

    kinds = ("synthetic", "rendered", *READERS)
    if data.name not in kinds:
        lifting = "; poses are for task lifting only" if data.name == "poses" else ""
        raise ConfigError(
            f"there is no data set {data.name!r}; expected one of {', '.join(kinds)}{lifting}"
        )
    options = dict(data.options)
    if data.name != "synthetic" and options.get("root") is None:
        raise ConfigError(
            f"options of data set {data.name!r}: root is missing; expected options: "
            "{root: FOLDER}, the folder that it lies in"
        )
    try:
        if data.name == "synthetic":
            from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople

            seed = options.pop("seed", 1)
            return SyntheticPeople(SyntheticConfig(**options), seed)
        if data.name == "rendered":
            from romp_core.data.synthetic.disk import RenderedPeople

            return RenderedPeople(Path(options.pop("root")), **options)
        return open_data_set(data.name, **options)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"options of data set {data.name!r}: {error}") from error


def make_loader(config: TrainingConfig, rank: int = 0, processes: int = 1) -> DataLoader:
    """Batches of one process."""
    schedule = config.schedule
    samples = schedule.batch_size * schedule.steps_per_epoch
    first, second = schedule.crop
    halfway = schedule.epochs // 2 * samples * processes
    mixed = MixedSamples(
        [make_source(data) for data in config.data],
        [data.probability for data in config.data],
        config.size,
        config.augmentation,
        [(0, first), (halfway, second)],
        config.seed,
    )
    return DataLoader(
        mixed,
        batch_size=schedule.batch_size,
        sampler=NumberSampler(samples, rank, processes),
        collate_fn=collate,
        num_workers=schedule.workers,
        persistent_workers=schedule.workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        # A forked worker would share its parent's OpenGL context.
        multiprocessing_context="spawn" if schedule.workers else None,
    )


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def make_trainer(config: TrainingConfig, body: str) -> Trainer:
    """Lightning's trainer with checkpoints, averaging, logs and pictures.

    Raises:
        ConfigError: see `trainer_options`.
    """
    schedule = config.schedule
    return Trainer(
        default_root_dir=config.output,
        **trainer_options(),
        max_epochs=schedule.epochs,
        precision=fitting_precision(schedule.precision),
        gradient_clip_val=schedule.gradient_clip,
        use_distributed_sampler=False,
        log_every_n_steps=10,
        logger=TensorBoardLogger(config.output, name="logs", version=""),
        plugins=[WholeCheckpoints()],
        callbacks=[
            AveragedWeights(config, body),
            # Without a counter, which would leave `last.ckpt` behind where a folder was moved.
            ModelCheckpoint(
                (config.output / CHECKPOINT_NAME).parent,
                "epoch",
                save_last="link",
                enable_version_counter=False,
            ),
            *([Overlays()] if config.task == "bodies" else []),
        ],
    )


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights, written after every epoch.

    Args:
        config: the run.
        body: family of the body that betas belong to.
    """

    def __init__(self, config: TrainingConfig, body: str):
        super().__init__(avg_fn=get_ema_avg_fn(config.schedule.averaging))
        self.config, self.body = config, body
        self.bodies = learns_bodies(config)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the weights that inference loads.

        Raises:
            TrainingError: some are NaN or infinite; nothing is written, no checkpoint either.
            CheckpointError: they cannot be written.
        """
        super().on_train_epoch_end(trainer, pl_module)
        output, network = self.config.output, self._average_model.module.network
        broken = [
            name for name, value in network.state_dict().items() if not torch.isfinite(value).all()
        ]
        if broken:
            raise TrainingError(
                f"weights are no longer finite after epoch {trainer.current_epoch} "
                f"({', '.join(broken[:_NAMED_WEIGHTS])}: {len(broken)} in all); what the epochs "
                f"before have written in {output} is kept. Start from its {WEIGHTS_NAME} with a "
                "lower schedule.learning_rate and another output"
            )
        if trainer.is_global_zero:
            write_checkpoint(
                output / WEIGHTS_NAME,
                network,
                root_align=self.config.root_align,
                body=self.body,
                bodies=self.bodies,
            )


class Overlays(Callback):
    """Skeletons of annotation (white) and prediction (green) over the epoch's first pictures."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: RompTraining, outputs: object, batch: Batch, index: int
    ) -> None:
        """Draw into TensorBoard."""
        if index or not trainer.is_global_zero:
            return
        pictures = [
            draw_batch(pl_module, batch, number)
            for number in range(_OVERLAYS)
            if number < len(batch.images)
        ]
        trainer.logger.experiment.add_image(
            "people", np.hstack(pictures), trainer.global_step, dataformats="HWC"
        )


def draw_batch(module: RompTraining, batch: Batch, number: int) -> np.ndarray:
    """One picture of a batch with both skeletons, (S, S, 3) uint8 RGB."""
    from romp_core.center_map import decode

    picture = np.ascontiguousarray(batch.images[number].permute(1, 2, 0).cpu().numpy())
    module.eval()  # else one picture would count as a batch in the batch norms' statistics
    with torch.inference_mode():
        images = batch.images[number : number + 1].float()
        maps = module.network(images)
        found = decode(maps.center_map, maps.params_map)
        bodies = module.decoder(found.params[found.valid].float(), with_vertices=False)
    module.train()
    valid = batch.valid[number]
    annotated, labeled = (
        values[number, valid, :24].cpu().numpy() for values in (batch.keypoints, batch.labeled)
    )
    _draw_skeletons(picture, annotated, labeled, (255, 255, 255))
    predicted = bodies.projected[:, :24].cpu().numpy()
    _draw_skeletons(picture, predicted, np.ones(predicted.shape[:2], bool), (0, 255, 0))
    return picture


def _draw_skeletons(
    picture: np.ndarray, people: np.ndarray, known: np.ndarray, color: tuple[int, int, int]
) -> None:
    """Draw bones of (K, 24, 2) joints, -1..1, where both ends are known, (K, 24) bool."""
    for person, there in zip((people + 1) * len(picture) / 2, known, strict=True):
        for joint, parent in enumerate(SMPL_PARENTS[1:], 1):
            if there[joint] and there[parent]:
                ends = person[[joint, parent]].round().clip(-9999, 9999).astype(int).tolist()
                cv2.line(picture, ends[0], ends[1], color, 1, cv2.LINE_AA)
