"""Several data sets mixed by probability, augmented, reproducible by number."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from romp_core.data.augmentation import AugmentationConfig, augment
from romp_core.data.sample import Sample
from romp_core.errors import DataError


class SampleSource(Protocol):
    """What is mixed: samples by number, as any map-style data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class MixedSamples(Dataset[Sample]):
    """Endless augmented samples; number i is the same whenever and wherever it is made.

    Args:
        sources: data sets.
        probabilities: how often each is drawn, relative to the others.
        size: side of the pictures.
        augmentation: what is done to them; its `crop` gives way to `crops`.
        crops: probability of single-person crops by sample number: pairs of (first number,
            probability), ascending.
        seed: another seed gives another sequence.

    Raises:
        DataError: no data set, an empty one, or unusable probabilities.
    """

    def __init__(
        self,
        sources: Sequence[SampleSource],
        probabilities: Sequence[float],
        size: int,
        augmentation: AugmentationConfig,
        crops: Sequence[tuple[int, float]] = (),
        seed: int = 0,
    ):
        if not sources:
            raise DataError("no data set to train on; expected at least one under `data`")
        for number, source in enumerate(sources):
            if len(source) == 0:
                raise DataError(f"data set {number} of the mix holds no sample")
        shares = np.asarray(probabilities, float)
        if (shares < 0).any() or not shares.sum() > 0:
            raise DataError(f"probabilities are {list(probabilities)}; expected some above 0")
        self.sources = list(sources)
        self.shares = shares / shares.sum()
        self.size = size
        self.augmentation = augmentation
        self.crops = list(crops)
        self.seed = seed

    def __getitem__(self, number: int) -> Sample:
        rng = np.random.default_rng([self.seed, number])
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        sample = source[int(rng.integers(len(source)))]
        config = self.augmentation
        for first, probability in self.crops:
            if number >= first:
                config = replace(config, crop=probability)
        return augment(sample, self.size, rng, config)


class NumberSampler(Sampler[int]):
    """Sample numbers of one epoch for one process: every epoch has its own, none is repeated.

    Args:
        length: samples per epoch and process.
        rank, processes: which process of how many.
    """

    def __init__(self, length: int, rank: int = 0, processes: int = 1):
        self.length, self.rank, self.processes = length, rank, processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.length * self.processes + self.rank
        return iter(range(first, first + self.length * self.processes, self.processes))
