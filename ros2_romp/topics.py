"""Topics: those that go together, and how they are subscribed to."""

import copy
from collections.abc import Callable

from rclpy.event_handler import (
    QoSMessageLostInfo,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription


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


def subscribe(
    node: Node,
    message_type: type,
    topic: str,
    callback: Callable,
    qos: QoSProfile,
    *,
    raw: bool = False,
    on_lost: Callable[[QoSMessageLostInfo], None] | None = None,
) -> Subscription:
    """Subscription whose QoS the node's parameters may override.

    Args:
        node: that subscribes.
        message_type: of the topic.
        topic: as the node knows it.
        callback: called with each message.
        qos: unless overridden; left as it is.
        raw: whether messages stay serialised.
        on_lost: called when messages are lost on the way, where the middleware notices.

    Raises:
        RuntimeError, ParameterException: an override that does not exist.
    """

    def create(events: SubscriptionEventCallbacks) -> Subscription:
        # Overrides are written into the profile that rclpy is given: each topic gets its own.
        overrides = QoSOverridingOptions.with_default_policies()
        return node.create_subscription(
            message_type,
            topic,
            callback,
            copy.copy(qos),
            raw=raw,
            event_callbacks=events,
            qos_overriding_options=overrides,
        )

    try:
        return create(SubscriptionEventCallbacks(message_lost=on_lost))
    except UnsupportedEventTypeError:
        return create(SubscriptionEventCallbacks())
