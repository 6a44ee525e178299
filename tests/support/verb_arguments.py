"""What to type after each verb, and which servers it then needs: for tests that ask all verbs the same.

`{event}` stands for an id of usage of acct-1, `{rejection}` for that of a rejection; in an empty database any will do.
"""

from typing import Final, NamedTuple

POSTGRES, KAFKA = "postgres", "kafka"
BOTH: Final = frozenset({POSTGRES, KAFKA})
EMAIL: Final = "6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10"
TICKET: Final = "--reason top_up --reference T-1"


class Typed(NamedTuple):
    arguments: str
    needs: frozenset[str]


def alone(arguments: str = "") -> Typed:
    return Typed(arguments, frozenset())


def reads(arguments: str = "") -> Typed:
    return Typed(arguments, frozenset({POSTGRES}))


def both(arguments: str = "") -> Typed:
    return Typed(arguments, BOTH)


ARGUMENTS: Final = {
    "meter open": both("acct-2"),
    "meter grant": both(f"acct-1 model_credits 5 {TICKET}"),
    "meter check": alone("/dev/null"),
    "meter reverse": both("acct-1 {event} --all --reason outage"),
    "meter revoke": both(f"acct-1 model_credits 1 {TICKET}"),
    "meter usage": reads("acct-1"),
    "meter forget": both("acct-1 --reason asked --yes"),
    "meter verify": both(),
    "meter recover": both("--force --no-roles"),
    "meter seal": both("--yes --no-roles"),
    "meter split": both("--no-roles"),
    "meter prune": reads(),
    "meter rerouted": reads(),
    "meter waiting": reads(),
    "meter setup": both("--no-roles"),
    "meter run": both(),
    "meter settings": alone(),
    "meter accounts plan": both("acct-1 team --yes"),
    "meter accounts rename": both("acct-1 Example"),
    "meter accounts contacts": both("acct-1 other@example.com"),
    "meter accounts close": both("acct-1 --yes"),
    "meter accounts reopen": both("acct-3"),
    "meter accounts find": reads("owner"),
    "meter accounts unopened": reads(),
    "meter accounts show": reads("acct-1"),
    "meter rejections list": reads(),
    "meter rejections show": reads("{rejection}"),
    "meter rejections dismiss": reads("{rejection} --reason test"),
    "meter rejections replay": both("{rejection} --force"),
    "projections republish": both("--new-topic"),
    "projections run": both(),
    "projections show": reads("acct-1"),
    "projections explain": reads("acct-1"),
    "projections settings": alone(),
    "projections verify": reads(),
    "projections rebuild": reads("--dry-run"),
    "projections console": reads(),
    "projections console-settings": alone(),
    "projections token": alone("acct-1"),
    "notifier run": both(),
    "notifier reread": both(),
    "notifier notices": reads("acct-1"),
    "notifier banners": reads("acct-1"),
    "notifier preview": alone("{directory}"),
    "notifier settings": alone(),
    "notifier emails list": reads(),
    "notifier emails show": reads(EMAIL),
    "notifier emails retry": reads(EMAIL),
}
