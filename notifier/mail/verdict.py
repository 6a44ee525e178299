"""Judge how an SMTP conversation ended. Pure: one table decides what follows from which reply.

| ended at | 2xx | 4xx, any other reply | connection lost, no reply | 5xx |
|---|---|---|---|---|
| connect, tls, ehlo, auth | goes on | trouble | trouble | fault |
| mail | goes on | trouble | trouble | fault |
| rcpt | goes on | retry | retry | failed |
| data, body | goes on | retry | retry | failed |
| dot | sent | retry | retry, ambiguous | failed |

Trouble and faults come from the server as a whole or from our settings, not from the email. They do not count as one of
its tries, and all sending pauses. A fault is one that only a person can mend (refused sender or password, missing TLS),
so it is logged as an error.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    DROPPED = "dropped"
    TROUBLE = "trouble"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`fault`: a person has to mend it. `ambiguous`: the mail may have been accepted."""

    verdict: Verdict
    result: Result | None
    reason: str = ""
    fault: bool = False

    @property
    def ambiguous(self) -> bool:
        return self.result is not None and self.result.handed_over


def judge(result: Result, attempts: int, max_attempts: int) -> Judgement:
    """`attempts` counts this one."""
    if result.phase is Phase.DOT and is_success(result.code):
        return Judgement(Verdict.SENT, result)
    permanent = result.setup or is_permanent(result.code)
    if result.phase in BEFORE_RECIPIENT or result.code in ABOUT_US:
        return Judgement(Verdict.TROUBLE, result, explain(result), fault=permanent)
    if permanent:
        return Judgement(Verdict.FAILED, result, explain(result))
    if attempts >= max_attempts:
        return Judgement(Verdict.FAILED, result, f"given up after {attempts} tries; the last one: {explain(result)}")
    return Judgement(Verdict.RETRY, result, explain(result))


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
