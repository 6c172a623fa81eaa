"""Running a network over data sets, in batches."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol as Interface

import numpy as np
from rich.console import Console
from rich.progress import Progress

from romp_core.body.model import BodyModel
from romp_core.data.readers.records import Problems
from romp_core.data.sample import Sample
from romp_core.errors import ImageError
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.scoring import PictureResult, Scorer
from romp_core.people import People


class Predictor(Interface):
    """What is evaluated: a `Romp`, or anything that predicts like one."""

    body: BodyModel

    def predict_batch(
        self, images: Sequence[np.ndarray], intrinsics: Sequence[np.ndarray | None]
    ) -> list[People]:
        """People per image."""


class DataSet(Interface):
    """What it is evaluated on; see `RecordSet` for the meaning of the attributes."""

    name: str
    keypoints: tuple[str, ...]
    everybody_annotated: bool
    problems: Problems

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def group(self, index: int) -> str:
        """What the report groups picture `index` under."""

    def body_of(self, index: int, person: int) -> BodyModel | None:
        """The body that a person's betas belong to; None where betas are not known."""


@dataclass
class Picture:
    """A picture while it is evaluated."""

    index: int
    group: str
    sample: Sample
    people: People
    result: PictureResult
    keypoints: tuple[str, ...]


class Evaluator:
    """Evaluates one network on data sets under one protocol.

    Args:
        predictor: the network.
        datasets: their pictures are numbered through, in this order.
        protocol: what counts.
        count: only so many pictures, spread evenly; None takes all.
        batch: pictures per forward pass.
        part: which share of the pictures this process takes, and of how many.

    Attributes:
        unreadable: why pictures could not be read, one line each.
    """

    def __init__(
        self,
        predictor: Predictor,
        datasets: Sequence[DataSet],
        protocol: Protocol,
        *,
        count: int | None = None,
        batch: int = 8,
        part: tuple[int, int] = (0, 1),
    ):
        self.predictor, self.batch = predictor, batch
        self.scorers = {
            id(dataset): Scorer(
                predictor.body, protocol, dataset.keypoints, dataset.everybody_annotated
            )
            for dataset in datasets
        }
        self.pictures = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
        self.unreadable: list[str] = []
        # One thread, and always the same: it holds the OpenGL context of synthetic pictures.
        self._reader = ThreadPoolExecutor(1)
        self._rank, processes = part
        self._jobs = spread(len(self.pictures), count)[self._rank :: processes]

    def with_predictor(self, predictor: Predictor) -> "Evaluator":
        """The same evaluation of another network with the same body."""
        other = copy.copy(self)
        other.predictor, other.unreadable = predictor, []
        return other

    def __len__(self) -> int:
        """Number of pictures of this process."""
        return len(self._jobs)

    def run(self, skip: Iterable[int] = ()) -> Iterator[Picture]:
        """Every picture with its result, in order, with a progress bar.

        Pictures that cannot be read are left out and told in `unreadable`.

        Args:
            skip: numbers of pictures that need no evaluation any more.
        """
        done = set(skip)
        jobs = [job for job in self._jobs if job not in done]
        with Progress(console=Console(stderr=True), disable=self._rank > 0) as progress:
            task = progress.add_task("evaluate", total=len(self._jobs))
            progress.advance(task, len(self._jobs) - len(jobs))
            for chunk, samples in self._loaded(jobs):
                yield from self._evaluate(samples)
                progress.advance(task, len(chunk))

    def one(self, index: int) -> Picture:
        """A single picture, by its number."""
        sample = self._reader.submit(self._sample, index).result()
        return next(self._evaluate([(index, sample)]))

    def _loaded(self, jobs: Sequence[int]) -> Iterator[tuple[list[int], list[tuple[int, Sample]]]]:
        """Chunks of pictures; the next is read while this one is evaluated."""
        chunks = [
            list(jobs[start : start + self.batch]) for start in range(0, len(jobs), self.batch)
        ]
        waiting = [self._reader.submit(self._read, chunk) for chunk in chunks[:1]]
        for position, chunk in enumerate(chunks):
            samples = waiting.pop().result()
            waiting += [self._reader.submit(self._read, c) for c in chunks[position + 1 :][:1]]
            yield chunk, samples

    def _read(self, chunk: Sequence[int]) -> list[tuple[int, Sample]]:
        samples = []
        for index in chunk:
            try:
                samples.append((index, self._sample(index)))
            except (ImageError, FileNotFoundError) as error:
                self.unreadable.append(str(error))
        return samples

    def _sample(self, index: int) -> Sample:
        dataset, local = self.pictures[index]
        return dataset[local]

    def _evaluate(self, samples: Sequence[tuple[int, Sample]]) -> Iterator[Picture]:
        if not samples:
            return
        predicted = self.predictor.predict_batch(
            [sample.image for _, sample in samples], [sample.intrinsics for _, sample in samples]
        )
        for (index, sample), people in zip(samples, predicted, strict=True):
            dataset, local = self.pictures[index]
            group, body_of = dataset.group(local), partial(dataset.body_of, local)
            result = self.scorers[id(dataset)](index, group, sample, people, body_of)
            yield Picture(index, group, sample, people, result, dataset.keypoints)


def spread(total: int, count: int | None) -> list[int]:
    """As many of 0..total - 1 as wanted, or all, from the first to the last in even steps."""
    if count is None or count >= total:
        return list(range(total))
    return np.linspace(0, total - 1, count).round().astype(int).tolist()
