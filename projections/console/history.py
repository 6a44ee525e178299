"""Who was told what, when and why: notices and letters as sentences, newest first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from meter.allowance import REASON
from projections.console.figures import NAMES, show_amount, show_count
from projections.console.summary import read_json
from projections.console.tables import show_name
from schemas.amounts import MICRO
from schemas.figures import show_balance, unit_of
from schemas.identity import VERBS_SOURCE

EVENT_WORDS: Final[Mapping[str, str]] = {
    "account.opened.v1": "Account opened",
    "account.plan_changed.v1": "Plan changed",
    "account.closed.v1": "Account closed",
    "account.reopened.v1": "Account reopened",
    "account.forgotten.v1": "Addresses and names forgotten for good",
    "credits.granted.v1": "added",
    "credits.revoked.v1": "taken back",
    "usage.reversed.v1": "given back: usage was reversed",
}
# Of the moment at which a line was reached: who was told stands in the letters. What was never told stays owed when an
# allocation begins, too.
NOTICE_WORDS: Final[Mapping[str, str]] = {
    "seeded": "the line was reached when the allocation began",
    "superseded": "a higher line was reached at the same moment: only that one counts",
    "delivered": "letters were due to those who did not know of it",
    "no_contact": "there was nobody to write to",
}
LETTER_WORDS: Final[Mapping[str, str]] = {
    "queued": "waits to be sent",
    "accepted": "was accepted by the mail server",
    "presumed": "was sent; the mail server's reply was lost",
    "refused": "was refused: the address is bad",
    "given_up": "was given up",
    "capped": "was held back: the day's limit was reached",
    "cancelled": "was cancelled: nothing was owed to this contact any more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    at: datetime
    kind: str  # event, epoch, notice, letter
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class History:
    """`entries`, newest first. `since`: nothing from before that moment is here, and of that moment something may be
    left out; None: all is here."""

    entries: Sequence[Entry]
    since: datetime | None = None


def tell_history(
    notices: Sequence[Mapping[str, Any]] = (),
    letters: Sequence[Mapping[str, Any]] = (),
    epochs: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    *,
    most: int | None = None,
) -> History:
    """Each list newest first. One of more than `most` rows ends there, and with it all others: letters of a week beside
    grants of a year would look as if no letters had been sent before."""
    told = ((notices, tell_notice), (letters, tell_letter), (epochs, tell_epoch), (events, tell_event))
    ends = [rows[most - 1]["at"] for rows, _tell in told if most is not None and len(rows) > most]
    since = max(ends, default=None)
    entries = [tell(row) for rows, tell in told for row in rows if since is None or row["at"] >= since]
    return History(sorted(entries, key=lambda entry: entry.at, reverse=True), since)


def tell_event(row: Mapping[str, Any]) -> Entry:
    """A grant, a correction, or a change of the account. Its reason and reference are words of whoever sent it; of
    credits it says who that was."""
    title = EVENT_WORDS[row["type"]]
    if row["resource"] is not None:
        amount = show_amount(row["amount"])
        title = f"{amount} {unit_of(row['resource'], amount)} {title}"
    free = row["reason"] == REASON
    parts = ["free allowance"] if free else [row["reason"], row["reference"]]
    if row["type"] == "account.opened.v1" and row["reason"]:
        parts = [f"on plan {row['reason']}"]
    if row["resource"] is not None and not free and row["source"]:
        parts.append("by support" if row["source"] == VERBS_SOURCE else f"by {row['source']}")
    detail = ", ".join(show_name(part) for part in dict.fromkeys(part for part in parts if part))
    return Entry(at=row["at"], kind="event", title=title, detail=detail)


def tell_epoch(row: Mapping[str, Any]) -> Entry:
    """A grant or a correction began to count anew."""
    return Entry(
        at=row["at"],
        kind="epoch",
        title=f"{NAMES[row['resource']]}: a new count began",
        detail=f"{used_of(row)}; allocation {row['epoch']}",
    )


def used_of(row: Mapping[str, Any]) -> str:
    shown = show_balance(int(row["consumed"] * MICRO), int(row["allocation"] * MICRO))
    return f"{shown.used} of {shown.allocation} used"


def say_outcome(row: Mapping[str, Any]) -> str:
    """Who was told stands in the letters: one of several may have been refused."""
    if row["channel"] == "banner" and row["outcome"] == "delivered":
        return "shown"
    return NOTICE_WORDS.get(row["outcome"], row["outcome"])


def tell_notice(row: Mapping[str, Any]) -> Entry:
    name = NAMES[row["resource"]]
    channel = "banner" if row["channel"] == "banner" else "email"
    return Entry(
        at=row["at"],
        kind="notice",
        title=f"{name}: {row['threshold']} % reached ({channel})",
        detail=f"{used_of(row)}; allocation {row['epoch']}; {say_outcome(row)}",
    )


def tell_letter(row: Mapping[str, Any]) -> Entry:
    lines = row["lines"] if isinstance(row["lines"], list) else read_json(row["lines"])
    told = ", ".join(f"{NAMES[line['resource']]} {line['line']} %" for line in lines)
    tries = f"; {show_count(row['attempts'])} tries" if row["attempts"] > 1 else ""
    contact = str(row["contact_id"])[:8] if row["contact_id"] is not None else "a former contact"
    return Entry(
        at=row["at"],
        kind="letter",
        title=f"Letter {LETTER_WORDS.get(row['state'], row['state'])}",
        detail=f"to contact {contact}" + (f": {told}" if told else "") + tries,
    )
