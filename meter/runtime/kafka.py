"""Kafka for the services: import from here. The parts live in `kafka_*.py`; aiokafka is used nowhere else."""

from meter.runtime.errors import OwnershipLostError, TopicIdentityError
from meter.runtime.kafka_admin import TopicAdmin, TopicChange, TopicInfo
from meter.runtime.kafka_assignment import OffsetStore
from meter.runtime.kafka_client import is_transient
from meter.runtime.kafka_consumer import ShardConsumer, TopicGuard
from meter.runtime.kafka_producer import Message, Producer
from meter.runtime.shelf import Batch

__all__ = [
    "Batch",
    "Message",
    "OffsetStore",
    "OwnershipLostError",
    "Producer",
    "ShardConsumer",
    "TopicAdmin",
    "TopicChange",
    "TopicGuard",
    "TopicIdentityError",
    "TopicInfo",
    "is_transient",
]
