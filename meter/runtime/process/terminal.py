"""Sentences on a terminal."""

import shutil
import textwrap
from typing import TextIO


def fit(text: str, stream: TextIO) -> str:
    """Lines broken between words at the width of a terminal; unbroken in a pipe, for programs."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(break_line(line, width) for line in text.splitlines())


def break_line(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
