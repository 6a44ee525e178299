"""Every shell block of the READMEs, in a shell with what the text says: the stack of `make dev`, its file sourced."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support import until_sync
from tests.support.dev import ROOT, command_of, running_dev
from tests.support.guides import Block, blocks

# The blocks share one stack, in the order of the text.
pytestmark = pytest.mark.xdist_group("shell_samples")

BLOCK_TIMEOUT_S = 180
NAME = "samples"
ENV = f".local/dev-{NAME}/env.sh"
# The number of the rejection that the README shows and replays: the last of so many. It is sent too far ahead of its
# time, and so long after it is not any more.
REJECTED, AHEAD_S = 17, 40
REVERSED = "request-17"  # the usage of acct-1 that the README takes back

IN_FOREGROUND = "stays until Ctrl-C, and the stack of `make dev` runs it already"
BUILDS = "builds and starts containers: tests/architecture holds the files"
IN_CONTAINERS = "runs in containers: `make containers` does (tests/containers/guide.py)"
WRITES = "writes settings into the working copy"
ARCHIVES = "needs a server that archives its log: tests/e2e/test_backup.py runs it"
CLUSTER = "needs a cluster: tests/architecture renders and checks it"
KAFKAS_OWN = "calls Kafka's own programs: tests/e2e/test_kafka_programs.py runs it on three brokers"
# Blocks that no test runs, by file and first command, each with the reason. A block that is here and is no more, fails.
NOT_RUN = {
    ("README.md", "make demo"): "tests/e2e/test_demo.py plays the demo; `make test` would run itself",
    ("README.md", "METERING_HTTP_PORT=8083"): IN_FOREGROUND,
    ("projections/console/README.md", "METERING_CONSOLE_SECRET="): IN_FOREGROUND,
    ("README.md", "deploy/make-secrets"): BUILDS,
    ("deploy/README.md", "deploy/make-secrets"): BUILDS,
    ("deploy/README.md", "deploy/make-secrets && deploy/make-certificates"): BUILDS,
    ("deploy/README.md", "docker compose"): IN_CONTAINERS,
    ("deploy/README.md", "METERING_POSTGRES_DSN=postgresql://credit_owner"): "names the server of the containers: "
    "tests/integration/test_meter_owner.py runs setup as that role",
    ("deploy/README.md", "cat > deploy/.env"): f"{WRITES}, and starts containers",
    ("deploy/README.md", "cat >> deploy/.env"): f"{WRITES}: tests/e2e/test_traces.py runs the services with this one",
    ("deploy/OPERATING.md", "METERING_POSTGRES_DSN=postgresql://credit_pruner"): "names the server of the containers: "
    "tests/integration/test_meter_prune.py runs it as that role",
    ("deploy/OPERATING.md", "dc run"): "runs in containers: tests/integration/test_meter_prune.py runs it as that role",
    (
        "deploy/OPERATING.md",
        "docker compose",
    ): "reads the containers' logs: tests/unit/runtime/tracing/test_guide.py runs it on files",
    ("deploy/OPERATING.md", "pg_basebackup"): ARCHIVES,
    ("deploy/OPERATING.md", 'mkdir -p "$PGDATA"'): ARCHIVES,
    ("deploy/OPERATING.md", "meter seal"): "needs all services stopped: tests/e2e/test_sealing.py runs it",
    ("deploy/RUNBOOKS.md", "docker compose"): IN_CONTAINERS,
    ("deploy/RUNBOOKS.md", "dc run"): IN_CONTAINERS,
    ("deploy/RUNBOOKS.md", "kubectl patch cluster"): "needs a cluster, and changes its Postgres",
    ("deploy/RUNBOOKS.md", "for partition in"): KAFKAS_OWN,
    ("deploy/RUNBOOKS.md", "for topic in metering.usage metering.accounts"): KAFKAS_OWN,
    ("deploy/README.md", "grep -v '^#' deploy/kafka-acls.txt"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-configs.sh"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-transactions.sh --bootstrap-server kafka.example.com:9092 find-hanging"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-transactions.sh --bootstrap-server kafka.example.com:9092 abort"): KAFKAS_OWN,
    ("deploy/OPERATING.md", "kafka-configs.sh"): KAFKAS_OWN,
    ("deploy/README.md", "kubectl kustomize"): CLUSTER,
    ("deploy/README.md", "kubectl annotate scaledobject"): CLUSTER,
    ("deploy/README.md", "kubectl delete pod credit-support"): CLUSTER,
    ("deploy/README.md", "{ printf 'apiVersion"): "needs a cluster: what it applies is looked at in tests/architecture",
    (
        "deploy/README.md",
        "make image",
    ): "builds an image: tests/architecture/test_make_image.py runs it without an engine",
    ("schemas/native/README.md", "make native"): "compiles, with cargo: .ci/run does where that is",
    ("CONTRIBUTING.md", "make check"): "runs the tests themselves",
    ("tests/README.md", "make simulation"): "runs for hours: tests/simulation plays the short form",
    ("CONTRIBUTING.md", "make servers"): "stays until Ctrl-C: tests/integration/test_stack_servers.py starts it",
    ("CONTRIBUTING.md", "export METERING_TEST_STACK"): "runs the tests themselves",
    ("CONTRIBUTING.md", ".venv/bin/python -m pytest"): "runs the tests themselves: the files they name are looked for",
    ("tests/README.md", "make test"): "runs the tests themselves: the files they name are looked for",
    ("tests/README.md", "apt-get install docker.io"): "builds and starts containers, as root: a quarter of an hour",
    (
        "tests/README.md",
        'eval "$(.venv/bin/python -m tests.containers',
    ): "builds images, as root, and runs the tests themselves",
    (
        "tests/README.md",
        ".venv/bin/python -m tests.fuzz",
    ): "hours: tests/unit/fuzz and tests/integration/test_meter_fuzz.py run the short forms",
    ("tests/faults/README.md", "make faults"): "minutes each: tests/faults/test_campaign.py runs the short form",
    ("tests/bench/README.md", "make bench"): "an hour: tests/bench/test_smoke.py runs the quick form",
}


def exceptions(block: Block) -> list[tuple[str, str]]:
    return [(file, start) for file, start in NOT_RUN if file == block.file and block.first.startswith(start)]


SHELL = blocks("sh")
RUN = [block for block in SHELL if not exceptions(block)]


def test_every_exception_is_needed() -> None:
    assert set(NOT_RUN) - {known for block in SHELL for known in exceptions(block)} == set()


def test_commands_stand_in_blocks_that_say_so() -> None:
    """A block without a language is a drawing or a formula: commands in it would not be run."""
    verbs = re.compile(
        r"^\s*(?:meter|projections|notifier|make|docker|pip|\.venv/\S+|python3?|pytest) [-a-z]", re.MULTILINE
    )
    assert [block.file for block in blocks("") if verbs.search(block.text)] == []


@pytest.mark.parametrize("block", [b for b in SHELL if exceptions(b)], ids=lambda b: f"{b.file}: {b.first[:30]}")
def test_files_that_are_named_are_there(block: Block) -> None:
    names = re.findall(r"\btests(?:/[\w.-]*\w)+", block.text)
    assert [name for name in names if not (ROOT / name).exists()] == []


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
