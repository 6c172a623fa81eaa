"""`python -m romp_core.body.open_body build | report POSES`: make the open body, or measure it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from romp_core.body.files import read_body, write_body
from romp_core.body.model import BodyModel
from romp_core.body.open_body import measure, pictures
from romp_core.body.open_body.build import OpenBody, build_open_body
from romp_core.body.open_body.source import AnnySource

_REPOSITORY = Path(__file__).resolve().parents[3]
_ASSET = _REPOSITORY / "romp_core" / "assets" / "open_body.npz"
_REPORT = _REPOSITORY / "docs" / "open-body.md"
_IMAGES = _REPOSITORY / "docs" / "images" / "open-body"
_FIGURES = "<!-- figures -->\n"

# Poses of cmu_poses.npz for the pictures: standing, arms up, sitting on the floor, hands on the
# knees, crouching, bending, split, lunge, kneeling, side kick, kick, jump with arms up.
_PICTURED = [0, 1119, 817, 20154, 1836, 14596, 9536, 5543, 1217, 3918, 5507, 5514]
_MEASURED = 50


def main() -> None:
    """Run the command named by the arguments."""
    parser = argparse.ArgumentParser(prog="python -m romp_core.body.open_body")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help=f"write {_ASSET.name} from Anny")
    report = commands.add_parser("report", help="measure it and draw docs/open-body.md")
    report.add_argument("poses", type=Path, help="cmu_poses.npz of the shared test material")
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # the same sums, and so the same file, on every machine of a kind
    source = AnnySource()
    body = build_open_body(source)
    if arguments.command == "build":
        write_body(body.data, _ASSET)
        print(f"wrote {_ASSET}: {body.data.id}, {_ASSET.stat().st_size / 1e6:.2f} MB")
        return
    found = read_body(_ASSET).id
    if found != body.data.id:
        parser.exit(1, f"{_ASSET} is {found}, this script makes {body.data.id}: run build first\n")
    archive = np.load(arguments.poses)
    _write_report(source, body, archive["pose"].astype(np.float64), archive["held_out"])


def _write_report(
    source: AnnySource, body: OpenBody, poses: np.ndarray, held_out: np.ndarray
) -> None:
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(held_out))[:_MEASURED]
    figures = _figures(source, body, poses[chosen])
    before, _, after = _REPORT.read_text().split(_FIGURES)
    _REPORT.write_text(before + _FIGURES + figures + _FIGURES + after)
    model = BodyModel(body.data)
    pictures.draw_rest(model, _IMAGES / "rest.jpg")
    pictures.draw_shapes(model, _IMAGES / "shapes.jpg")
    pictures.draw_poses(model, poses[_PICTURED], _IMAGES / "poses.jpg", yaw=20)
    pictures.draw_poses(model, poses[_PICTURED], _IMAGES / "poses-behind.jpg", yaw=200)
    print(figures)


def _figures(source: AnnySource, body: OpenBody, poses: np.ndarray) -> str:
    data = body.data
    angles = measure.smallest_angles(data.v_template, data.faces)
    height = np.ptp(data.v_template[:, 1])
    distances = measure.distances_to_anny(source, body, poses)
    surface = f"mean surface distance to Anny, {len(poses)} shapes and poses"
    closed = "yes" if measure.is_closed(data.faces) else "NO"
    rows = {
        "vertices, triangles": f"{len(data.v_template):,}, {len(data.faces):,}",
        "closed and consistently oriented": closed,
        "smallest angle of a triangle": f"{angles.min():.1f} degrees",
        "triangles with an angle under 15 degrees": f"{(angles < 15).sum()}",
        "file size": f"{_ASSET.stat().st_size / 1e6:.2f} MB",
        "height of the mean body": f"{height:.2f} m",
        "variance explained by the ten directions": f"{100 * body.variance.sum():.2f} %",
        "of it, each": ", ".join(f"{100 * share:.2f}" for share in body.variance) + " %",
        surface: f"{distances.posed:.2f} mm",
        "the same from Anny's skin to the open body": f"{distances.posed_back:.2f} mm",
        "at rest: ten betas and decimation only": f"{distances.rest:.2f} mm",
        "at rest: decimation only": f"{distances.decimated:.2f} mm",
        "posed: skinning and decimation only": f"{distances.skinned:.2f} mm",
        "joints at rest, ten betas": f"{distances.joints:.2f} mm",
        "limb joints of Human3.6M, posed, to SMPL's": f"{distances.landmarks:.1f} mm",
    }
    lines = ["| | |", "|---|---|"] + [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
