"""Kafka for the services: import from here. Only `adapter` touches aiokafka's clients.

Each name is loaded when it is first asked for: a verb that sends one event loads the producer, and not the consumer and
all that a service reads with.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from meter.runtime.errors import OwnershipLostError as OwnershipLostError
    from meter.runtime.errors import TopicIdentityError as TopicIdentityError
    from meter.runtime.kafka.adapter.protocols import TopicInfo as TopicInfo
    from meter.runtime.kafka.admin import TopicAdmin as TopicAdmin
    from meter.runtime.kafka.admin import TopicChange as TopicChange
    from meter.runtime.kafka.assignment import OffsetStore as OffsetStore
    from meter.runtime.kafka.consumer import ShardConsumer as ShardConsumer
    from meter.runtime.kafka.failures import is_transient as is_transient
    from meter.runtime.kafka.history import History as History
    from meter.runtime.kafka.history import HistoryLostError as HistoryLostError
    from meter.runtime.kafka.identity import TopicGuard as TopicGuard
    from meter.runtime.kafka.offset_ranges import Remedies as Remedies
    from meter.runtime.kafka.producer import Landed as Landed
    from meter.runtime.kafka.producer import Message as Message
    from meter.runtime.kafka.producer import Producer as Producer
    from meter.runtime.kafka.shard_buffers import Batch as Batch

HOMES: Final = {
    "OwnershipLostError": "meter.runtime.errors",
    "TopicIdentityError": "meter.runtime.errors",
    "TopicInfo": "meter.runtime.kafka.adapter.protocols",
    "TopicAdmin": "meter.runtime.kafka.admin",
    "TopicChange": "meter.runtime.kafka.admin",
    "OffsetStore": "meter.runtime.kafka.assignment",
    "ShardConsumer": "meter.runtime.kafka.consumer",
    "TopicGuard": "meter.runtime.kafka.identity",
    "is_transient": "meter.runtime.kafka.failures",
    "History": "meter.runtime.kafka.history",
    "HistoryLostError": "meter.runtime.kafka.history",
    "Remedies": "meter.runtime.kafka.offset_ranges",
    "Landed": "meter.runtime.kafka.producer",
    "Message": "meter.runtime.kafka.producer",
    "Producer": "meter.runtime.kafka.producer",
    "Batch": "meter.runtime.kafka.shard_buffers",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
