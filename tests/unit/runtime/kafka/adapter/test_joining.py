"""How often a member asks to join in one rebalance."""

from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.consumer.subscription_state import Subscription
from aiokafka.errors import MemberIdRequired, NoError
from aiokafka.protocol.group import JoinGroupRequest

from meter.runtime.kafka.adapter.consumer import ASSIGNORS
from meter.runtime.kafka.adapter.joining import join_once


class Broker:
    """In place of the connection to the coordinator. A new member is given its id first."""

    def __init__(self) -> None:
        self.joins: list[tuple[str, list[str]]] = []

    async def send(self, _node: int, request: Any, **_options: Any) -> Any:
        if not isinstance(request, JoinGroupRequest):
            return SimpleNamespace(error_code=0, member_assignment=b"assigned")
        names = [name for name, _metadata in request._group_protocols]
        self.joins.append((request._member_id, names))
        code = NoError.errno if request._member_id else MemberIdRequired.errno
        return SimpleNamespace(
            error_code=code, member_id="m", generation_id=7, group_protocol=names[0], leader_id="other", members=[]
        )


async def join(member: str) -> tuple[Broker, Any]:
    join_once()
    broker = Broker()
    coordinator: Any = GroupCoordinator.__new__(GroupCoordinator)
    coordinator._client, coordinator._assignors = broker, ASSIGNORS
    coordinator.coordinator_id, coordinator.group_id = 1, "meter"
    coordinator.member_id, coordinator._group_instance_id, coordinator.generation = member, None, -1
    coordinator._rebalance_timeout_ms = 30_000
    subscription: Any = Subscription({"usage", "accounts"})
    rebalance: Any = CoordinatorGroupRebalance(coordinator, "meter", 1, subscription, ASSIGNORS, 10_000, 100)
    return broker, await rebalance.perform_group_join()


EVERY = [assignor.name for assignor in ASSIGNORS]


async def test_one_request_names_every_protocol() -> None:
    broker, joined = await join("m")
    assert broker.joins == [("m", EVERY)]
    assert joined == (EVERY[0], b"assigned")


async def test_a_new_member_asks_once_more_with_the_id_that_it_is_given() -> None:
    broker, joined = await join("")
    assert broker.joins == [("", EVERY), ("m", EVERY)]
    assert joined == (EVERY[0], b"assigned")
