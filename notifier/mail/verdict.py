"""Judge how an SMTP conversation ended. Pure: one table decides what follows from which reply.

| ended at | 2xx | 4xx, any other reply | connection lost, no reply | 5xx |
|---|---|---|---|---|
| connect, tls, ehlo, auth | goes on | trouble | trouble | fault |
| mail | goes on | trouble | trouble | fault |
| rcpt | goes on | retry | retry | refused with 5.1.x, else given up |
| data, body | goes on | retry | retry | given up |
| dot | accepted | retry | retry, ambiguous; presumed when it is the last one put up with | given up |

A refusal for reasons of policy (5.7.x) from the recipient on is a fault, unless the server took a mail and refused
nobody else since: a relay that refuses everybody is a matter of our settings, one that refuses a recipient is not.

Trouble and faults come from the server as a whole or from our settings, not from the email. They do not count as one of
its tries, and all sending pauses. A fault is one that only a person can mend (refused sender or password, missing TLS),
so it is logged as an error.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.letters import Ending

ENHANCED_CODE: Final = re.compile(r"\s*5\.(\d{1,3})\.\d{1,3}\b")


class Phase(StrEnum):
    """Where a conversation stood when it ended, in order."""

    CONNECT = "connect"
    TLS = "tls"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


# Before the server has heard whom the mail is for, nothing that goes wrong is about this mail.
BEFORE_RECIPIENT: Final = frozenset({Phase.CONNECT, Phase.TLS, Phase.EHLO, Phase.AUTH, Phase.MAIL})
# "Authentication required" and its kin are about us in any phase (RFC 4954).
ABOUT_US: Final = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a conversation. `code` is the server's reply; None: the connection was lost, or no reply came."""

    phase: Phase
    code: int | None
    detail: str
    setup: bool = False  # what the settings demand cannot be had (no STARTTLS, a certificate that is not trusted)

    @property
    def handed_over(self) -> bool:
        """Whether the mail was handed over and the server's reply to it is unknown."""
        return self.phase is Phase.DOT and self.code is None


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    PRESUMED = "presumed"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    CAPPED = "capped"
    CANCELLED = "cancelled"
    RETRY = "retry"
    TROUBLE = "trouble"
    STOPPED = "stopped"
    BEHIND = "behind"  # the balances of the shard are not read to their end yet


ENDINGS: Final = {verdict: Ending(verdict.value) for verdict in Verdict if verdict.value in set(Ending)}


@dataclass(frozen=True, slots=True)
class Judgement:
    """`fault`: a person has to mend it. `ambiguous`: the mail may have been accepted."""

    verdict: Verdict
    result: Result | None
    reason: str = ""
    fault: bool = False
    wait_s: float | None = None  # how long what is owed still must wait

    @property
    def ambiguous(self) -> bool:
        return self.result is not None and self.result.handed_over


@dataclass(frozen=True, slots=True)
class Tries:
    """This one included, of the `most`; replies that were lost before, of the `most_lost` that are put up with."""

    number: int
    most: int
    lost: int
    most_lost: int


def judge(result: Result, tries: Tries, *, relay_works: bool) -> Judgement:
    """`relay_works`: a refusal for reasons of policy is about this recipient; see `Relay`."""
    if result.phase is Phase.DOT and is_success(result.code):
        return Judgement(Verdict.ACCEPTED, result)
    is_fault = result.setup or is_permanent(result.code)
    is_ours = is_policy(result) and not relay_works
    if result.phase in BEFORE_RECIPIENT or result.code in ABOUT_US or is_ours:
        return Judgement(Verdict.TROUBLE, result, explain(result), fault=is_fault)
    if is_fault and not is_policy(result):
        return Judgement(Verdict.REFUSED if is_bad_address(result) else Verdict.GIVEN_UP, result, explain(result))
    if result.handed_over and tries.lost + 1 >= tries.most_lost:
        return Judgement(Verdict.PRESUMED, result, f"the reply was lost {tries.lost + 1} times: {explain(result)}")
    if tries.number >= tries.most:
        reason = f"given up after {tries.number} tries; the last one: {explain(result)}"
        return Judgement(Verdict.GIVEN_UP, result, reason)
    return Judgement(Verdict.RETRY, result, explain(result))


def is_policy(result: Result) -> bool:
    """Refused for what we are or do, not for what the recipient is (RFC 3463: class 5, subject 7)."""
    return is_permanent(result.code) and subject_of(result) == "7" and result.phase not in BEFORE_RECIPIENT


def is_bad_address(result: Result) -> bool:
    return result.phase is Phase.RCPT and subject_of(result) == "1"


def subject_of(result: Result) -> str | None:
    """The middle figure of the enhanced status code that a permanent refusal opens with."""
    found = ENHANCED_CODE.match(result.detail)
    return found[1] if found else None


def is_success(code: int | None) -> bool:
    return code is not None and 200 <= code < 300


def is_permanent(code: int | None) -> bool:
    return code is not None and 500 <= code < 600


def explain(result: Result) -> str:
    reply = "no reply" if result.code is None else f"reply {result.code}"
    return f"{reply} at {result.phase.value}: {result.detail}"


def pause_for(attempts: int, first_s: float, max_s: float, spread: float) -> float:
    """Growing pauses: first, 2·first, 4·first … up to max, shortened by up to half by `spread` in [0, 1)."""
    exponent = min(max(attempts, 1) - 1, 60)
    return float(min(first_s * 2**exponent, max_s)) * (1 - spread / 2)
