"""Plans of one batch and of a batch for each change."""

from collections.abc import Sequence
from typing import Any

from notifier.decide import Thresholds
from notifier.model import Known, NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES
from tests.unit.notifier.builders import AT, RENDERER
from tests.unit.notifier.fakes import learn


def plan(
    changes: Sequence[Change | Unreadable], known: Known | None = None, lines: Thresholds | None = None
) -> NotifyPlan:
    place: dict[str, Any] = {"topic": BALANCES, "shard": 0, "start": 0, "end": len(changes)}
    return plan_notices(changes, known or Known(), lines or Thresholds(), RENDERER, at=AT, **place)


def plan_each(changes: Sequence[Change], lines: Thresholds | None = None) -> list[NotifyPlan]:
    """Each change in a batch of its own."""
    known, made = Known(), list[NotifyPlan]()
    for change in changes:
        made.append(plan([change], known, lines))
        known = learn(known, made[-1])
    return made


def events(made: NotifyPlan) -> list[Decoded]:
    return [decode_event(event.value) for event in made.events]


def types(made: NotifyPlan) -> list[str]:
    return [event.envelope.type for event in events(made)]
