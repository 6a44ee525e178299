"""A log with more kinds of messages than are kept says of each how often it was left out."""

import logging

from meter.runtime.process.logging import MOST_KINDS, RepeatFilter


def record(name: str) -> logging.LogRecord:
    return logging.LogRecord("asyncio", logging.ERROR, "", 0, name, None, None)


def spell(number: int) -> str:
    """Kinds are told apart without their digits."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:04}")


def test_what_was_left_out_is_still_said_when_many_other_kinds_came() -> None:
    now = 0.0
    chosen = RepeatFilter(30, lambda: now)
    for number in range(MOST_KINDS - 1):
        assert chosen.filter(record(spell(number)))
    now = 40.0
    assert chosen.filter(record("frequent"))
    assert not any(chosen.filter(record("frequent")) for _ in range(7))
    for number in range(MOST_KINDS, MOST_KINDS + 100):
        assert chosen.filter(record(spell(number)))
    now = 80.0
    again = record("frequent")
    assert chosen.filter(again)
    assert vars(again)["repeated"] == 7
