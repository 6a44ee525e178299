"""What producers write as `traceparent`, well or badly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.tracing import TraceParent, find_traceparent, header_traceparent, read_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
PARENT = TraceParent(int(TRACE, 16), int(SPAN, 16))


@pytest.mark.parametrize("text", [GOOD, f"00-{TRACE}-{SPAN}-03", f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-new"])
def test_reads_what_is_sampled_of_this_version_and_later_ones(text: str) -> None:
    assert read_traceparent(text) == PARENT and str(PARENT) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "", "00", GOOD.upper(), f" {GOOD}", f"{GOOD}\n", f"{GOOD}-more", f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-zz", f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 10_000, "x" * 10_000, "00-" * 3_000,
    ],
)  # fmt: skip
def test_what_breaks_the_form_is_no_trace(text: str) -> None:
    assert read_traceparent(text) is None
    assert find_traceparent(json.dumps({"traceparent": text})) in (None, PARENT)


@pytest.mark.parametrize("flags", ["00", "02", "fe"])
def test_what_the_producer_does_not_sample_is_not_recorded(flags: str) -> None:
    assert read_traceparent(f"00-{TRACE}-{SPAN}-{flags}") is None


@pytest.mark.parametrize("text", [f'{{"traceparent":"{GOOD}"}}', f'{{"a":1,\n"traceparent" :\t"{GOOD}", "b":2}}'])
def test_finds_the_attribute_in_json(text: str) -> None:
    assert find_traceparent(text) == PARENT


@pytest.mark.parametrize("value", [f'"traceparent":"{GOOD}"', f'{{"traceparent":"{GOOD}"}}'])
def test_a_text_that_looks_like_the_attribute_is_none(value: str) -> None:
    assert find_traceparent(json.dumps({"note": value})) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_what_is_written_is_read_again(trace_id: int, span_id: int) -> None:
    parent = TraceParent(trace_id, span_id)
    assert read_traceparent(str(parent)) == parent == find_traceparent(json.dumps({"traceparent": str(parent)}))


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "ce_traceparent"])
def test_a_header_has_it_under_the_name_of_the_extension_or_of_instrumentation(name: str) -> None:
    assert header_traceparent([("content-type", b"x"), (name, GOOD.encode())]) == PARENT
    assert header_traceparent([(name, b"\xff" * 10_000)]) is None
    assert header_traceparent([(name, None)]) is None


def test_the_attribute_comes_before_the_header() -> None:
    other = f"00-{TRACE}-{'1' * 16}-01"
    assert header_traceparent([("traceparent", other.encode()), ("ce_traceparent", GOOD.encode())]) == PARENT
