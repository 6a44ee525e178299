"""The blocks of the project's READMEs and guides, as their readers see them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    file: str
    text: str

    @property
    def first(self) -> str:
        """Its first line that is no comment."""
        return next(line for line in self.text.splitlines() if line.strip() and not line.startswith("#"))


def documents() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split()]


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of each block, an indented one without its indentation."""
    for indent, language, body in re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        yield language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)


def blocks(language: str) -> list[Block]:
    return [
        Block(path.relative_to(ROOT).as_posix(), text)
        for path in documents()
        for found, text in fences(path.read_text(encoding="utf-8"))
        if found == language
    ]
