"""Cases of what people read: one account for each, from its events to view, banner and letter. Each is a text or figure
that was wrong once; `was` says how it read.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.resources import Resource

CREDITS, RUNS = Resource.MODEL_CREDITS, Resource.TOOL_RUNS
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


class Step(NamedTuple):
    what: str  # use, grant or revoke
    amount: str


def use(amount: str) -> Step:
    return Step("use", amount)


@dataclass(frozen=True)
class Case:
    """`banner`: threshold, kind and part of the text, or None; `letter`: what stands in the last one."""

    name: str
    was: str
    steps: tuple[Step, ...]
    exhaustion: str
    banner: tuple[int, str, str] | None
    subject: str | None = None
    letter: tuple[str, ...] = ()
    never: tuple[str, ...] = ()  # neither in the letter nor in the banner
    resource: Resource = CREDITS
    opening: dict[str, Any] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        return Decimal(self.exhaustion) < 100


LOW = "When no model credits remain, model calls, guardrails and custom scripts are refused."
REFUSED = "model calls, guardrails and custom scripts are refused now."
CASES = (
    Case(
        name="almost",
        was="100.00 and allowed; the letter had 74.999 and 0.001",
        steps=(use("74.999"),),
        exhaustion="99.99",
        banner=(90, "low", LOW),
        subject="99 % of model credits used: almost",
        letter=("Used:       74.99 of 75 model credits (99 %)", "Remaining:  less than 0.01 model credits", LOW),
        never=("100 %", "refused now", " 0 model credits"),
    ),
    Case("under-20", "20.00 without a banner", (use("14.9999"),), "19.99", None),
    Case("under-50", "50.00 with the banner of 20", (use("37.4999"),), "49.99", (20, "low", "At least 20 % of")),
    Case(
        name="one-run",
        was="1 tool runs",
        resource=RUNS,
        steps=(use("9999"),),
        exhaustion="99.99",
        banner=(90, "low", "When no tool runs remain, tool calls are refused."),
        subject="99 % of tool runs used: one-run",
        letter=("Used:       9,999 of 10,000 tool runs (99 %)", "Remaining:  1 tool run"),
        never=("1 tool runs",),
    ),
    Case(
        name="one-credit",
        was="1 model credits",
        steps=(use("74"),),
        exhaustion="98.66",
        banner=(90, "low", LOW),
        subject="98 % of model credits used: one-credit",
        letter=("Remaining:  1 model credit",),
    ),
    Case(
        name="bought",
        was="the free model credits have expired, upgrade: to somebody who had bought 100, by the name of the plan",
        steps=(use("75"), Step("grant", "100"), use("100")),
        exhaustion="100",
        banner=(100, "paid_expired", f"The model credits of bought have expired: {REFUSED} Top up or upgrade the plan"),
        subject="100 % of model credits used, model calls refused: bought",
        letter=(f"The model credits are used up: {REFUSED} Top up or upgrade the plan to go on.",),
        never=("free",),
    ),
    Case(
        name="never-bought",
        was="have expired, top up: to a team that never bought anything, by the name of the plan",
        opening={"plan": "team"},
        steps=(use("75"),),
        exhaustion="100",
        banner=(100, "free_expired", f"The free model credits of never-bought have expired: {REFUSED} Upgrade"),
        subject="100 % of model credits used, model calls refused: never-bought",
        letter=(f"The free model credits are used up: {REFUSED} Upgrade the plan to go on.",),
    ),
    Case(
        name="over",
        was="when no model credits remain they are refused: at 106 %",
        steps=(use("79.5"),),
        exhaustion="106.00",
        banner=(100, "free_expired", REFUSED),
        subject="106 % of model credits used, model calls refused: over",
        letter=("Used:       79.5 of 75 model credits (106 %)", "Overdrawn:  4.5 model credits", REFUSED),
        never=(LOW,),
    ),
    Case(
        name="overdrawn",
        was="100 % of nothing, and nobody said why",
        steps=(use("5"), Step("revoke", "75")),
        exhaustion="100",
        banner=(100, "free_expired", f"The model credits of overdrawn are overdrawn: {REFUSED}"),
        subject="Model credits overdrawn, model calls refused: overdrawn",
        letter=("Overdrawn:  5 model credits", "used up or were taken back, and 5 more were used."),
        never=("100 %",),
    ),
    Case(
        name="taken-back",
        was="100 % of model credits used: to an account that had used none",
        steps=(Step("revoke", "75"),),
        exhaustion="100",
        banner=(100, "free_expired", f"No model credits of taken-back are left: {REFUSED}"),
        subject="No model credits left, model calls refused: taken-back",
        letter=("No model credits are left", "All model credits that were granted are used up or were taken back."),
        never=("100 %", " of 0 "),
    ),
    Case(
        name="swallowed",
        was="have expired: of a top-up that the overdraft swallowed",
        steps=(use("80"), Step("grant", "5")),
        exhaustion="100",
        banner=(100, "paid_expired", f"No model credits of swallowed are left: {REFUSED}"),
        subject="106 % of model credits used, model calls refused: swallowed",
        letter=("Overdrawn:  5 model credits",),  # of before the top-up: they know already that nothing is left
        never=(" of 0 ",),
    ),
    Case(
        name="six-decimals",
        was="52.500001 of 75 and 22.499999, which touched each other on a telephone",
        steps=(use("52.500001"),),
        exhaustion="70.00",
        banner=(70, "low", LOW),
        subject="70 % of model credits used: six-decimals",
        letter=("Used:       52.5 of 75 model credits (70 %)", "Remaining:  22.5 model credits"),
        never=("500001", "499999"),
    ),
    Case(
        name="joined",
        was="joiners were blanks, and took words and families apart",
        opening={"display_name": f"{PERSIAN} {FAMILY}"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", " of joined are used"),
        subject=f"80 % of model credits used: {PERSIAN} {FAMILY}",
        letter=(f"Account:    {PERSIAN} {FAMILY} (joined)",),
    ),
    Case(
        name="linking",
        was="a link of a stranger in subject and banner",
        opening={"display_name": "Claim it at https://example.com/prize"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of linking are used"),
        subject="80 % of model credits used: linking",
        letter=("Account:    linking",),
        never=("example.com/prize", "Claim"),
    ),
    Case(
        name="turned",
        was="a direction mark that turned the rest of the line around",
        opening={"display_name": "\u202eelpmaxE\u2066 \u200bTeam"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of turned are used"),
        subject="80 % of model credits used: elpmaxE Team",
        never=("\u202e", "\u2066", "\u200b"),
    ),
    Case(
        name="blank",
        was="an account without a name: a letter that is blank to the eye",
        opening={"display_name": "\u3164 \u2800"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of blank are used"),
        subject="80 % of model credits used: blank",
        letter=("Account:    blank",),
    ),
    Case(
        name="far-away",
        was="as of a time in UTC, for people in Kathmandu",
        opening={"time_zone": "Asia/Kathmandu"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", LOW),
        subject="80 % of model credits used: far-away",
        letter=("(Asia/Kathmandu, UTC+5:45)",),
    ),
)  # fmt: skip
