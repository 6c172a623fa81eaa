"""Topics that go together."""

from rclpy.node import Node


def topic_beside(node: Node, name: str, image_topic: str) -> str:
    """Where what belongs to a camera's images is published.

    Args:
        node: whose remappings count.
        name: as the node knows it, such as ``camera_info`` or ``front/camera_info``.
        image_topic: of the images, resolved.

    Returns:
        The topic that `name` is remapped to; where it is not, the one beside the images, as
        drivers publish it and image_transport expects it.
    """
    topic = node.resolve_topic_name(name)
    if topic != node.resolve_topic_name(name, only_expand=True):
        return topic
    return f"{image_topic.rpartition('/')[0]}/{name.rpartition('/')[2]}"
