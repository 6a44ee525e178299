"""Ids are shortened so that those of one listing still differ, and never to what might be a whole id."""

from hypothesis import given
from hypothesis import strategies as st

from meter.short_ids import ELLIPSIS, LEAST_CHARS, choose_cap, shorten_all

IDS = st.text("ab-/", min_size=1, max_size=40)


def test_the_end_is_kept_where_the_beginnings_are_equal() -> None:
    ids = ["//agents.example.com/runner-1", "//agents.example.com/runner-2"]
    assert shorten_all(ids, 12) == {ids[0]: "//agen…ner-1", ids[1]: "//agen…ner-2"}


def test_the_beginning_is_kept_where_the_ends_are_equal() -> None:
    ids = ["gateway-a.europe.agents.example.com", "gateway-b.europe.agents.example.com"]
    shown = shorten_all(ids, 12)
    assert shown is not None and shown[ids[0]].startswith("gateway-a") and shown[ids[1]].startswith("gateway-b")


def test_ids_that_differ_in_the_middle_alone_stay_whole() -> None:
    assert shorten_all(["a" * 20 + letter + "b" * 20 for letter in "xy"], 12) is None


@given(st.lists(IDS), st.integers(LEAST_CHARS, 45))
def test_two_ids_never_look_alike(ids: list[str], cap: int) -> None:
    shown = shorten_all(ids, cap)
    if shown is None:
        return
    assert len(set(shown.values())) == len(set(ids))
    for whole, short in shown.items():
        assert len(short) <= cap and (short == whole or ELLIPSIS in short)


@given(st.lists(st.tuples(st.integers(1, 130), st.integers(1, 20)), max_size=4), st.integers(1, 300))
def test_the_cap_is_the_largest_that_saves_enough(columns: list[tuple[int, int]], excess: int) -> None:
    widths, headings = [max(pair) for pair in columns], [pair[1] for pair in columns]

    def saved(cap: int) -> int:
        return sum(w - max(h, min(w, cap)) for w, h in zip(widths, headings, strict=True))

    cap = choose_cap(widths, headings, excess)
    if cap is None:
        assert saved(LEAST_CHARS) < excess or not widths or max(widths) <= LEAST_CHARS
    else:
        assert saved(cap) >= excess > saved(cap + 1) or cap == max(widths) - 1
