"""Cases of corrections, the life of accounts and identity: each an account of its own. What is in one phase may be read
in any order of the two topics.
"""

from dataclasses import dataclass
from typing import Any, Final

from schemas.resources import Resource

CREDITS, RUNS = Resource.MODEL_CREDITS, Resource.TOOL_RUNS
GATEWAY, TOOLS, BILLING, SUPPORT = "/example/gateway", "/example/tools", "/example/billing", "/example/support"
UUID = "019b76da-a800-79ab-aa7b-5bf55eb561a4"

Step = tuple[str, dict[str, Any]]


def step(verb: str, **values: Any) -> Step:
    return verb, values


def opened(**more: Any) -> Step:
    return step("opened", plan="free", contacts=[], **more)


def granted(amount: int, id: str | None = None, resource: Resource = CREDITS, source: str = BILLING) -> Step:
    return step(
        "granted", resource=resource, amount=amount, reason="top_up", reference="T", event_id=id, producer=source
    )


def revoked(amount: int, revokes: str | None = None, resource: Resource = CREDITS) -> Step:
    return step("revoked", resource=resource, amount=amount, reason="chargeback", reference="T", revokes=revokes)


def used(amount: int, id: str | None = None, source: str = GATEWAY, **more: Any) -> Step:
    return step("model_inference", credits=amount, model="swift-1", event_id=id, producer=source, **more)


def given_back(amount: int, reverses: str, resource: Resource = CREDITS, **more: Any) -> Step:
    return step("reversed", resource=resource, amount=amount, reason="outage", reverses=reverses, **more)


@dataclass(frozen=True, slots=True)
class Case:
    """`was`: what came of it before; where nothing was wrong, or nothing could be, it says why. `credits`: allocation,
    consumed and whether more is allowed. `refused`: why records were rejected. `remarks`: fields without effect."""

    name: str
    was: str
    phases: tuple[tuple[Step, ...], ...]
    credits: tuple[int, int, bool]
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


SOUND: Final = "right before, too: what came back lowered what was used"
NO_SUCH_TYPE: Final = "could not be asked for: the type was rejected as unknown"
OPEN: Final = (opened(),)
CORRECTIONS = (
    Case("a part is given back", SOUND, (OPEN, (used(10, "a"),), (given_back(4, "a"),)), (75, 6, True)),
    Case("all in parts", SOUND, (OPEN, (used(10, "a"),), tuple(given_back(n, "a") for n in (3, 3, 4))), (75, 0, True)),
    Case(
        "twice",
        "85 of 75 left: whoever sent it with an id of its own got it twice",
        (OPEN, (used(10, "a"),), (given_back(10, "a"), given_back(10, "a"))),
        (75, 0, True),
        ("reverses_too_much",),
    ),
    Case(
        "the same reversal twice",
        "right before, too: the id was known",
        (OPEN, (used(10, "a"),), (given_back(4, "a", event_id="r"),) * 2),
        (75, 6, True),
    ),
    Case(
        "more than it was",
        "taken: nobody asked how much there was to give back",
        (OPEN, (used(10, "a"),), (given_back(11, "a"),)),
        (75, 10, True),
        ("reverses_too_much",),
    ),
    Case(
        "another resource",
        "taken: runs came back for a call of a model",
        (OPEN, (used(10, "a"),), (given_back(10, "a", RUNS),)),
        (75, 10, True),
        ("reverses_other_resource",),
    ),
    Case(
        "of nothing",
        "taken: 10 came back for an event that nobody sent",
        (OPEN, (used(10, "a"),), (given_back(10, "b"),)),
        (75, 10, True),
        ("reverses_unknown",),
    ),
    Case(
        "of another account",
        "taken: nobody looked whose usage it was",
        (OPEN, (used(10, "a", suffix="-other"),), (given_back(10, "a"),)),
        (75, 0, True),
        ("reverses_unknown",),
    ),
    Case(
        "of one of two sources",
        "there was one: the other had been swallowed as a repeat",
        (OPEN, (used(10, "a"), used(20, "a", TOOLS)), (given_back(1, "a"),)),
        (75, 30, True),
        ("reverses_ambiguous",),
    ),
    Case(
        "of the source that is named",
        "there was one: the other had been swallowed, and a source could not be named",
        (OPEN, (used(10, "a"), used(20, "a", TOOLS)), (given_back(20, "a", reverses_source=TOOLS),)),
        (75, 10, True),
    ),
    Case(
        "a UUID in capitals",
        "right before, too: any id was taken",
        (OPEN, (used(10, UUID),), (given_back(10, UUID.upper()),)),
        (75, 0, True),
    ),
    Case(
        "behind the start of the epoch",
        "−15 of 100",
        (OPEN, (used(60, "b"), used(20, "a")), (granted(100),), (given_back(20, "a"),)),
        (175, 60, True),
    ),
    Case(
        "a grant after overdraft is revoked",
        NO_SUCH_TYPE,
        (OPEN, (granted(100),), (used(80),), (revoked(100),)),
        (0, 5, False),
    ),
    Case(
        "more is revoked than was granted", NO_SUCH_TYPE, (OPEN, (revoked(76),)), (75, 0, True), ("revokes_too_much",)
    ),
    Case(
        "a grant is revoked twice",
        NO_SUCH_TYPE,
        (OPEN, (granted(10, "g"),), (revoked(10, "g"),), (revoked(1, "g"),)),
        (75, 0, True),
        ("revokes_too_much",),
    ),
    Case("no such grant is revoked", NO_SUCH_TYPE, (OPEN, (revoked(1, "g"),)), (75, 0, True), ("revokes_unknown",)),
    Case(
        "a grant of runs is revoked as credits",
        NO_SUCH_TYPE,
        (OPEN, (granted(10, "g", RUNS),), (revoked(1, "g"),)),
        (75, 0, True),
        ("revokes_other_resource",),
    ),
    Case("granted before the opening", "allowed 5 before anybody had opened it", ((granted(5),), OPEN), (80, 0, True)),
    Case(
        "used before the opening",
        "right before, too, as to figures: its lines were silent (letters)",
        ((used(10),), OPEN),
        (75, 10, True),
    ),
    Case("granted and never opened", "allowed, 100 of 100", ((granted(100),),), (0, 0, False)),
    Case(
        "opened twice",
        "right before, too, as to figures; nothing was said of what differs",
        (OPEN, OPEN),
        (75, 0, True),
    ),
    Case(
        "opened twice on other terms",
        "right before, too, as to figures; whoever sent it was told nothing",
        (OPEN, (step("opened", plan="team", contacts=["ann@example.com"], display_name="Ann"),)),
        (75, 0, True),
        remarks=("contacts", "display_name", "plan"),
    ),
    Case(
        "given a plan, a name and contacts before the opening",
        "those of the opening won, though they were older; whoever sent it was told nothing",
        (
            (
                step("plan_changed", plan="team"),
                step("renamed", display_name="Ann", time_zone="Asia/Tokyo"),
                step("contacts_changed", contacts=["ann@example.com"]),
            ),
            (step("opened", plan="free", contacts=["bob@example.com"], display_name="Bob", time_zone="UTC"),),
        ),
        (75, 0, True),
        remarks=("contacts", "display_name", "plan", "time_zone"),
    ),
    Case("closed before it was opened", NO_SUCH_TYPE, ((step("closed"),), OPEN), (75, 0, True), remarks=("type",)),
    Case("used when closed", NO_SUCH_TYPE, (OPEN, (step("closed"),), (used(5),)), (75, 5, False)),
    Case(
        "closed and reopened", NO_SUCH_TYPE, (OPEN, (used(5),), (step("closed"),), (step("reopened"),)), (75, 5, True)
    ),
)
IDENTITY = (
    Case(
        "one request id of two services",
        "1: the second was a repeat in silence",
        (OPEN, (used(1, "a"), used(1, "a", TOOLS))),
        (75, 2, True),
    ),
    Case("a retry", "right before, too: the id was known", (OPEN, (used(1, "a"),), (used(1, "a"),)), (75, 1, True)),
    Case(
        "an id with another amount",
        "a repeat, in silence: nobody learned that 2 were meant",
        (OPEN, (used(1, "a"),), (used(2, "a"),)),
        (75, 1, True),
        ("id_reused",),
    ),
    Case(
        "a UUID in any case",
        "right before, too: ids were put into lower case",
        (OPEN, (used(1, UUID),), (used(1, UUID.upper()),)),
        (75, 1, True),
    ),
    Case(
        "a text in another case",
        "ids were put into lower case, where they were not refused as no UUID",
        (OPEN, (used(1, "order-a"),), (used(1, "ORDER-A"),)),
        (75, 2, True),
    ),
    Case(
        "one id of two accounts",
        "1 or 2, by the number of partitions",
        (OPEN, (used(1, "a"), used(1, "a", suffix="-other"))),
        (75, 1, True),
    ),
    Case(
        "one order number for plan and grant",
        "the grant was lost, exit status 0",
        (OPEN, (step("plan_changed", plan="team", event_id="o"),), (granted(5, "o"),)),
        (75, 0, True),
        ("id_reused",),
    ),
    Case(
        "one order number of two systems",
        "the second grant was lost",
        (OPEN, (granted(5, "o"), granted(5, "o", source=SUPPORT))),
        (85, 0, True),
    ),
    Case(
        "one id on both topics",
        "the usage was a repeat of the grant, or the other way round",
        (OPEN, (granted(5, "o"), used(1, "o"))),
        (80, 1, True),
    ),
    Case(
        "usage with the id of the opening",
        "never opened: whoever writes usage could block it",
        ((used(1, "o"),), (opened(event_id="o"),)),
        (75, 1, True),
    ),
    Case(
        "an id of any characters",
        "refused: only a UUID was an id",
        (OPEN, (used(1, "urn:x: #7/~"),), (used(1, "urn:x: #7/~"),)),
        (75, 1, True),
    ),
)
CASES = {
    f"{group}-{number}": case
    for group, cases in (("corrections", CORRECTIONS), ("identity", IDENTITY))
    for number, case in enumerate(cases)
}
