"""How each command looks: at 80, 100 and 160 columns, on a dumb terminal, in a pipe and as JSON, on one fixed history.

The looks are kept in tests/golden, one file for each command, and `make captures` writes them anew: look at each
before a commit. Times, ids, hashes and addresses are masked, each in as many characters as it has.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from deploy.local.stack import Addresses
from tests.e2e.running import Running
from tests.e2e.terminal_stage import CHANGE, LONG, OPEN, REFUSED, event, listed, send_foreign, settle, use
from tests.support.processes import clean_environment
from tests.support.terminal import Shown, in_pipe, mask, on_terminal

GOLDEN = Path(__file__).parents[1] / "golden"
WIDTHS = (80, 100, 160)
ALONE = 40  # a single word that is longer may pass the edge: it is copied, and a break would spoil it
EVENTS = [
    event("acct-1", "check-1", '{"tool": "web-search"}'),
    event("acct-1", "check-2", '{"tool": "web-search", "runs": 0.5}'),
    event("acct 1", "check-3", '{"tool": "web-search"}'),
    event("acct-1", "check-1", '{"tool": "web-search"}'),
]
LOOKS = listed(f"""
meter check events.jsonl
meter rejections list
meter rejections list --all
meter rejections list --full-ids
meter rejections show 1
meter rejections show 2
meter rerouted
meter waiting
meter usage acct-1
meter usage {LONG}
meter accounts find example
meter accounts find {LONG[:20]}
meter accounts show acct-1
meter accounts show nobody-1
meter accounts unopened
meter verify --no-anchors
projections show acct-1
projections show {LONG}
projections show nobody-2
projections explain acct-1
projections explain {LONG}
projections verify
notifier notices acct-1
notifier notices {LONG}
notifier banners acct-1
notifier banners {LONG}
notifier emails list
notifier emails list --state refused
""")
# What operators do, and what changes something: behind the others, so that nothing else shows it.
LAST = listed("""
meter setup --check
meter recover
meter rejections replay 1
meter rejections replay 1 --force
meter rejections list --reason invalid_data
meter rejections show 1
projections rebuild balances --dry-run
projections republish
projections token acct-1
notifier preview letters
notifier reread
meter prune
""")
# Each new setting would change them, so they are not kept; that they fit is looked at.
SETTINGS = listed("""
meter settings
projections settings
notifier settings
""")


class Looks:
    """What was captured, by the file that keeps it."""

    def __init__(self) -> None:
        self.files: dict[str, list[str]] = {}

    def keep(self, commands: Sequence[Sequence[str]], shown: Sequence[Shown], where: str) -> None:
        assert len(shown) == len(commands)
        for command, look in zip(commands, shown, strict=True):
            words = [word for word in command if re.fullmatch(r"[a-z]+", word)]
            name = "_".join(words[: 3 if words[1] in ("accounts", "rejections", "emails") else 2])
            typed = " ".join(f"'{word}'" if " " in word else word for word in command)
            ended = f" ends with {look.code}" if look.code else ""
            self.files.setdefault(name, []).append(f"$ {typed}   ({where}{ended})\n{look.text}\n")

    def texts(self) -> dict[str, str]:
        return {name: mask("".join(parts)).rstrip() + "\n" for name, parts in sorted(self.files.items())}


@pytest.fixture
def shell(running: Running, stack: Addresses, env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What a person of support has set; the folder has a file of events."""
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(EVENTS))
    database = str(running.settings.postgres_dsn).rpartition("/")[2]
    own = clean_environment() | env | {"METERING_POSTGRES_DSN": stack.dsn(database, "credit_support")}
    return {name: value for name, value in own.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}


@pytest.mark.xdist_group("terminal")
@pytest.mark.needs_kafka("offsets that are the same each time")
async def test_every_command_looks_as_it_was_approved(
    running: Running, shell: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async def look(commands: Sequence[Sequence[str]], width: int, term: str = "xterm") -> list[Shown]:
        return await asyncio.to_thread(on_terminal, commands, shell, tmp_path, width=width, term=term)

    looks = Looks()
    running.mail.rule("rcpt", "550 5.1.1 no such user", recipient=REFUSED)
    looks.keep(listed(OPEN), await look(listed(OPEN), 80), "80 columns")
    await settle(running)
    await use(running)
    await send_foreign(running)
    for command in listed(CHANGE):
        looks.keep([command], await look([command], 80), "80 columns")
        await settle(running)
    asked = LOOKS + await letters(running)
    shown = {width: await look(asked + SETTINGS, width) for width in WIDTHS}
    dumb = {width: await look(asked, width, "dumb") for width in WIDTHS[::2]}
    piped = await asyncio.to_thread(in_pipe, asked, shell, tmp_path)
    as_json = [[*command, "--json"] for command in asked]
    documents = await asyncio.to_thread(in_pipe, as_json, shell, tmp_path)
    for width, looked in shown.items():
        looks.keep(asked, looked[: len(asked)], f"{width} columns")
    looks.keep(asked, piped, "in a pipe")
    looks.keep(as_json, documents, "in a pipe")
    operator = shell | {
        "METERING_POSTGRES_DSN": str(running.settings.postgres_dsn),
        "METERING_CONSOLE_SECRET": "x" * 32,
    }
    last = [*LAST, ["notifier", "emails", "retry", asked[-1][-1]]]
    for width in WIDTHS:
        done = await asyncio.to_thread(on_terminal, last, operator, tmp_path, width=width)
        looks.keep(last, done, f"{width} columns")
        shown[width] += done
    looks.keep(last, await asyncio.to_thread(in_pipe, last, operator, tmp_path), "in a pipe")
    last_as_json = [[*command, "--json"] for command in last if "replay" not in command]  # the next number each time
    last_documents = await asyncio.to_thread(in_pipe, last_as_json, operator, tmp_path)
    looks.keep(last_as_json, last_documents, "in a pipe")
    documents += last_documents
    compare(looks.texts(), write=request.config.getoption("--write-captures"))
    assert too_wide(shown) == []
    assert all(isinstance(json.loads(line), dict) for look in documents for line in look.text.splitlines())
    for width, looked in dumb.items():
        assert masked(looked) == masked(shown[width][: len(asked)])


def too_wide(shown: Mapping[int, Sequence[Shown]]) -> list[str]:
    """Lines that pass the edge, although they have no long word."""
    lines = [(width, line) for width, looks in shown.items() for look in looks for line in look.text.splitlines()]
    return [line for width, line in lines if cell_len(line) > width and max(map(cell_len, line.split())) <= ALONE]


def masked(shown: Sequence[Shown]) -> list[str]:
    # Where there is no bar of progress its line stays empty.
    return [mask(look.text).lstrip("\n") for look in shown]


async def letters(running: Running) -> list[list[str]]:
    """`emails show` of a letter that was accepted and of one that was refused."""
    first = "SELECT email_id::text FROM notifier.emails WHERE state = $1 ORDER BY created_at, recipient LIMIT 1"
    return [
        ["notifier", "emails", "show", await running.pool.fetchval(first, state)] for state in ("accepted", "refused")
    ]


def compare(texts: Mapping[str, str], *, write: bool) -> None:
    if write:
        for old in GOLDEN.glob("*.txt"):
            old.unlink()
        for name, text in texts.items():
            (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")
    kept = {path.stem: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.txt")}
    assert kept.keys() == texts.keys()
    for name, text in texts.items():
        assert text.splitlines() == kept[name].splitlines(), f"{name} looks otherwise: `make captures`, and look at it"
