"""What `make demo` shows: a clip of the open body, played by one process and heard by another.

The clip is rendered here, `image_player` publishes it as a process of its own, and this process
listens. Results: out/demo/clip.mp4, out/demo/last_frame.png and a summary.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rclpy
import torch
from domain_coordinator import domain_id
from rclpy.time import Time
from sensor_msgs.msg import Image

from romp_core import BodyModel
from romp_core.media import VideoWriter, write_image
from romp_core.render.overlay import Renderer
from ros2_romp.image_decoding import to_bgr

OUT = Path(__file__).resolve().parents[1] / "out" / "demo"
FRAMES, FPS, HEIGHT, WIDTH = 60, 20.0, 480, 640


def render_clip(path: Path) -> None:
    """The open body, arms lowered, turning once around itself three metres away."""
    body = BodyModel.load("open")
    pose = torch.zeros(FRAMES, 24, 3)
    pose[:, body.joint_names.index("left_shoulder"), 2] = -1.2
    pose[:, body.joint_names.index("right_shoulder"), 2] = 1.2
    vertices = body(pose, torch.zeros(FRAMES, 10)).vertices.numpy()
    background = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    renderer = Renderer()
    with VideoWriter(path, FPS) as video:
        for index, angle in enumerate(np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)):
            cos, sin = np.cos(angle), np.sin(angle)
            # From the body's frame (y up, facing +z) to the optical one (y down, z forward).
            rotation = np.array([[cos, 0, sin], [0, -1, 0], [sin, 0, -cos]], np.float32)
            turned = vertices[index : index + 1] @ rotation.T + np.float32([0, 0, 3])
            person = SimpleNamespace(vertices=turned, track_ids=np.array([1]))
            video.write(renderer.draw_people(background, person, body.faces))


def listen_to_player(clip: Path) -> tuple[list[float], np.ndarray]:
    """Seconds from stamp to arrival of every frame that came, and the last frame."""
    rclpy.init()
    node = rclpy.create_node("demo_listener")
    delays, last = [], None

    def on_image(image: Image) -> None:
        nonlocal last
        delays.append(
            (node.get_clock().now() - Time.from_msg(image.header.stamp)).nanoseconds / 1e9
        )
        last = image

    node.create_subscription(Image, "image", on_image, 10)
    player = Path(sysconfig.get_path("scripts"), "image_player")
    process = subprocess.Popen([player, clip, "--wait-for-subscriber"])
    while process.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    if process.returncode:
        sys.exit(process.returncode)
    return delays, to_bgr(last)


def main() -> None:
    """Render, play, listen, and say what came."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    OUT.mkdir(parents=True, exist_ok=True)
    clip, picture = OUT / "clip.mp4", OUT / "last_frame.png"
    render_clip(clip)
    with domain_id() as own_domain:
        os.environ["ROS_DOMAIN_ID"] = str(own_domain)
        delays, last = listen_to_player(clip)
    write_image(picture, last)
    print(f"played    {FRAMES} frames of {WIDTH}x{HEIGHT} at {FPS:g} per second: {clip}")
    delay = 1e3 * np.median(delays)
    print(f"received  {len(delays)} frames, half of them within {delay:.1f} ms")
    print(f"picture   {picture}")


if __name__ == "__main__":
    main()
