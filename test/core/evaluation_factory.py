"""Data sets whose truth is known exactly, and a predictor that knows it too."""

import numpy as np
import torch

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.data.readers.records import Problems
from romp_core.data.sample import VISIBLE, Sample
from romp_core.geometry.cameras import intrinsics_from_fov, perspective_project
from romp_core.people import People

HEIGHT, WIDTH = 120, 160


class KnownPeople:
    """Pictures in which the made-up body stands side by side, different in every picture."""

    name = "known people"
    keypoints = JOINT_SETS["coco17"]
    everybody_annotated = True

    def __init__(self, body, pictures=4, people=2, seed=0):
        self.body, self.people, self.seed = body, people, seed
        self.problems = Problems()
        self._pictures = pictures

    def __len__(self):
        return self._pictures

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        pose = rng.normal(0, 0.3, (self.people, 72)).astype(np.float32)
        betas = rng.normal(0, 1, (self.people, 10)).astype(np.float32)
        spots = np.linspace(-2, 2, self.people)
        translation = np.stack([spots, 0 * spots, 0 * spots + 6], 1).astype(np.float32)
        with torch.inference_mode():
            joints = self.body(torch.from_numpy(pose), torch.from_numpy(betas)).joints.numpy()
        joints = joints + translation[:, None]
        K = intrinsics_from_fov(HEIGHT, WIDTH)
        pixels = perspective_project(torch.from_numpy(joints), torch.from_numpy(K)).numpy()
        image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        image[0, 0] = index  # by which the predictor knows the picture
        return Sample(
            image,
            f"picture {index}",
            keypoints_2d=np.concatenate([pixels, np.full((*pixels.shape[:2], 1), VISIBLE)], -1),
            boxes=np.concatenate([pixels.min(1), pixels.max(1)], 1),
            pose=pose,
            betas=betas,
            translation=translation,
            joints_3d=joints,
            intrinsics=K,
            body_id=self.body.id,
        )

    def group(self, index):
        return "even" if index % 2 == 0 else "odd"

    def body_of(self, index, person):
        return self.body


class Oracle:
    """Predicts the truth, after `change` has been at it: People -> People."""

    def __init__(self, dataset, body, change=lambda people: people):
        self.dataset, self.body, self.change = dataset, body, change

    def predict_batch(self, images, intrinsics):
        return [self.change(true_people(self.dataset, image)) for image in images]


def true_people(dataset, image):
    """`People` of the picture that this image belongs to."""
    for index in range(len(dataset)):
        sample = dataset[index]
        if np.array_equal(sample.image, image):
            return people_of(sample, [dataset.body_of(index, i) for i in range(len(sample))])
    raise AssertionError("this image is not of the data set")


def people_of(sample, bodies):
    """A sample's truth as `People`; the bodies must have all 71 joints."""
    vertices = [
        body(torch.from_numpy(pose[None]), torch.from_numpy(betas[None])).vertices[0].numpy()
        for body, pose, betas in zip(bodies, sample.pose, sample.betas, strict=True)
    ]
    count = len(sample)
    mesh = np.stack(vertices) if count else np.zeros((0, 200, 3), np.float32)
    return People(
        confidence=np.linspace(0.9, 0.5, count, dtype=np.float32),
        pose=sample.pose,
        betas=sample.betas,
        camera=np.zeros((count, 3), np.float32),
        translation=sample.translation,
        vertices=mesh + sample.translation[:, None],
        joints=sample.joints_3d,
        keypoints_2d=sample.keypoints_2d[..., :2],
        boxes=sample.boxes,
        track_ids=np.zeros(count, np.int64),
        center=(sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2,
    )


def joint(name):
    return JOINTS_71.index(name)
