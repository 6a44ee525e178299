"""`meter check`: what the meter would make of events, before anything is live. Needs neither Kafka nor Postgres."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn

import typer

from meter.presentation import print_notes, printable
from meter.runtime.process.cli import run_command
from meter.runtime.process.exits import Exit
from meter.runtime.process.interruption import interruptible
from meter.runtime.process.terminal import fit
from schemas.figures import count_of

if TYPE_CHECKING:
    from meter.judge import Judgement
    from meter.settings import MeterSettings


def check(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON lines or one JSON document; - reads stdin.")],
    topic: Annotated[str | None, typer.Option(help="Judge all as of this topic; without it by their types.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
) -> None:
    """Judge events as the meter would, without sending them.

    Exits with 1 when one is refused.
    Events are CloudEvents in structured mode, one a line or one document over several lines. A refusal has the words
    of the rejection that the meter would store. The limits are those of the settings (METERING_MAX_USAGE_CREDITS, …).
    What is stored already is not known here: a repeat is found within the file only. 2 when nothing could be judged.

    \b
    Examples:
      meter check events.jsonl
      echo '{"specversion": "1.0", "id": "1", …}' | meter check - --json
    """
    from meter.judge import Judge
    from meter.plan import INPUT_TOPICS
    from meter.runtime.clock import SystemClock
    from meter.settings import MeterSettings

    async def command(settings: MeterSettings) -> None:
        if topic is not None and topic not in INPUT_TOPICS:
            refuse(f"unknown topic {topic!r}: must be one of {', '.join(sorted(INPUT_TOPICS))}")
        judge, clock = Judge(settings.limits(), topic), SystemClock()
        verdicts: Counter[str] = Counter()
        with opened(file) as lines, interruptible():
            for number, value in read_events(file, lines):
                judgement = judge.judge(number, value, clock.now())
                verdicts[judgement.verdict] += 1
                show(judgement, as_json=as_json)
        if not verdicts:
            refuse(f"there is no event in {'stdin' if file == '-' else file}")
        print(fit(summarize(verdicts), sys.stderr), file=sys.stderr)
        if verdicts["refused"]:
            raise typer.Exit(1)

    run_command(MeterSettings, command)


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Ends the command where the file cannot be read."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(file, "rb")  # noqa: SIM115  # closed below; errors of the block are not errors of opening
    except OSError as error:
        refuse_unreadable(file, error)
    with stream:
        yield stream


def read_events(file: str, lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Ends the command where the file cannot be read any further: else the fault would be taken for Postgres' own."""
    from meter.judge import split_events

    try:
        yield from split_events(lines)
    except OSError as error:
        refuse_unreadable("stdin" if file == "-" else file, error)


def refuse_unreadable(name: str, error: OSError) -> NoReturn:
    refuse(f"{name}: {error.strerror}. Give a file that can be read, or - for stdin")


def refuse(text: str) -> NoReturn:
    """Nothing was judged: not 1, which says that an event is refused."""
    print_notes([f"{text}."])
    raise typer.Exit(Exit.USAGE)


def show(judgement: Judgement, *, as_json: bool) -> None:
    line = judgement.as_json() if as_json else fit(printable(judgement.sentence()), sys.stdout)
    print(line, flush=True)


def summarize(verdicts: Counter[str]) -> str:
    """Like "3 events: 2 accepted, 1 refused"."""
    parts = ", ".join(f"{verdicts[name]:,} {name}" for name in ("accepted", "repeat", "refused") if verdicts[name])
    return f"{count_of(verdicts.total(), 'event')}: {parts}"
