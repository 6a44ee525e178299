"""Kafka for the services: import from here. The parts live in `kafka_*.py`; aiokafka is used nowhere else."""

from meter.runtime.errors import OwnershipLostError, TopicIdentityError
from meter.runtime.kafka.admin import TopicAdmin, TopicChange, TopicInfo
from meter.runtime.kafka.assignment import OffsetStore
from meter.runtime.kafka.consumer import ShardConsumer, TopicGuard
from meter.runtime.kafka.failures import is_transient
from meter.runtime.kafka.producer import Message, Producer
from meter.runtime.kafka.shard_buffers import Batch

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
