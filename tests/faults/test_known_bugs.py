"""The harness is believed, because it finds every bug that is known: python -m pytest tests/faults -m known_bugs"""

from pathlib import Path

import pytest

from tests.faults.bugs import BUGS
from tests.faults.servers import Site
from tests.faults.trial import try_bug

LEAST_BUGS = 12


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= LEAST_BUGS


@pytest.mark.known_bugs
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", sorted(BUGS))
async def test_the_campaign_finds(site: Site, name: str, seed: int, tmp_path: Path) -> None:
    verdict = await try_bug(site, BUGS[name], seed, tmp_path)
    assert verdict.seen is not None, str(verdict)
