"""Random histories of accounts and of usage: everything that the log may hold, also what has no effect."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.projections_log import (
    CREDITS,
    GUARDRAIL,
    INFERENCE,
    NOON,
    RUNS,
    SCRIPT,
    TOOL,
    Event,
    closed,
    contacts_changed,
    granted,
    opened,
    plan_changed,
    renamed,
    reopened,
    reversal_of,
    reverse,
    reversed_,
    revoked,
    tool,
    used,
)

ZONES = (
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "UTC",
    "No/Where",
    "ABC-5",
    "PST8",
)
# Of fields for information: what can be read, and what costs nothing but itself.
VALUES: dict[str, tuple[Any, ...]] = {
    "deployment": ("eu-1", "us-1", "", " ", 7, "x" * 256, "x" * 257, None, ["eu"], "é\u200d\U0001f469"),
    "status": ("ok", "failed", "s" * 100, {}, True),
    "category": ("inference", "hosting", "fine_tuning", "storage", "other", 5, None),
    "input_tokens": (0, 812, 812.0, -1, "812", 1.5, 10**15, 10**15 + 1, None, True),
    "output_tokens": (1, 2, [], 10**15),
    "seconds": (0, 60, 0.25, 1e-7, -1, "60", 10**9, 10**9 + 1),
    "hardware": ("a10g", "", 5),
    "replicas": (1, 2, 0.5),
    "memory_gb": (2, 0.5),
}


def random_change(rng: random.Random, name: str) -> Event:
    """Of an account; some of them without effect."""
    return rng.choice(
        (
            plan_changed(name, rng.choice(("free", "team"))),
            contacts_changed(name, *rng.choice(((), ("ann@example.com",), ("ann@example.com", "bob@example.com")))),
            closed(name),
            reopened(name),
            renamed(name, display_name=rng.choice(("Ann", "Bob", " ", "", 5, "x" * 300, "a\tb"))),
            renamed(name, time_zone=rng.choice(("UTC", "Europe/Berlin", "", "no zone", None))),
        )
    )


def random_reversal(rng: random.Random, name: str, events: list[Event]) -> Event:
    """Linked to usage, with what is left of it or a part; or of before reversals had to name an event."""
    amount, resource = rng.randint(1, 20), rng.choice((CREDITS, RUNS))
    usage = [event for event in events if event.account_id == name and event.type in (INFERENCE, TOOL) and event.amount]
    if not usage or rng.random() < 0.3:
        return reversed_(name, amount, resource)
    named = rng.choice(usage[-5:])
    left = named.amount - sum(event.amount for event in events if event.reverses is named)
    if not left:
        return reversed_(name, amount, resource)
    return reversal_of(
        named, rng.choice((left, (left + 1) // 2)), occurred_at=NOON + timedelta(days=rng.randint(-1, 1))
    )


def random_history(seed: int, accounts: int = 6, length: int = 400) -> list[Event]:
    """Opened late, topped up, reversed, overdrawn: everything in one log."""
    rng = random.Random(seed)
    names = [f"acct-{number}" for number in range(accounts)]
    events: list[Event] = []
    for _ in range(length):
        name = rng.choice(names)
        match rng.randrange(20):
            case 0:
                events += opened(name)
            case 1:
                events.append(granted(name, rng.randint(1, 100), rng.choice((CREDITS, RUNS))))
            case 2:
                events.append(random_reversal(rng, name, events))
            case 3:
                events.append(random_change(rng, name))
            case 4:
                events.append(revoked(name, rng.randint(1, 100), rng.choice((CREDITS, RUNS))))
            case 5 | 6:
                events.append(tool(name, rng.randint(1, 3000), rng.choice(("web-search", "calculator"))))
            case _:
                day = datetime(2026, 11, rng.randint(20, 24), rng.randint(0, 23), 59, 59, 999_999, tzinfo=UTC)
                events.append(used(name, rng.randint(0, 9_000_000) / 1_000_000, rng.choice("abc"), occurred_at=day))
    return events


def random_usage(seed: int, length: int = 400) -> list[Event]:
    """Around the nights at which clocks change: with what producers send, renames of zones, reversals with a link."""
    rng = random.Random(seed)
    accounts = [f"acct-{number}" for number in range(5)]
    events = [event for name in accounts for event in opened(name)]
    taken: list[Event] = []
    for _ in range(length):
        name = rng.choice(accounts)
        night = rng.choice((datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)))
        at = night + timedelta(minutes=rng.randint(-600, 600), microseconds=rng.choice((0, 1, 59_999_999)))
        match rng.randrange(12):
            case 0:
                events.append(renamed(name, time_zone=rng.choice(ZONES)))
            case 1 if taken:
                origin = rng.choice(taken)
                events.append(reverse(origin, rng.randint(1, origin.amount), timedelta(minutes=rng.randint(0, 90))))
            case 2:
                events.append(replace(reverse(used(name, 1), 1000, timedelta()), reverses=None, occurred_at=at))
            case _:
                kind = rng.choice((INFERENCE, GUARDRAIL, SCRIPT, TOOL))
                data = {field: rng.choice(values) for field, values in VALUES.items() if rng.random() < 0.4}
                event = used(name, rng.randint(1, 5_000_000) / 1_000_000, rng.choice("abc"), occurred_at=at, data=data)
                taken.append(replace(event, type=kind, resource=RUNS if kind == TOOL else CREDITS))
                events.append(taken[-1])
    return events
