"""Kafka for the services: import from here. Only `adapter` touches aiokafka's clients."""

from meter.runtime.errors import OwnershipLostError, TopicIdentityError
from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.admin import TopicAdmin, TopicChange
from meter.runtime.kafka.assignment import OffsetStore
from meter.runtime.kafka.consumer import ShardConsumer, TopicGuard
from meter.runtime.kafka.failures import is_transient
from meter.runtime.kafka.history import History, HistoryLostError
from meter.runtime.kafka.offset_ranges import Remedies
from meter.runtime.kafka.producer import Landed, Message, Producer
from meter.runtime.kafka.shard_buffers import Batch

__all__ = [
    "Batch",
    "History",
    "HistoryLostError",
    "Landed",
    "Message",
    "OffsetStore",
    "OwnershipLostError",
    "Producer",
    "Remedies",
    "ShardConsumer",
    "TopicAdmin",
    "TopicChange",
    "TopicGuard",
    "TopicIdentityError",
    "TopicInfo",
    "is_transient",
]
