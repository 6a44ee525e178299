"""`meter reverse` refuses what the meter would reject, in its words."""

from decimal import Decimal

import pytest

from meter.corrections_cli import check_left
from meter.effects import UsageNow
from meter.refused_corrections import describe_reversible
from meter.runtime.errors import RefusalError
from schemas.amounts import MICRO
from schemas.resources import RESOURCE_CODES, Resource
from tests.contract.rows import MOMENT


@pytest.mark.parametrize("resource", list(Resource))
@pytest.mark.parametrize("left", ["5", "2", "0.000001"])
def test_more_than_is_left_is_refused_as_the_meter_would_reject_it(resource: Resource, left: str) -> None:
    usage = UsageNow("/a", resource.value, "model_inference", "swift-1", MOMENT, Decimal(5), Decimal(left))
    check_left(usage, Decimal(left))
    micro = int(Decimal(left) * MICRO)
    words = describe_reversible(5 * MICRO, RESOURCE_CODES[resource], micro)
    with pytest.raises(RefusalError) as refused:
        check_left(usage, Decimal("5.1"))
    assert str(refused.value) == f"reverses_too_much: {words}. Nothing is sent."
