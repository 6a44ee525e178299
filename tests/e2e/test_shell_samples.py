"""Shell blocks of the READMEs, in a shell with what the text says: the stack of `make dev`, its file sourced.

Those that are not run, and why, stand in tests/support/shell_blocks.py.
"""

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support import until_sync
from tests.support.dev import ROOT, command_of, running_dev
from tests.support.guides import Block
from tests.support.shell_blocks import RUN

# The blocks share one stack, in the order of the text.
pytestmark = pytest.mark.xdist_group("shell_samples")

BLOCK_TIMEOUT_S = 180
NAME = "samples"
ENV = f".local/dev-{NAME}/env.sh"
# The number of the rejection that the README shows and replays: the last of so many. It is sent too far ahead of its
# time, and so long after it is not any more.
REJECTED, AHEAD_S = 17, 40
REVERSED = "request-17"  # the usage of acct-1 that the README takes back


def in_shell(text: str) -> subprocess.CompletedProcess[str]:
    """As pasted into a new shell: no path to our programs, no settings but those that are sourced."""
    return subprocess.run(
        ["sh", "-euc", f". {ENV}\n{text}"], cwd=ROOT, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True, text=True, timeout=BLOCK_TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[float]:
    """The stack of `make dev`, with the rejections and the usage that the samples speak of.

    Gives the moment, in monotonic time, from which on a replay helps the last rejection.
    """
    with running_dev(NAME, tmp_path_factory.mktemp("dev")):
        sent = in_shell(f"python - <<'END'\n{SEND}\nEND")
        sent_at = time.monotonic()
        assert sent.returncode == 0, sent.stderr
        until_sync(
            lambda: in_shell("meter rejections list").stdout.count("metering.usage") == REJECTED, 30, "all are rejected"
        )
        yield sent_at + AHEAD_S


SEND = f"""
import asyncio
from datetime import UTC, datetime, timedelta
from meter.client import UsageProducer
from meter.runtime.kafka import Message, Producer
from meter.runtime.settings import Settings, load_settings
from schemas.build import encode_event

async def main():
    async with UsageProducer(source="//agents.example.com/runner") as usage:
        await usage.guardrail("acct-1", guardrail="toxicity", credits="2", event_id="{REVERSED}")
    async with Producer(load_settings(Settings)) as producer:
        unreadable = [Message("metering.usage", "acct-1", b"{{" + str(n).encode()) for n in range({REJECTED - 1})]
        time = datetime.now(UTC) + timedelta(hours=1, seconds={AHEAD_S})
        early = encode_event(
            "usage.tool_run.v1", "acct-1", {{"tool": "web-search"}},
            event_id="early", time=time, source="//agents.example.com/runner",
        )
        await producer.publish([*unreadable, Message("metering.usage", "acct-1", early)])

asyncio.run(main())
"""


@pytest.mark.parametrize("block", RUN, ids=lambda b: f"{b.file}: {b.first[:30]}")
def test_a_shell_block_runs_as_pasted(block: Block, dev: float) -> None:
    if "replay" in block.text:
        until_sync(lambda: time.monotonic() > dev, 2 * AHEAD_S, "a replay helps the last rejection")
    done = in_shell(block.text)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("dev")
def test_a_second_stack_keeps_away_from_the_first() -> None:
    again = subprocess.run(command_of(NAME), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "make dev NAME=" in again.stderr
    assert in_shell("projections show acct-1").returncode == 0, "the first one still stands"


WHO_AM_I = """
import asyncio, asyncpg, os

async def main():
    connection = await asyncpg.connect(os.environ["METERING_POSTGRES_DSN"])
    print(await connection.fetchval("SELECT current_user"))
    await connection.close()

asyncio.run(main())
"""


@pytest.mark.usefixtures("dev")
@pytest.mark.parametrize("role", ["meter", "projections", "notifier", "reader", "admin"])
def test_each_role_has_a_file_of_its_own(role: str) -> None:
    done = in_shell(f". .local/dev-{NAME}/as-{role}.sh\npython - <<'END'\n{WHO_AM_I}\nEND")
    assert done.stdout.strip() == ("postgres" if role == "admin" else f"credit_{role}"), done.stderr
