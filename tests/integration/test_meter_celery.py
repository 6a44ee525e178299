"""The Celery sample of meter/README.md in a worker that forks: what a task used is delivered when its process ends."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from deploy.client.build import write_tree
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.settings import Settings
from schemas.build import Decoded, decode_event
from schemas.topics import USAGE
from tests.faults.proxy import Proxy
from tests.support.processes import clean_environment

README = Path(__file__).parents[2] / "meter" / "README.md"
[SAMPLE] = [
    block for block in re.findall(r"^```python\n(.*?)^```", README.read_text(), re.S | re.M) if "import Celery" in block
]
TIMEOUT_S = 90
TASK = "9f0c3a52-6d0e-4d07-9c5e-2f7d8b1f4c11"
ENDING = "this process ends"
# Sends the task twice, as a broker may, and ends the worker once both are done. The broker is in the memory of the
# process that works as well, so nothing else has to run.
WORK = f"""
import os, signal
from celery.signals import task_postrun, worker_process_shutdown

done = []


@worker_process_shutdown.connect
def tell(**_):
    print("{ENDING}", flush=True)


@task_postrun.connect
def stop(**_):
    done.append(1)
    if len(done) == 2:
        os.kill(os.getppid(), signal.SIGTERM)


from tasks import app, search


@worker_process_shutdown.connect
def end(**_):
    os._exit(0)  # what the sample does not wait for does not happen any more


for _ in range(2):
    search.apply_async(["acct-1"], task_id="{TASK}")
quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
app.worker_main(["worker", "--pool", "prefork", "--concurrency", "1", *quiet])
"""


@pytest.mark.usefixtures("installed")
async def test_what_tasks_used_is_delivered_when_their_process_ends(
    settings: Settings, env: dict[str, str], tmp_path: Path
) -> None:
    """Kafka is away until the process of the tasks ends, so all of it is still buffered then."""
    write_tree(tmp_path)
    (tmp_path / "tasks.py").write_text(SAMPLE)
    (tmp_path / "work.py").write_text(WORK)
    kafka = Proxy("kafka", int(settings.kafka_bootstrap.rpartition(":")[2]))  # refuses until it is started
    own = {"METERING_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}", "CELERY_BROKER_URL": "memory://"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "work.py", cwd=tmp_path, env=clean_environment() | env | own,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output = await read_until(process, ENDING)
            await kafka.start()
            output += (await process.communicate())[0].decode()
    finally:
        await kafka.close()
    assert process.returncode == 0, output
    sent = [(event.envelope.id, event.envelope.account_id) for event in await arrived(settings)]
    assert sent == [(TASK, "acct-1")] * 2, output  # the same id twice: it counts once


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    lines = []
    async for line in process.stdout:
        lines.append(line.decode())
        if words in lines[-1]:
            break
    return "".join(lines)


async def arrived(settings: Settings) -> list[Decoded]:
    values = [record.value or b"" async for records in read_topic(settings, USAGE) for record in records]
    return [decode_event(value) for value in values]
