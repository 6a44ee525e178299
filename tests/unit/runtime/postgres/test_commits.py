"""Which COMMITs are waited for: those at which the server says it is at work, however long that takes."""

from typing import Any

from meter.runtime.postgres.transactions import Commits


class Connection:
    def __init__(self, pid: int) -> None:
        self._pid = pid

    def get_server_pid(self) -> int:
        return self._pid


def connection(pid: int) -> Any:
    return Connection(pid)


def test_one_that_the_server_works_at_is_waited_for_until_it_ends() -> None:
    commits = Commits()
    with commits.under_way(connection(7)):
        assert not commits.are_waited_for()
        commits.note_working([7, 8])
        assert not commits.are_waited_for(), "it may be one of many short ones"
        commits.note_working([7, 8])
        assert commits.are_waited_for()
    assert not commits.are_waited_for()


def test_short_ones_of_one_connection_are_never_waited_for() -> None:
    commits = Commits()
    for _ in range(3):
        with commits.under_way(connection(7)):
            commits.note_working([7])
            assert not commits.are_waited_for()


def test_a_server_that_is_silent_or_has_ended_it_or_is_another_one_is_not_waited_for() -> None:
    """It hangs, its reply was lost, or behind the same name is a new server that knows nothing of it."""
    for working in ([], [8]):
        commits = Commits()
        with commits.under_way(connection(7)):
            for pids in ([7], [7], working):
                commits.note_working(pids)
            assert not commits.are_waited_for()
            commits.note_working([7])
            assert commits.are_waited_for(), "it answers again, and is at it"
