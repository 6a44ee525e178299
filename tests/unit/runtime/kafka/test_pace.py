"""When a fetch waits for more: never while little comes, always while much does, and no flutter between."""

from collections.abc import Iterable

from aiokafka.consumer.fetcher import Fetcher

from meter.runtime.kafka.pace import FetchPace

GATHER_S = 0.04  # so much is more than 25 records a second


def play(pace: FetchPace, polls: Iterable[tuple[float, int]]) -> list[float]:
    return [pace.note(records, at) for at, records in polls]


def every(seconds: float, records: int, times: int, start: float = 0.0) -> list[tuple[float, int]]:
    return [(start + number * seconds, records) for number in range(times)]


def test_little_never_gathers() -> None:
    assert not any(play(FetchPace(GATHER_S), every(0.1, 0, 50)))
    assert not any(play(FetchPace(GATHER_S), every(0.05, 1, 200)))  # 20 a second


def test_a_burst_gathers_at_once_and_its_end_is_calm() -> None:
    pace = FetchPace(GATHER_S)
    assert play(pace, [(0.0, 500)]) == [GATHER_S]
    after = play(pace, every(0.1, 0, 12, start=0.1))
    assert after[0] and not after[-1]


def test_a_rate_at_the_line_does_not_go_back_and_forth() -> None:
    pace = FetchPace(GATHER_S)
    seen = play(pace, every(0.1, 3, 20)) + play(pace, every(0.1, 2, 100, start=2.0))  # 30, then 20 a second
    assert seen[10:] == [GATHER_S] * len(seen[10:])


def test_many_gather_for_a_shorter_time_and_at_the_line_there_is_no_back_and_forth() -> None:
    pace = FetchPace(GATHER_S)
    assert play(pace, every(0.04, 40, 50))[-1] == GATHER_S  # 1,000 a second
    many = play(pace, every(0.03, 90, 50, start=2.0))  # 3,000
    fewer = play(pace, every(0.03, 45, 50, start=3.5))  # 1,500
    assert {*many[34:], *fewer} == {GATHER_S * 0.5}
    few = play(pace, every(0.04, 8, 50, start=5.0))  # 200
    assert few[-1] == GATHER_S
    assert play(pace, every(0.1, 0, 20, start=7.0))[-1] == 0


def test_the_fetcher_reads_how_long_to_wait_for_each_request() -> None:
    """The adapter sets both while it runs. Under other names it would set what nobody reads."""
    read = set(Fetcher._get_actions_per_node.__code__.co_names)
    assert {"_fetch_min_bytes", "_fetch_max_wait_ms"} <= read
