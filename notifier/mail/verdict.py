"""Judge how an SMTP conversation ended. Pure: one table decides what follows from which reply.

| ended at | 2xx | 4xx, any other reply | connection lost, no reply | 5xx |
|---|---|---|---|---|
| connect, tls, ehlo, auth | goes on | trouble | trouble | fault |
| mail | goes on | trouble | trouble | fault |
| rcpt | goes on | retry | retry | refused where the address is bad (5.1.1 and its kin), else given up |
| data, body | goes on | retry | retry | given up |
| dot | accepted | retry | retry, ambiguous; presumed when it is the last one put up with | given up |

A refusal from the recipient on that is about us (policy, 5.7.x; our sender, 5.1.7 and 5.1.8; what we said, 5.5.1 and
its kin) is a fault, unless the server took a mail and refused nobody else since: a relay that refuses everybody is a
matter of our settings, one that refuses a recipient is not. Many servers keep what they have against a sender until
they hear of a recipient.

Trouble and faults come from the server as a whole or from our settings, not from the email. They do not count as one of
its tries, and all sending pauses. A fault is one that only a person can mend (refused sender or password, missing TLS),
so it is logged as an error.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.letters import Ending

ENHANCED_CODE: Final = re.compile(r"\s*5\.(\d{1,3}\.\d{1,3})\b")
# What a permanent refusal says by its enhanced code, without the class (RFC 3463; 1.10: RFC 7505).
BAD_ADDRESS: Final = frozenset({"1.1", "1.2", "1.3", "1.4", "1.6", "1.10"})
ABOUT_SENDER: Final = frozenset({"1.7", "1.8"})
UNSAID: Final = "1.0"  # of senders and recipients alike: the words say of whom
OURS: Final = frozenset({"3.2", "3.5", "5.1", "5.2", "5.4"})  # no service, or not set up; a command that is none
POLICY: Final = "7."


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

    def is_before(self, other: "Phase") -> bool:
        return IN_ORDER.index(self) < IN_ORDER.index(other)


IN_ORDER: Final = tuple(Phase)
# Before the server has heard whom the mail is for, nothing that goes wrong is about this mail.
BEFORE_RECIPIENT: Final = frozenset({Phase.CONNECT, Phase.TLS, Phase.EHLO, Phase.AUTH, Phase.MAIL})
# "Authentication required" and its kin are about us in any phase (RFC 4954).
OUR_PASSWORD: Final = frozenset({530, 534, 535, 538})
# Without an enhanced code: what we said is not understood or not now, or the host takes no mail at all (RFC 7504).
ABOUT_COMMAND: Final = frozenset({500, 502, 503, 504, 521})


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
    """`relay_works`: a refusal that is about us is about us and this recipient alone; see `Relay`."""
    if result.phase is Phase.DOT and is_success(result.code):
        return Judgement(Verdict.ACCEPTED, result)
    is_ours = is_about_us(result) and not relay_works
    if result.phase in BEFORE_RECIPIENT or result.code in OUR_PASSWORD or is_ours:
        return judge_server(result)
    if is_fault(result) and not is_about_us(result):
        return Judgement(Verdict.REFUSED if is_bad_address(result) else Verdict.GIVEN_UP, result, explain(result))
    if result.handed_over and tries.lost + 1 >= tries.most_lost:
        return Judgement(Verdict.PRESUMED, result, f"the reply was lost {tries.lost + 1} times: {explain(result)}")
    if tries.number >= tries.most:
        reason = f"given up after {tries.number} tries; the last one: {explain(result)}"
        return Judgement(Verdict.GIVEN_UP, result, reason)
    return Judgement(Verdict.RETRY, result, explain(result))


def judge_server(result: Result) -> Judgement:
    """Of an end that is about the server as a whole, or our settings."""
    return Judgement(Verdict.TROUBLE, result, explain(result), fault=is_fault(result))


def is_fault(result: Result) -> bool:
    return result.setup or is_permanent(result.code)


def is_about_us(result: Result) -> bool:
    """Refused from the recipient on for what we are or do, not for what the recipient is."""
    if not is_permanent(result.code) or result.phase in BEFORE_RECIPIENT:
        return False
    status = status_of(result)
    if status is None:
        return result.phase is Phase.RCPT and result.code in ABOUT_COMMAND
    of_sender = status in ABOUT_SENDER or (status == UNSAID and "sender" in result.detail.lower())
    return (of_sender and result.phase is Phase.RCPT) or status in OURS or status.startswith(POLICY)


def is_bad_address(result: Result) -> bool:
    return result.phase is Phase.RCPT and status_of(result) in BAD_ADDRESS


def status_of(result: Result) -> str | None:
    """The enhanced status code that a permanent refusal opens with, without its class: 1.1 for 5.1.1."""
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
