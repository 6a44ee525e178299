"""aiokafka asks again as fast as the brokers answer, where an answer does not help: thousands of requests a second for
a partition without a leader, a topic that is gone, a fetch that ended in an error. Those brokers are ill already.

And a client that has no topic yet, or never has one, as a probe, asks every half minute for all that the cluster has.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

log = logging.getLogger(__name__)

# Between the end of a metadata request and the next one for the same topics: as long as aiokafka waits elsewhere.
METADATA_PAUSE_S: Final = 0.1
# Between a fetch of which a partition ended in an error and the next one to its broker.
FETCH_PAUSE_S: Final = 0.02
MARK: Final = "is_paced"

_metadata_update: Final = AIOKafkaClient._metadata_update
_send: Final = AIOKafkaClient.send
# By client: the topics that were asked for last (None: all), and when the answer was there.
_asked: WeakKeyDictionary[Any, tuple[frozenset[str] | None, float]] = WeakKeyDictionary()


class NoTopics(frozenset[str]):
    """aiokafka takes what is false for every topic."""

    def __bool__(self) -> bool:
        return True


async def _update_at_pace(self: Any, cluster: Any, topics: Iterable[str] | None) -> bool:
    """An error that aiokafka does not expect would end its task that learns of new leaders, without a word."""
    now, wanted = asyncio.get_running_loop().time, None if topics is None else frozenset(topics)
    before = _asked.get(self)
    if before is not None and before[0] == wanted:
        await asyncio.sleep(before[1] + METADATA_PAUSE_S - now())
    try:
        return bool(await _metadata_update(self, cluster, NoTopics() if wanted == frozenset() else topics))
    except Exception as error:
        log.warning("metadata_failed: %r", error)
        return False
    finally:
        _asked[self] = wanted, now()


async def _send_at_pace(self: Any, node_id: Any, request: Any, **options: Any) -> Any:
    """aiokafka sends no other fetch to the node before this one is done with."""
    response = await _send(self, node_id, request, **options)
    if isinstance(request, FetchRequest) and has_error(response):
        await asyncio.sleep(FETCH_PAUSE_S)
    return response


def has_error(response: Any) -> bool:
    """Whether a partition of a fetch ended in an error."""
    return any(code for _topic, partitions in response.topics for _partition, code, *_ in partitions)


def pace_requests() -> None:
    """Patch the class of clients, for the whole process; calling it again changes nothing, also from the producers'
    package, which has a copy of this module."""
    if hasattr(AIOKafkaClient.send, MARK):
        return
    for paced in (_update_at_pace, _send_at_pace):
        setattr(paced, MARK, True)
    AIOKafkaClient._metadata_update = _update_at_pace
    AIOKafkaClient.send = _send_at_pace
