"""What the launch files start: cameras and transport are those of the parameter file, too."""

import pytest
from launch_stand_in import launched

CAMERAS = "/**:\n  ros__parameters: {cameras: [left, right]}\n"


@pytest.fixture
def launch(monkeypatch, tmp_path):
    """`launch(file, text, name=value, ...)` with a parameter file of that text, where given."""

    def run(name, text=None, **arguments):
        if text is not None:
            (tmp_path / "mine.yaml").write_text(text)
            arguments["params_file"] = tmp_path / "mine.yaml"
        return launched(monkeypatch, name, **arguments)

    return run


def cameras_of(process):
    """Whose images are remapped, and to what."""
    return {name: topic for name, topic in process.remappings if name.rpartition("/")[2] == "image"}


def given_to(process):
    """Parameters that win over the file."""
    return process.parameters[1]


@pytest.mark.parametrize(
    ("text", "arguments", "cameras"),
    [
        (None, {}, {"image": "raw"}),
        (None, {"cameras": "front, rear"}, {"front/image": "front/raw", "rear/image": "rear/raw"}),
        (None, {"cameras": "[a, b]"}, {"a/image": "a/raw", "b/image": "b/raw"}),
        (None, {"cameras": "['', 'on']"}, {"image": "raw", "on/image": "on/raw"}),
        (None, {"cameras": "[]"}, {"image": "raw"}),
        (CAMERAS, {}, {"left/image": "left/raw", "right/image": "right/raw"}),
        (CAMERAS, {"cameras": "front"}, {"front/image": "front/raw"}),
        ("", {}, {"image": "raw"}),
        ("/**:\n  ros__parameters: {cameras: ['', rear]}", {},
         {"image": "raw", "rear/image": "rear/raw"}),
        # What the node refuses, in favour of a single camera.
        ("/**:\n  ros__parameters: {cameras: front}", {}, {"image": "raw"}),
        ("/**:\n  ros__parameters: {cameras: [1, 2]}", {}, {"image": "raw"}),
        ("/**:\n  ros__parameters: {cameras: []}", {}, {"image": "raw"}),
    ],
)  # fmt: skip
def test_images_of_every_camera_are_remapped(launch, text, arguments, cameras):
    node = launch("romp", text, image="raw", **arguments)["romp_node"]
    assert cameras_of(node) == cameras
    assert ("cameras" in given_to(node)) == ("cameras" in arguments)


def test_list_that_is_none_is_named(launch):
    with pytest.raises(ValueError, match=r"'\[front' is no list; expected front,rear or \[front"):
        launch("romp", cameras="[front")


def test_parameter_file_may_be_below_the_home_folder(launch, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(CAMERAS)
    node = launch("romp", params_file="~/mine.yaml")["romp_node"]
    assert list(cameras_of(node)) == ["left/image", "right/image"]
    assert node.parameters[0] == str(tmp_path / "mine.yaml")


def test_absolute_topic_of_a_single_camera_stays_absolute(launch):
    assert cameras_of(launch("romp", image="/a/raw")["romp_node"]) == {"image": "/a/raw"}
    node = launch("romp", CAMERAS, image="/raw", depth="depth")["romp_node"]
    assert dict(node.remappings)["left/image"] == "left/raw"
    assert dict(node.remappings)["right/depth"] == "right/depth"


# As rcl reads them: tried with rclpy of ROS 2 Jazzy.
@pytest.mark.parametrize(
    ("name", "namespace", "counts"),
    [
        ("/**", "", True),
        ("/**", "/robot", True),
        ("**", "robot", True),
        ("romp", "", True),
        ("/romp", "", True),
        ("romp", "/robot", False),
        ("/*", "", True),
        ("/*", "robot", False),
        ("/*/romp", "robot", True),
        ("/*/romp", "", False),
        ("/**/romp", "a/b", True),
        ("/robot/romp", "robot", True),
        ("robot/romp", "robot", True),
        ("/robot/*", "robot", True),
        ("other", "", False),
    ],
)
def test_parameters_are_those_of_the_node(launch, name, namespace, counts):
    text = f'"{name}":\n  ros__parameters: {{cameras: [left]}}'
    node = launch("romp", text, namespace=namespace)["romp_node"]
    assert list(cameras_of(node)) == ["left/image" if counts else "image"]


@pytest.mark.parametrize(
    ("text", "camera"),
    [
        ("/**:\n  ros__parameters: {cameras: [a]}\n/robot:\n  romp:\n    ros__parameters: "
         "{cameras: [b]}\n", "b"),
        ("/robot/romp:\n  ros__parameters: {cameras: [a]}\n/**:\n  ros__parameters: "
         "{cameras: [b]}\n", "b"),
        ("/**:\n  ros__parameters: {cameras: [a], qos_overrides: {romp: {ros: 1}}}\n"
         "/robot/romp:\n  ros__parameters: {model: open}\n/robot/rviz:\n  ros__parameters:\n", "a"),
    ],
)  # fmt: skip
def test_what_comes_later_in_the_file_wins(launch, text, camera):
    node = launch("romp", text, namespace="robot")["romp_node"]
    assert list(cameras_of(node)) == [f"{camera}/image"]


def test_namespace_that_another_launch_file_has_pushed_counts(launch):
    text = "/robot/romp:\n  ros__parameters: {cameras: [left]}"
    for namespace, cameras in (("", ["left/image"]), ("/other", ["image"])):
        node = launch("romp", text, ros_namespace="/robot", namespace=namespace)["romp_node"]
        assert list(cameras_of(node)) == cameras


@pytest.mark.parametrize(
    ("text", "arguments", "cameras", "given"),
    [
        (None, {}, ["front", "rear"], True),
        ("", {}, ["front", "rear"], True),
        (CAMERAS, {}, ["left", "right"], False),
        (CAMERAS, {"cameras": "a,b"}, ["a", "b"], True),
    ],
)
def test_several_cameras_are_those_of_the_file(launch, text, arguments, cameras, given):
    node = launch("multi_camera", text, **arguments)["romp_node"]
    assert list(cameras_of(node)) == [f"{camera}/image" for camera in cameras]
    assert given_to(node) == ({"cameras": cameras} if given else {})


@pytest.mark.parametrize(
    ("text", "arguments", "compressed"),
    [
        (None, {}, False),
        (None, {"image_transport": "compressed"}, True),
        ("/**:\n  ros__parameters: {image_transport: compressed}", {}, True),
        (
            "/**:\n  ros__parameters: {image_transport: compressed}",
            {"image_transport": "raw"},
            False,
        ),
    ],
)
def test_demo_plays_what_the_node_hears(launch, text, arguments, compressed):
    processes = launch("demo", text, source="people.mp4", **arguments)
    assert ("--compressed" in processes["image_player"].arguments) == compressed
    assert "rviz2" in processes


@pytest.mark.parametrize("degrees", ["", "90.0"])
def test_demo_plays_with_the_field_of_view_that_the_node_has(launch, degrees):
    processes = launch("demo", source="people.mp4", horizontal_fov_deg=degrees)
    told = processes["image_player"].arguments[-2:] == ["--horizontal-fov-deg", degrees]
    assert told == bool(degrees)
    assert ("horizontal_fov_deg" in given_to(processes["romp_node"])) == told
