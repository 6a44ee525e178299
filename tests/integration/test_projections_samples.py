"""The samples of the READMEs run as a reader would paste them: Python as whole programs, SQL as `credit_reader`."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.client.build import write_tree
from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool
from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


def samples(language: str, *files: str) -> Iterator[object]:
    for file in files:
        blocks = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / file).read_text(), re.DOTALL | re.MULTILINE)
        for number, block in enumerate(blocks, start=1):
            yield pytest.param(block, id=f"{file}-{number}")


PROGRAMS = list(samples("python", "README.md", "meter/README.md", "projections/README.md", "deploy/client/README.md"))
QUERIES_IN = ("README.md", "projections/README.md")  # those in deploy: test_guide_sql.py
QUERIES = list(samples("sql", *QUERIES_IN))


def test_the_samples_are_found() -> None:
    assert len(PROGRAMS) >= 3 and QUERIES


@pytest.fixture(scope="session")
def client_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install credit-meter-client` would bring."""
    tree = tmp_path_factory.mktemp("client") / "tree"
    write_tree(tree)
    return tree


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_python_sample_is_a_whole_program(program: str, env: dict[str, str], client_tree: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=clean_environment() | env | {"PYTHONPATH": str(client_tree)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 0, output.decode()


@pytest.mark.usefixtures("installed")  # projections.balance needs to know how many shards there are
@pytest.mark.parametrize("block", QUERIES)
async def test_an_sql_sample_runs_as_the_reader(block: str, pool: Pool, dsn: str, stack: Addresses) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    reader = await asyncpg.connect(stack.dsn(dsn.rpartition("/")[2], "credit_reader"))
    try:
        await reader.execute(block)
    finally:
        await reader.close()
