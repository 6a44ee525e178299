"""A server with the bounds of the console, with times that pass soon or with long ones."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.projections.console.served import LONG_S, Served, serve


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve() as made:
        yield made


@pytest.fixture
async def patient() -> AsyncIterator[Served]:
    async with serve(LONG_S) as made:
        yield made
