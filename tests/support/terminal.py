"""What commands print on a terminal of some width, in a pipe and as JSON, with what differs from run to run masked.

All commands of one look are run by one process, as a shell would one after the other: starting Python for each takes
longer than most of them.
"""

import contextlib
import fcntl
import importlib
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

TIMEOUT_S: Final = 300
LINES: Final = 50
BEGIN, END = "\x1e>", "\x1e<"  # around what a command prints; no command prints this character
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]")
BAR: Final = re.compile(r"(?:\r?(?:\x1b\[2K)?\w+ [━╸╺]{5}[^\n\r]*)+\n?")  # of progress: as quick as the machine
Instead = str | Callable[[re.Match[str]], str]
MASKS: Final[Sequence[tuple[re.Pattern[str], Instead]]] = (
    (re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d\.\d{6}"), r"2026-03-01\g<1>12:00:00.000000"),
    (re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?!\.)"), r"2026-03-01\g<1>12:00:00"),
    (re.compile(r"\d{4}-\d\d-\d\d(?![T \d]\d)"), "2026-03-01"),
    (re.compile(r"\bt[0-9a-f]{8}\.(?=metering|credit)"), "tests-000."),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:9092"),
    (re.compile(r"\b(?!0+\b)[0-9a-f]{16,64}\b"), lambda hit: ("c0ffee" * 11)[: len(hit[0])]),
    (re.compile(r"[0-9a-f-]{3,}…[0-9a-f-]{3,}"), lambda hit: mask_short(hit[0])),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), lambda hit: ("eyJ" + "token." * 99)[: len(hit[0])]),
    (re.compile(r"\b\d+\.\d s\b"), "0.1 s"),
    (re.compile(r'"seconds": [\d.]+'), '"seconds": 0.1'),
)
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def mask_short(short: str) -> str:
    """Of an id that is shortened; its ellipsis stays where it is."""
    return re.sub(r"[^…]+", lambda part: ("c0ffee" * 11)[: len(part[0])], short)


class Shown(NamedTuple):
    text: str
    code: int


def on_terminal(
    commands: Sequence[Sequence[str]], env: Mapping[str, str], directory: Path, *, width: int, term: str = "xterm"
) -> list[Shown]:
    """Standard output and errors as they mix on a screen, with its colours taken away."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, width, 0, 0))
    with opened(commands, dict(env) | {"TERM": term}, directory, slave, slave):
        os.close(slave)
        output = b"".join(iter(lambda: read(master), b""))
    os.close(master)
    text = output.decode().replace("\r\n", "\n")
    assert term != "dumb" or "\x1b" not in text
    return split(BAR.sub("", COLOUR.sub("", text)))


def in_pipe(commands: Sequence[Sequence[str]], env: Mapping[str, str], directory: Path) -> list[Shown]:
    """Standard output alone."""
    with opened(commands, env, directory, subprocess.PIPE, subprocess.DEVNULL) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    return split(output.decode())


@contextlib.contextmanager
def opened(
    commands: Sequence[Sequence[str]], env: Mapping[str, str], directory: Path, out: int, errors: int
) -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-m", "tests.support.terminal", json.dumps(commands)]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        program, cwd=directory, env={**env, "PYTHONPATH": root}, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
    ) as process:
        yield process


def read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # Linux says so when nobody has the other end open any more
        return b""


def split(output: str) -> list[Shown]:
    found = re.findall(f"{BEGIN}\n(.*?){END}(\\d+)\n", output, re.DOTALL)
    return [Shown(text, int(code)) for text, code in found]


def mask(text: str) -> str:
    """Times, hashes, addresses and ids that differ from run to run; each in as many characters as before."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    known: dict[str, str] = {}
    return UUID.sub(lambda hit: known.setdefault(hit[0], f"00000000-0000-7000-8000-{len(known) + 1:012}"), text)


def main(commands: Sequence[Sequence[str]]) -> None:
    for name, *arguments in commands:
        print(BEGIN, flush=True)
        code: object = 0
        try:
            importlib.import_module(f"{name}.cli").app(arguments, prog_name=name)
        except SystemExit as end:
            code = end.code
        sys.stderr.flush()
        print(f"{END}{int(str(code or 0))}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
