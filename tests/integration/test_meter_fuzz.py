"""The short form of the campaign of record batches on a broker; the long one is a verb of tests.fuzz."""

from pathlib import Path

import pytest

from deploy.local.stack import Addresses
from tests.fuzz.site import open_campaign

pytestmark = pytest.mark.needs_kafka("record batches stored as they were sent")


async def test_no_record_batch_ends_the_meter_or_costs_an_honest_event(stack: Addresses, tmp_path: Path) -> None:
    async with open_campaign(stack, 1, tmp_path / "kept", tmp_path / "logs") as campaign:
        figures = await campaign.run(range(400), lambda _count: None)
    assert figures.faults == []
    assert (figures.batches, figures.honest) == (400, 20)
    assert 100 < figures.refused < 300, "the broker refuses what is damaged, and takes the rest"
