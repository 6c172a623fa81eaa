"""One predictor in a process of its own, which predicts whenever it is told to.

Started by against_simple_romp.py, in this package's environment or in that of simple_romp, which is
why nothing is imported before it is known which one it is. Reads a line, predicts, writes a line of
JSON; first of all it writes the vertices that it found to a file.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
"""From (H, W, 3) uint8 BGR to the vertices (K, V, 3) of everybody found, without translation."""


def ours(options: argparse.Namespace) -> tuple[Predict, str]:
    from romp_core import load

    romp = load(
        options.files / "ROMP.pkl",
        body=options.files / "SMPL_NEUTRAL.pth",
        device=options.device,
        runtime=options.runtime,
        precision=options.precision,
        center_threshold=options.threshold,
    )

    def predict(image: np.ndarray) -> np.ndarray:
        people = romp.predict(image)
        return people.vertices - people.translation[:, None]

    return predict, f"ours ({romp.runtime_name})"


def simple_romp(options: argparse.Namespace) -> tuple[Predict, str]:
    import romp

    model = options.files / "ROMP.onnx"
    if options.contestant == "onnx" and not model.exists():
        _export(options.files / "ROMP.pkl", model)
    settings = romp.romp_settings(
        [
            f"--GPU={0 if options.device.startswith('cuda') else -1}",
            f"--center_thresh={options.threshold}",
            *(["--onnx"] if options.contestant == "onnx" else []),
        ]
    )
    predictor = romp.ROMP(settings)
    return lambda image: predictor(image)["verts"], f"simple_romp ({options.contestant})"


def _export(weights: Path, model: Path) -> None:
    """As its own `export_model_to_onnx_static` does it, from whatever weights."""
    import torch
    from romp.model import ROMPv1

    network = ROMPv1().eval()
    network.load_state_dict(torch.load(weights))
    torch.onnx.export(
        network,
        torch.rand(1, 512, 512, 3),
        str(model),
        input_names=["image"],
        output_names=["center_maps", "params_maps"],
        opset_version=12,
        dynamo=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=["ours", "ours_float32", "torch", "onnx"])
    parser.add_argument("files", type=Path, help="folder of weights, body and image.npy")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threshold", type=float, required=True)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the packages print is no answer
    image = np.load(options.files / "image.npy")
    predict, name = (ours if options.contestant.startswith("ours") else simple_romp)(options)
    np.save(options.files / f"{options.contestant}.npy", predict(image))
    print(json.dumps({"runtime": name}), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        people = len(predict(image))
        elapsed = time.perf_counter() - start
        print(json.dumps({"ms": elapsed * 1e3, "people": people}), file=answers, flush=True)


if __name__ == "__main__":
    main()
