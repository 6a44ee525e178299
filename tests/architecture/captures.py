"""What is captured of each command, look by look."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GOLDEN = Path(__file__).parents[1] / "golden"
_HEADING = re.compile(r"^\$ (.*)   \((.*?)(?: ends with \d+)?\)$")


class Look(NamedTuple):
    command: str
    where: str  # `80 columns`, `in a pipe`
    lines: list[str]


def looks() -> Iterator[Look]:
    for file in sorted(GOLDEN.glob("*.txt")):
        look: Look | None = None
        for line in file.read_text(encoding="utf-8").splitlines():
            if heading := _HEADING.match(line):
                if look is not None:
                    yield look
                look = Look(heading[1], heading[2], [])
            elif look is not None:
                look.lines.append(line)
        if look is not None:
            yield look
