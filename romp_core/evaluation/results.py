"""Results on disk, so that an interrupted evaluation goes on and processes share their work."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from romp_core.errors import DataError
from romp_core.evaluation.scoring import PictureResult

_PARTS = "pictures*.jsonl"


class ResultStore:
    """One JSON line per picture, after a first line that tells what was evaluated.

    Args:
        folder: where to; made if need be.
        settings: what must be equal for results to belong together.
        rank: number of this process; each writes a file of its own.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], rank: int = 0):
        self.folder, self.settings = Path(folder), dict(settings)
        self._path = self.folder / ("pictures.jsonl" if rank == 0 else f"pictures.{rank}.jsonl")

    def clear(self) -> None:
        """Remove the results of an earlier run, of whatever settings."""
        for path in self.folder.glob(_PARTS):
            path.unlink()

    def add(self, result: PictureResult) -> None:
        """Append one picture."""
        if not self._path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self.settings) + "\n")
        with self._path.open("a") as file:
            file.write(json.dumps(result.to_json()) + "\n")

    def repair(self) -> None:
        """Drop the line of this process's file that an interruption cut off."""
        if not self._path.exists():
            return
        head, *lines = self._path.read_text().splitlines() or [""]
        if _json(head) is None:
            self._path.unlink()
            return
        whole = [head, *(line for line in lines if _json(line) is not None)]
        mended = self._path.with_suffix(".mended")
        mended.write_text("".join(f"{line}\n" for line in whole))
        mended.replace(self._path)

    def read(self) -> list[PictureResult]:
        """Results of all processes, by picture.

        Raises:
            DataError: the folder holds results of another evaluation.
        """
        found: dict[int, PictureResult] = {}
        for path in sorted(self.folder.glob(_PARTS)):
            head, *lines = path.read_text().splitlines() or [""]
            if _json(head) is None:  # cut off, and with it all that would have followed
                continue
            self._check(path, _json(head))
            for content in filter(None, map(_json, lines)):
                result = PictureResult.from_json(content)
                found[result.index] = result
        return [found[index] for index in sorted(found)]

    def _check(self, path: Path, head: dict) -> None:
        if head == self.settings:
            return
        different = [key for key in self.settings if head.get(key) != self.settings[key]]
        raise DataError(
            f"{path} holds results with another {', '.join(different)}; start over without resume, "
            "or choose another folder"
        )


def _json(line: str) -> dict | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
