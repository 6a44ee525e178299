"""What is sent to one partition, and the judgement of what came of a try."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from meter.runtime.errors import DependencyUnreachableError, TransientError, explain
from meter.runtime.kafka import failures
from meter.runtime.kafka.producer import HeldBackError, Landed
from meter.runtime.settings import Settings
from meter.runtime.waiting import pauses
from meter.undelivered import Pending


class Lane:
    """Events that are sent one behind the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.events: list[Pending] = []
        self.trouble: Exception | None = None  # of the last try
        self.note_success()

    def note_success(self) -> None:
        self._pauses = pauses(self._settings.retry_first_s, self._settings.retry_max_s)

    async def rest(self) -> None:
        """After a fault: a growing pause, that ends with the time of the first event that is left."""
        if self.events and self.trouble is not None:
            left_s = min(event.deadline for event in self.events) - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, min(next(self._pauses), left_s)))


class Unlanded(NamedTuple):
    """Of events that were tried, and did not land."""

    lost: dict[Exception, list[Pending]]  # by the cause
    left: list[Pending]  # to be tried again
    trouble: Exception | None  # the fault to wait out before that


class TrySorter:
    """`awaits_rights`: a login or a right that Kafka refuses may be given in time."""

    def __init__(self, settings: Settings, *, awaits_rights: bool) -> None:
        self._settings = settings
        self._awaits_rights = awaits_rights

    def sort(self, tried: Sequence[Pending], results: Sequence[Landed | Exception]) -> Unlanded:
        now = asyncio.get_running_loop().time()
        lost: dict[Exception, list[Pending]] = {}
        left: list[Pending] = []
        trouble: Exception | None = None
        told: dict[str, Exception] = {}
        for event, result in zip(tried, results, strict=True):
            if isinstance(result, Landed):
                continue
            behind = isinstance(result, HeldBackError)
            passes = self._may_pass(result.cause if isinstance(result, HeldBackError) else result)
            # The same words are one loss.
            cause = told.setdefault(explain(result), self._say(result))
            if passes and not behind:
                trouble = cause
            # What stands behind one that is lost for good has had no try yet.
            if (passes and event.deadline > now) or (behind and not passes):
                left.append(event)
            else:
                lost.setdefault(cause, []).append(event)
        return Unlanded(lost, left, trouble)

    def _may_pass(self, error: Exception) -> bool:
        return may_pass(error) or (self._awaits_rights and isinstance(error, failures.REFUSED))

    def _say(self, error: Exception) -> Exception:
        """Where Kafka refuses a right, the same with what to do."""
        address, user = self._settings.kafka_bootstrap, self._settings.kafka_sasl_username
        said = failures.explain_unauthorized(error, address=address, user=user)
        if said is None:
            return error
        told = DependencyUnreachableError(said, dependency="kafka")
        told.__cause__ = error
        return told


def may_pass(error: BaseException) -> bool:
    return isinstance(error, TransientError) or failures.is_transient(error)
