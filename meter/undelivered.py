"""What producers tell of events that were not taken, or not delivered."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from meter.runtime.errors import explain
from meter.runtime.kafka.producer import Message
from schemas.figures import count_of

MAX_KEPT: Final = 10_000  # lost events that are kept for the next flush where there is no `on_lost`
SHOWN: Final = 5  # ids in a message; the exception has all

log = logging.getLogger(__name__)


class Pending(NamedTuple):
    """An event in the buffer."""

    event_id: str
    message: Message
    deadline: float = 0.0  # by the loop's clock
    number: int = 0  # of all that were taken


class DeliveryError(Exception):
    """Events that did not reach Kafka within the delivery time; sending them again with the same ids is safe."""

    def __init__(self, events: Sequence[Pending], cause: BaseException, *, others: int = 0) -> None:
        """`others`: so many more were lost, whose ids were only logged."""
        count = len(events) + others
        ids = ", ".join(event.event_id for event in events[:SHOWN]) + (" …" if count > SHOWN else "")
        what = f"{count_of(count, 'event')} {'was' if count == 1 else 'were'}"
        super().__init__(f"{what} not delivered ({ids}): {explain(cause)}")
        self.events = tuple(events)

    @property
    def event_ids(self) -> tuple[str, ...]:
        return tuple(event.event_id for event in self.events)


class BufferFullError(Exception):
    """The event was not taken: Kafka has been away, or slower than the events, until the buffer was full."""


class NotRunningError(RuntimeError):
    """The event was not taken: the producer is not started, is closed, or has failed. The message says what to do."""


OnLost = Callable[[DeliveryError], None]


class Losses:
    """Tells of lost events, and keeps them for the next flush where nobody is there to be told."""

    def __init__(self, on_lost: OnLost | None) -> None:
        self._on_lost = on_lost
        self._kept: list[Pending] = []
        self._others = 0
        self._cause: BaseException | None = None

    def report(self, lost: Sequence[Pending], cause: Exception) -> None:
        if not lost:
            return
        error = DeliveryError(lost, cause)
        log.error("events_lost: %s", error)
        if self._on_lost is None:
            room = MAX_KEPT - len(self._kept)
            self._kept += lost[:room]
            self._others += len(lost[room:])
            self._cause = cause
            return
        try:
            self._on_lost(error)
        except Exception:
            log.exception("events_lost: on_lost failed for %s", ", ".join(error.event_ids))

    def raise_kept(self) -> None:
        """Raises DeliveryError for what nobody was told of yet."""
        kept, others, cause = self._kept, self._others, self._cause
        self._kept, self._others, self._cause = [], 0, None
        if kept and cause is not None:  # what is lost always has one
            raise DeliveryError(kept, cause, others=others) from cause
