from itertools import islice

from meter.runtime.waiting import pauses


def test_pauses_grow_to_the_limit_and_differ_between_processes() -> None:
    first, second = list(islice(pauses(0.2, 10), 12)), list(islice(pauses(0.2, 10), 12))
    assert first != second
    for index, pause_s in enumerate(first):
        whole = min(0.2 * 2**index, 10)
        assert whole / 2 <= pause_s <= whole
