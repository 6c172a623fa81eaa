"""`romp-core render-dataset`: annotated pictures of synthetic people on disk."""

from pathlib import Path

from rich.progress import track

from romp_core.data.synthetic import SyntheticConfig, preset
from romp_core.data.synthetic.config import Preset
from romp_core.data.synthetic.disk import PICTURES_PER_SHARD, render_to_disk


def render_dataset(
    out: Path,
    kind: Preset = "train",
    count: int = 1000,
    size: int = 256,
    poses: Path | None = None,
    panoramas: Path | None = None,
    pictures: Path | None = None,
    dense: bool = False,
    workers: int = 2,
) -> None:
    """Render annotated pictures of synthetic people; run again to go on after an interruption.

    Args:
        out: Folder to write to; `romp_core.data.synthetic.RenderedPeople` reads it.
        kind: "train"; "held_out", the 1,000 pictures for evaluation, whose poses and panoramas
            are never trained on (the count is then ignored); or "crowd" and "held_out_crowd",
            the same of pairs of people of whom one hides about half of the other.
        count: Number of pictures.
        size: Height and width in pixels.
        poses: An .npz with `pose` (N, 24, 3) axis-angle, or a folder of .bvh files; without
            it, all poses are procedural.
        panoramas: Folder of 2:1 panoramas with a lighting.json.
        pictures: Folder of pictures without people, as further backgrounds.
        dense: Also write depth, body parts and normals of each pixel.
        workers: Processes to render with.

    Raises:
        DataError: Poses, panoramas or pictures are not there, or `out` holds other pictures.
        ConfigError: A count, size or number of workers below 1.
        RendererError: No off-screen OpenGL context can be had.
    """
    base = SyntheticConfig(
        height=size,
        width=size,
        length=count,
        poses=poses,
        panoramas=panoramas,
        pictures=pictures,
        dense=dense,
    )
    config, seed = preset(kind, base)
    shards = track(
        render_to_disk(config, seed, out, workers),
        description=f"rendering {config.length} pictures",
        total=-(-config.length // PICTURES_PER_SHARD),
    )
    done = sum(shards)
    print(f"{out}: {done} pictures of {size}x{size}, seed {seed}")
