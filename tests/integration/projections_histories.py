"""Random histories of accounts: everything that the log may hold, also what has no effect."""

import random
from datetime import UTC, datetime, timedelta

from tests.integration.projections_log import (
    CREDITS,
    INFERENCE,
    NOON,
    RUNS,
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
    reversed_,
    revoked,
    tool,
    used,
)


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
