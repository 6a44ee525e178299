"""The histories are believed, because they find known mistakes: python -m pytest tests/simulation -m known_bugs"""

import subprocess
import sys

import pytest

from tests.faults.bugs import BUGS as CAMPAIGN_BUGS
from tests.simulation.bugs import BUGS, SHARED

LEAST_BUGS = 40


def test_there_are_enough_of_them() -> None:
    assert len(BUGS.keys() | CAMPAIGN_BUGS.keys()) >= LEAST_BUGS
    assert BUGS.keys() & CAMPAIGN_BUGS.keys() == set(SHARED)


@pytest.mark.known_bugs
@pytest.mark.parametrize("name", sorted(BUGS))
def test_the_histories_find(name: str) -> None:
    """In a process of its own: the mistake stays switched on."""
    command = [sys.executable, "-m", "tests.simulation", "--bugs", name]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
