"""People of pictures as a network sees them: its evidence of them, looked at once."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from romp_core.errors import DataError
from romp_core.network import RompNetwork
from romp_core.network.evidence import Evidence
from romp_core.runtime import choices, start_runtime
from romp_core.training.batch import Batch
from romp_core.training.body_losses import AnnotatedPeople, BodyLosses
from romp_core.training.config import TrainingConfig
from romp_core.training.targets import answering_cells, center_targets


@dataclass
class SeenPeople:
    """K people of pictures.

    Attributes:
        evidence: what the network's refinement says of them, without a dimension of pictures:
            (K, 17, 2), (K, 17) and (K,).
        looks: (K, 18, F) float16, what `network.size` looks at.
        people: what is true of them.
    """

    evidence: Evidence
    looks: Tensor
    people: AnnotatedPeople

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: Tensor) -> "SeenPeople":
        """Some of them, or in another order."""
        evidence = Evidence(*(each[index] for each in self.evidence))
        return SeenPeople(evidence, self.looks[index], self.people[index])

    def drawn(self, count: int, rng: np.random.Generator) -> "SeenPeople":
        """So many of them by chance."""
        return self[torch.from_numpy(rng.integers(len(self), size=count))]

    def write(self, path: Path, origin: str) -> None:
        """Keep them in a file; a file that is there is whole.

        Args:
            path: the file.
            origin: what else they would have to be if it were different.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        content = {
            "origin": origin,
            "evidence": tuple(self.evidence),
            "looks": self.looks,
            "people": vars(self.people),
        }
        torch.save(content, unfinished)
        os.replace(unfinished, path)

    @classmethod
    def read(cls, path: Path, origin: str) -> "SeenPeople | None":
        """What `write` has written, or None where there is nothing of this origin."""
        if not path.is_file():
            return None
        content = torch.load(path, weights_only=True)
        if content["origin"] != origin:
            return None
        people = AnnotatedPeople(**content["people"])
        return cls(Evidence(*content["evidence"]), content["looks"], people)


@torch.no_grad()
def look_at(
    batches: DataLoader[Batch],
    network: RompNetwork,
    body_losses: BodyLosses,
    config: TrainingConfig,
    device: torch.device,
) -> SeenPeople:
    """Let a network look at pictures, as it does in inference, but at people who are known.

    Args:
        batches: annotated pictures, squares of the network's input size.
        network: one with `lifting`.
        body_losses: of the body that is learnt with.
        config: the run.
        device: where the network runs.

    Returns:
        Those people, on the CPU.

    Raises:
        DataError: there is nobody in any of the pictures.
    """
    network = network.eval().to(device)
    # The fastest whose numbers cannot overflow: a little noise does not matter here.
    fast = next(each for each in choices("auto", "auto", device, network) if each[1] != "float16")
    runtime = start_runtime(fast, network, device)
    parts = []
    for batch in track(batches, "looking at pictures", console=Console(stderr=True)):
        if not batch.valid.any():
            continue
        maps = runtime(batch.images.permute(0, 2, 3, 1).contiguous().to(device))
        size = maps.center_map.shape[-1]
        _, _, centers, radii = center_targets(batch, size, config.car_gamma, config.center)
        most = 2 * centers.shape[1]
        cells = answering_cells(maps.center_map.cpu(), centers, radii, most).to(device)
        levels = network.levels(maps.source)
        refined = network.refinement(levels, network.evidence(levels, cells))
        looks = network.size.looks(levels, refined.keypoints).half()
        evidence = Evidence(*(each.cpu()[batch.valid] for each in refined))
        parts.append(SeenPeople(evidence, looks.cpu()[batch.valid], body_losses.people(batch)))
    if not parts:
        raise DataError("nobody is in any of the pictures that the lifting was to learn from")
    return SeenPeople(
        Evidence(*(torch.cat(each) for each in zip(*(p.evidence for p in parts), strict=True))),
        torch.cat([part.looks for part in parts]),
        AnnotatedPeople.joined([part.people for part in parts]),
    )
