"""Several data sets mixed by probability, augmented, reproducible by number."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from romp_core.data.augmentation import AugmentationConfig, augment
from romp_core.data.sample import Sample
from romp_core.errors import DataError, ImageError

_MOST_UNREADABLE = 20  # samples in a row: one damaged file is left out, a lost disk is not
_log = logging.getLogger(__name__)


class SampleSource(Protocol):
    """What is mixed: samples by number, as any map-style data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class MixedSamples(Dataset[Sample]):
    """Endless augmented samples; number i is the same whenever and wherever it is made.

    For a sample that cannot be read, as when a picture is damaged, the next one of its data set
    is taken; each process says so once per sample.

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
        self._unreadable: set[tuple[int, int]] = set()

    def __getitem__(self, number: int) -> Sample:
        """An augmented sample.

        Raises:
            DataError: too many samples in a row cannot be read.
        """
        rng = np.random.default_rng([self.seed, number])
        chosen = int(rng.choice(len(self.sources), p=self.shares))
        sample = self._readable(chosen, int(rng.integers(len(self.sources[chosen]))))
        config = self.augmentation
        for first, probability in self.crops:
            if number >= first:
                config = replace(config, crop=probability)
        return augment(sample, self.size, rng, config)

    def _readable(self, chosen: int, first: int) -> Sample:
        """Sample `first` of a data set, or the next one that can be read."""
        source = self.sources[chosen]
        attempts = min(_MOST_UNREADABLE, len(source))
        for attempt in range(attempts):
            index = (first + attempt) % len(source)
            try:
                return source[index]
            except (ImageError, DataError, FileNotFoundError) as error:
                self._warn_once(chosen, index, error)
                last = error
        raise DataError(
            f"{attempts} samples in a row of data set {chosen} of the mix cannot be read; the "
            f"last: {last}. Is its folder still there and whole? `romp-core data check --decode` "
            "lists what is damaged"
        ) from last

    def _warn_once(self, chosen: int, index: int, error: Exception) -> None:
        if (chosen, index) in self._unreadable:
            return
        self._unreadable.add((chosen, index))
        _log.warning(
            "sample %d of data set %d of the mix cannot be read, another one is taken: %s. Get "
            "that file again",
            index,
            chosen,
            error,
        )


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
