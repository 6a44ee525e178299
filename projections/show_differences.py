"""What `projections verify` prints: the differences, what was looked at, and what to do."""

import json
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from meter.presentation import printable
from schemas.figures import count_of

if TYPE_CHECKING:
    from projections.verify import ShardReport

# What to do about a difference, by its model.
REBUILD: Final = "`projections rebuild` replaces the rows that differ with what the log says"
ADVICE: Final[Mapping[str, str]] = {
    "log": "`meter verify` says what was done to the log; restore it before anything else",
    "balances": REBUILD,
    "usage": REBUILD,
    "accounts": REBUILD,
    "published states": "`projections rebuild balances` replaces those that differ and fills in what is missing",
    "notices": "`projections explain ACCOUNT` shows the event that reached each line and every notice. No notice is "
    "sent again: warn people where it matters",
    "letters": "`projections explain ACCOUNT` shows who knows of each line. What is owed gets a letter with the next "
    "change of the account's balance or contacts, or by `notifier emails retry`; a letter that was sent cannot be "
    "taken back",
}


def show_differences(report: "ShardReport", *, as_json: bool) -> None:
    """Differences on stdout, one a line; what was looked at on stderr."""
    for difference in report.differences:
        if as_json:
            print(json.dumps(difference._asdict()), flush=True)
        else:
            print("\t".join(map(printable, difference)), flush=True)
    found = len(report.differences)
    words = "no difference" if found == 0 else count_of(found, "difference")
    if report.waiting:
        words += f", {count_of(report.waiting, 'notice')} still on the way"
    if report.ending:
        words += f", {count_of(report.ending, 'letter')} that will be cancelled"
    print(f"shard {report.shard}: {count_of(report.events, 'event')}, {words}", file=sys.stderr, flush=True)


def show_advice(models: Collection[str]) -> None:
    """What to do about differences, on stderr."""
    for model in ADVICE:
        if model in models:
            print(f"What to do about {model}: {ADVICE[model]}.", file=sys.stderr, flush=True)
