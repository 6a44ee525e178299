"""Sample accounts and balances: each state that a text may be about, for the check at start and for the preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot
from schemas.amounts import MICRO
from schemas.resources import Resource

MOMENT: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
SAMPLE_ACCOUNT: Final = AccountSnapshot(
    "example-account", 0, 1, "free", "Example Account", ("someone@example.com",), time_zone="Europe/Berlin"
)
LONG_NAME: Final = "Example Company for the Quarterly Reconciliation of Everything That Was Ever Metered, Branch 7"
HOSTILE_NAME: Final = '<b onclick="x">\u202eelpmaxE</b>\u200b & "Sons"'
LINKING_NAME: Final = "You won! Claim it at https://example.com/prize"


@dataclass(frozen=True, slots=True)
class Sample:
    """`balances`: the first one gives the letter its subject."""

    name: str
    says: str
    balances: Sequence[BalanceSnapshot]
    account: AccountSnapshot = SAMPLE_ACCOUNT
    runways: Mapping[str, datetime] = field(default_factory=dict)


def credits_used(consumed: int, line: int, allocation: int = 75 * MICRO, *, free_only: bool = True) -> BalanceSnapshot:
    return sample_of(Resource.MODEL_CREDITS, allocation, consumed, 7, line, free_only=free_only)


def runs_used(consumed: int, line: int, *, free_only: bool = True) -> BalanceSnapshot:
    return sample_of(Resource.TOOL_RUNS, 10_000 * MICRO, consumed, 8, line, free_only=free_only)


def sample_of(
    resource: Resource, allocation: int, consumed: int, position: int, line: int, *, free_only: bool
) -> BalanceSnapshot:
    return BalanceSnapshot(
        SAMPLE_ACCOUNT.account_id,
        resource.value,
        1,
        allocation,
        consumed,
        0,
        position,
        line=line,
        as_of=MOMENT,
        free_only=free_only,
    )


LOW_CREDITS: Final = credits_used(60_500_000, 80)
LOW_RUNS: Final = runs_used(5_000 * MICRO, 50)
NO_RUNS: Final = runs_used(0, 0)
RUNWAYS: Final = {Resource.MODEL_CREDITS.value: MOMENT + timedelta(days=2, hours=1)}


def named(name: str) -> AccountSnapshot:
    return replace(SAMPLE_ACCOUNT, display_name=name)


SAMPLES: Final[Sequence[Sample]] = (
    Sample("low_model_credits", "model credits run low", (LOW_CREDITS, NO_RUNS)),
    Sample("low_tool_runs", "tool runs run low", (LOW_RUNS, credits_used(1_250_000, 0))),
    Sample("low_both", "both run low", (LOW_CREDITS, LOW_RUNS)),
    Sample("low_with_pace", "when nothing will be left is known", (LOW_CREDITS, NO_RUNS), runways=RUNWAYS),
    Sample("almost_nothing_left", "one micro-unit is left", (credits_used(75 * MICRO - 1, 90), NO_RUNS)),
    Sample("free_expired", "the free model credits are used up", (credits_used(75 * MICRO, 90), LOW_RUNS)),
    Sample("free_runs_expired", "the free tool runs are used up", (runs_used(10_000 * MICRO, 90), LOW_CREDITS)),
    Sample(
        "paid_expired",
        "more than was ever granted is used",
        (credits_used(185_500_000, 90, 175 * MICRO, free_only=False), NO_RUNS),
    ),
    Sample("overdrawn", "a grant was taken back", (credits_used(5 * MICRO, 90, 0, free_only=False), NO_RUNS)),
    Sample("none_left", "all that was granted was taken back", (credits_used(0, 90, 0), NO_RUNS)),
    Sample(
        "both_refused",
        "nothing is left of either",
        (credits_used(80 * MICRO, 90), runs_used(10_001 * MICRO, 90)),
    ),
    Sample("long_name", "a name of many words", (LOW_CREDITS, NO_RUNS), named(LONG_NAME)),
    Sample("hostile_name", "a name of markup and direction marks", (LOW_CREDITS, NO_RUNS), named(HOSTILE_NAME)),
    Sample("linking_name", "a name with a link: the account id instead", (LOW_CREDITS, NO_RUNS), named(LINKING_NAME)),
)
