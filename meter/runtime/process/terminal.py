"""Sentences on a terminal, without anything that a terminal would obey."""

import re
import shutil
import textwrap
from typing import Final, TextIO

# They join letters in Persian and Hindi, and the members of an emoji family; alone they do nothing.
JOINERS: Final = frozenset("\u200c\u200d")
# A time stays on one line. What is shown has no other such blanks: `printable` escapes them.
TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (UTC)")
NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def printable(value: object) -> str:
    """Text without control and direction characters, tabs and line ends among them: one cell stays one cell, and what
    is read is what is there. Blanks alone stand in quotes, because nobody sees them."""
    text = "" if value is None else str(value)
    if text.isspace() and text.isprintable():
        return f'"{text}"'
    return text if text.isprintable() else "".join(map(escape, text))


def escape(char: str) -> str:
    return char if char.isprintable() or char in JOINERS else char.encode("unicode_escape").decode("ascii")


def fit(text: str, stream: TextIO) -> str:
    """Lines broken between words at the width of a terminal; unbroken in a pipe, for programs."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(break_line(line, width) for line in text.split("\n"))


def fit_beside(label: str, text: str, stream: TextIO) -> str:
    """The text behind its label; on a terminal broken between words, further lines below the text."""
    if not stream.isatty():
        return label + text
    room = max(1, shutil.get_terminal_size().columns - len(label))
    lines = textwrap.wrap(bind_times(text), room, break_long_words=False, break_on_hyphens=False) or [""]
    return (label + f"\n{' ' * len(label)}".join(lines)).replace(NO_BREAK, " ")


def break_line(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    bound = bind_times(line)
    filled = textwrap.fill(bound, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace(NO_BREAK, " ")


def bind_times(text: str) -> str:
    return TIME.sub(NO_BREAK.join((r"\1", r"\2", r"\3")), text)
