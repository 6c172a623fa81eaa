"""people_listener_ros.py without ROS: a second DDS implementation, and types written by hand.

ROS 2 puts `rt/` before topic names and `dds_` into type names. The fields below are those of
msg/*.msg in their order, so what arrives here is what any DDS program would read.
"""

import os
import sys
from dataclasses import dataclass

import numpy as np
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import array, float32, int32, sequence, uint32
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration
from people_contents import contents

LOOPBACK = """
<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo"/></Interfaces></General>
<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers>
</Discovery></Domain></CycloneDDS>"""


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class SmplPerson(IdlStruct, typename="ros2_romp::msg::dds_::SmplPerson_"):
    track_id: uint32
    confidence: float32
    betas: array[float32, 10]
    pose: array[float32, 72]
    translation: array[float32, 3]
    camera: array[float32, 3]
    joints: sequence[float32]
    keypoints_2d: sequence[float32]
    box: array[float32, 4]
    vertices: sequence[float32]


@dataclass
class SmplPersonArray(IdlStruct, typename="ros2_romp::msg::dds_::SmplPersonArray_"):
    header: Header
    body_model: str
    image_height: uint32
    image_width: uint32
    people: sequence[SmplPerson]


own_domain = int(os.environ["ROS_DOMAIN_ID"])
domain = Domain(own_domain, LOOPBACK)
participant = DomainParticipant(own_domain)
topic = Topic(participant, "rt/people", SmplPersonArray)
latched = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.TransientLocal)
reader = DataReader(participant, topic, qos=latched)
message = next(reader.take_iter(timeout=duration(seconds=60)))
np.savez(sys.argv[1], **contents(message))
