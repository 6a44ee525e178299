"""One JoinGroup for a rebalance. aiokafka sends one for each of its assignors, each with one protocol more than the
one before: the first of two lets the group end its rebalance, and the second begins another.
"""

from typing import Any, Final, NamedTuple

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import JoinGroupRequest


class NotSent(NamedTuple):
    """In place of an answer to a request that lacks protocols: aiokafka goes on to the next."""

    error_code: int = 0


_send_req: Final = GroupCoordinator._send_req


async def _send_whole(self: Any, request: Any) -> Any:
    if isinstance(request, JoinGroupRequest) and len(request._group_protocols) < len(self._assignors):
        return NotSent()
    return await _send_req(self, request)


def join_once() -> None:
    """Patch the class of coordinators, for the whole process; calling it again changes nothing."""
    GroupCoordinator._send_req = _send_whole
