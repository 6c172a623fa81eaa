"""Evaluation from end to end, with predictions whose errors are known beforehand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_factory import KnownPeople, Oracle, joint, people_of
from scipy.spatial.transform import Rotation

from romp_core.errors import DataError, ImageError, RendererError
from romp_core.evaluation.datasets import SyntheticSet
from romp_core.evaluation.plots import draw_plots
from romp_core.evaluation.protocols import SYNTHETIC
from romp_core.evaluation.results import ResultStore
from romp_core.evaluation.runner import Evaluator, spread
from romp_core.evaluation.scoring import PictureResult
from romp_core.evaluation.summary import ALL, summarize
from romp_core.evaluation.worst import worst_pictures
from romp_core.media import read_image

PROTOCOL = replace(SYNTHETIC, metrics=(*SYNTHETIC.metrics, "ap50", "ar50"))


@pytest.fixture(scope="module")
def dataset(small_body):
    return KnownPeople(small_body)


def evaluate(dataset, body, change=lambda people: people, **options):
    evaluator = Evaluator(Oracle(dataset, body, change), [dataset], PROTOCOL, batch=3, **options)
    results = [picture.result for picture in evaluator.run()]
    return summarize(results, PROTOCOL)


def changed(**fields):
    """A change of `People`: each named field by its function of the old value."""
    return lambda people: replace(
        people, **{name: change(getattr(people, name)) for name, change in fields.items()}
    )


def test_the_truth_has_no_errors(dataset, small_body):
    rows = evaluate(dataset, small_body)
    assert set(rows) == {"even", "odd", ALL}
    everybody = rows[ALL]
    assert (everybody["pictures"], everybody["people"]) == (4, 8)
    for metric in ("found", "posed", "pck", "ap50", "ar50"):
        assert everybody[metric] == pytest.approx(100), metric
    assert everybody["auc"] == pytest.approx(100, abs=0.01)
    for metric in ("mpjpe", "pmpjpe", "pve", "mpjae", "pmpjae", "false_positives", "ghosts"):
        assert everybody[metric] == pytest.approx(0, abs=0.01), metric


def test_a_shift_in_space_is_no_error(dataset, small_body):
    shift = np.array([0.4, -1, 3], np.float32)
    move = changed(joints=lambda j: j + shift, vertices=lambda v: v + shift)
    row = evaluate(dataset, small_body, move)[ALL]
    assert row["mpjpe"] == pytest.approx(0, abs=0.01)
    assert row["pve"] == pytest.approx(0, abs=0.01)


def test_a_moved_wrist_counts_by_its_share(dataset, small_body):
    def move(joints):
        joints = joints.copy()
        joints[:, joint("left_wrist_h17"), 2] += 0.28
        return joints

    row = evaluate(dataset, small_body, changed(joints=move))[ALL]
    assert row["mpjpe"] == pytest.approx(280 / 14, abs=0.01)
    assert row["pck"] == pytest.approx(100 * 13 / 14, abs=0.01)
    assert row["auc"] == pytest.approx(100 * 13 / 14, abs=0.02)
    assert row["pve"] == pytest.approx(0, abs=0.01)


def test_scale_and_rotation_count_before_but_not_after_alignment(dataset, small_body):
    turn = Rotation.from_rotvec([0, np.radians(40), 0])
    matrix = turn.as_matrix().astype(np.float32)

    def turned_pose(pose):
        orient = turn * Rotation.from_rotvec(pose[:, :3])
        return np.concatenate([orient.as_rotvec().astype(np.float32), pose[:, 3:]], 1)

    change = changed(joints=lambda j: 1.3 * j @ matrix.T, pose=turned_pose)
    row = evaluate(dataset, small_body, change)[ALL]
    assert row["mpjpe"] > 50
    assert row["pmpjpe"] == pytest.approx(0, abs=0.01)
    assert row["mpjae"] == pytest.approx(40, abs=0.01)
    assert row["pmpjae"] == pytest.approx(0, abs=0.01)


def test_a_missing_person_is_counted_and_leaves_the_errors_alone(dataset, small_body):
    row = evaluate(dataset, small_body, lambda people: people[:1])[ALL]
    assert row["found"] == row["posed"] == row["ar50"] == pytest.approx(50)
    assert row["mpjpe"] == pytest.approx(0, abs=0.01)
    # Precision is 1 up to a recall of one half: 51 of COCO's 101 recall steps.
    assert row["ap50"] == pytest.approx(100 * 51 / 101)


def test_an_invented_person_is_a_false_positive(dataset, small_body):
    def invent(people):
        far = people[[1, 0, 1]]
        pixels, center = far.keypoints_2d.copy(), far.center.copy()
        pixels[2], center[2] = pixels[2] + 900, center[2] + 900
        return replace(far, keypoints_2d=pixels, center=center)

    row = evaluate(dataset, small_body, invent)[ALL]
    assert row["found"] == row["posed"] == pytest.approx(100)
    assert row["ghosts"] == row["false_positives"] == pytest.approx(1)


def test_somebody_in_place_but_unlike_is_found_not_posed_and_a_false_positive(dataset, small_body):
    stick = changed(keypoints_2d=lambda k: np.broadcast_to(k.mean(1, keepdims=True), k.shape))
    row = evaluate(dataset, small_body, stick)[ALL]
    assert row["found"] == pytest.approx(100)
    assert row["posed"] == pytest.approx(0)
    assert row["ghosts"] == 0
    assert row["false_positives"] == pytest.approx(2)


def test_nobody_predicted(dataset, small_body):
    row = evaluate(dataset, small_body, lambda people: people[:0])[ALL]
    assert row["found"] == row["ap50"] == 0
    assert row["mpjpe"] is None and row["pve"] is None


def test_pictures_without_people(small_body):
    rows = evaluate(KnownPeople(small_body, pictures=2, people=0), small_body)
    assert rows[ALL]["people"] == 0
    assert rows[ALL]["found"] is None
    assert rows[ALL]["false_positives"] == 0


def test_nobody_to_be_found_has_no_average_precision(small_body):
    """Wart: pycocotools answers -1, which was reported as -100 %."""

    class Unlabeled(KnownPeople):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.keypoints_2d[..., 2] = 0
            return sample

    row = evaluate(Unlabeled(small_body), small_body)[ALL]
    assert row["people"] == 0
    assert row["ap50"] is None and row["ar50"] is None


def test_count_takes_pictures_from_all_over_the_set(small_body):
    dataset = KnownPeople(small_body, pictures=7)
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL, count=3)
    assert [picture.index for picture in evaluator.run()] == [0, 3, 6]


def test_parts_of_several_processes_make_up_the_whole(dataset, small_body):
    parts = [
        Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL, part=(rank, 3))
        for rank in range(3)
    ]
    indices = [picture.index for part in parts for picture in part.run()]
    assert sorted(indices) == [0, 1, 2, 3]


def test_results_survive_an_interruption(dataset, small_body, tmp_path):
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL, batch=2)
    store = ResultStore(tmp_path / "out", {"weights": "a"})
    run = evaluator.run()
    for _ in range(2):
        store.add(next(run).result)
    run.close()
    with (tmp_path / "out" / "pictures.jsonl").open("a") as broken:
        broken.write('{"index": 2, "source": "cut o')
    again = ResultStore(tmp_path / "out", {"weights": "a"})
    again.repair()
    kept = again.read()
    assert [result.index for result in kept] == [0, 1]
    for picture in evaluator.run(skip=[result.index for result in kept]):
        again.add(picture.result)
    assert [result.index for result in again.read()] == [0, 1, 2, 3]
    whole = [picture.result for picture in evaluator.run()]
    assert summarize(again.read(), PROTOCOL) == summarize(whole, PROTOCOL)


def test_results_whose_first_line_is_cut_off_begin_anew(dataset, small_body, tmp_path):
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL)
    (tmp_path / "pictures.jsonl").write_text('{"weights": ')
    store = ResultStore(tmp_path, {"weights": "a"})
    assert store.read() == []
    store.repair()
    for picture in evaluator.run():
        store.add(picture.result)
    assert [result.index for result in store.read()] == [0, 1, 2, 3]


def test_chosen_pictures_are_spread_over_all():
    assert spread(13, 5) == [0, 3, 6, 9, 12]
    assert spread(1000, 600)[-1] == 999
    assert spread(3, 5) == spread(3, None) == [0, 1, 2]
    assert spread(3, 0) == []


def test_results_of_several_processes_are_read_together(dataset, small_body, tmp_path):
    for rank in range(3):
        evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL, part=(rank, 3))
        store = ResultStore(tmp_path, {"weights": "a"}, rank)
        for picture in evaluator.run():
            store.add(picture.result)
    assert [result.index for result in store.read()] == [0, 1, 2, 3]
    store.clear()
    assert store.read() == []


def test_results_of_other_weights_are_not_mixed_in(dataset, small_body, tmp_path):
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL)
    ResultStore(tmp_path, {"weights": "a", "count": 3}).add(evaluator.one(0).result)
    with pytest.raises(DataError, match="another weights"):
        ResultStore(tmp_path, {"weights": "b", "count": 3}).read()


def test_unreadable_pictures_are_left_out_and_named(dataset, small_body):
    class Damaged(KnownPeople):
        def __getitem__(self, index):
            if index == 1:
                raise ImageError("picture 1 is damaged")
            return super().__getitem__(index)

    evaluator = Evaluator(Oracle(dataset, small_body), [Damaged(small_body)], PROTOCOL, batch=2)
    assert [picture.index for picture in evaluator.run()] == [0, 2, 3]
    assert evaluator.unreadable == ["picture 1 is damaged"]


def test_the_worst_pictures_come_first(dataset, small_body):
    def worse_with_every_picture(people):
        joints = people.joints.copy()
        joints[:, joint("left_wrist_h17")] += 0.1 * next(steps)
        return replace(people, joints=joints)

    steps = iter(range(4))
    evaluator = Evaluator(
        Oracle(dataset, small_body, worse_with_every_picture), [dataset], PROTOCOL
    )
    results = [picture.result for picture in evaluator.run()]
    assert worst_pictures(results, 3) == [3, 2, 1]
    for result in results:
        for person in result.people:
            person.joint_errors, person.oks = None, 0.1 * (4 - result.index)
    results[1].people[0].oks = None  # missed
    assert worst_pictures(results, 2) == [1, 3]


def test_plots_show_what_was_measured(dataset, small_body, tmp_path):
    pytest.importorskip("matplotlib")
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL)
    results = [picture.result for picture in evaluator.run()]
    drawn = draw_plots(tmp_path, results, PROTOCOL)
    assert {path.name for path in drawn} == {
        "error_per_joint.png", "pck_curve.png", "error_by_occlusion.png"
    }  # fmt: skip
    assert all(read_image(path).std() > 5 for path in drawn)
    for result in results:
        for person in result.people:
            person.joint_errors = None
    assert draw_plots(tmp_path, results, PROTOCOL) == []


def test_results_are_strict_json(dataset, small_body):
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL)
    for picture in evaluator.run():
        text = json.dumps(picture.result.to_json(), allow_nan=False)
        assert PictureResult.from_json(json.loads(text)) == picture.result


def test_another_topology_has_no_vertex_error(dataset, small_body, small_body_data):
    from romp_core.body import BodyModel

    other = BodyModel(replace(small_body_data, faces=small_body_data.faces[::-1].copy()))
    evaluator = Evaluator(Oracle(dataset, small_body), [dataset], PROTOCOL)
    evaluator.predictor.body = other
    for scorer in evaluator.scorers.values():
        scorer.body = other
    assert all(p.pve is None for picture in evaluator.run() for p in picture.result.people)


def test_half_the_joints_unknown(small_body):
    class Half(KnownPeople):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.joints_3d[:, joint("left_wrist_h17")] = np.nan
            return sample

    row = evaluate(Half(small_body), small_body)[ALL]
    assert row["mpjpe"] == pytest.approx(0, abs=0.01)
    assert row["pmpjpe"] == pytest.approx(0, abs=0.01)
    assert row["pmpjae"] is None  # its alignment needs all joints
    assert torch.isfinite(torch.tensor(row["pve"]))


def test_the_truth_of_the_synthetic_set_has_no_errors():
    """Pictures, joints, meshes and the body agree, from the renderer to the report."""
    try:
        dataset = SyntheticSet(None, size=128)
        dataset[0]
    except RendererError as error:
        pytest.skip(str(error))
    truth = {}

    class Remembered(SyntheticSet):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            bodies = [self.body_of(index, person) for person in range(len(sample))]
            truth[sample.image.tobytes()] = people_of(sample, bodies)
            return sample

    class Knowing:
        body = dataset.body_of(0, 0)

        def predict_batch(self, images, intrinsics):
            return [truth[image.tobytes()] for image in images]

    evaluator = Evaluator(Knowing(), [Remembered(None, size=128)], SYNTHETIC, count=4)
    row = summarize([picture.result for picture in evaluator.run()], SYNTHETIC)[dataset.name]
    assert row["people"] > 0
    assert row["posed"] == 100
    assert row["false_positives"] == 0
    for metric in ("mpjpe", "pmpjpe", "pve", "mpjae", "pmpjae"):
        assert row[metric] == pytest.approx(0, abs=0.01), metric
    # Another network sees the same pictures: the reading thread keeps its OpenGL context.
    again = [picture.result for picture in evaluator.with_predictor(Knowing()).run()]
    assert summarize(again, SYNTHETIC)[dataset.name] == row
    # Without the poses and panoramas it is another set, which is said.
    assert dataset.problems.counts == {"missing parts of the synthetic set": 2}
