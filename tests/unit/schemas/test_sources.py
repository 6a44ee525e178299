"""Sources that may charge some accounts only."""

from dataclasses import replace

import pytest

from schemas.parsing.parse import parse, parse_all
from schemas.parsing.sources import compile_sources, parse_sources
from schemas.reasons import Reason
from schemas.records import Accepted, Limits, Record, Rejected, Remarked, Rerouted
from schemas.topics import ACCOUNTS, partition_for
from tests.unit.schemas.builders import LIMITS, NOW, make_event, record_of

GATEWAY = "//gateway.example.com"
TEAM = "//team-a.example.com"


def limits_of(**allowed: str) -> Limits:
    named = {{"gateway": GATEWAY, "team": TEAM}[name]: pattern for name, pattern in allowed.items()}
    return replace(LIMITS, sources=compile_sources(named))


def usage(source: str, account_id: str, **data: object) -> Record:
    data = {"credits": "1", "model": "small-chat", **data}
    return record_of(
        make_event("usage.model_inference.v1", data, source=source, subject=account_id),
        key=account_id.encode(),
        partition=0,
    )


ALLOWED = limits_of(gateway="*", team="a-*")


@pytest.mark.parametrize(
    ("source", "account_id", "detail"),
    [
        (GATEWAY, "b-1", None),
        (TEAM, "a-1", None),
        (TEAM, "a-", None),
        (TEAM, "b-1", "may not charge account b-1"),
        (TEAM, "xa-1", "may not charge account xa-1"),
        ("//stranger.example.com", "a-1", "source //stranger.example.com is not listed"),
        (TEAM + "/", "a-1", "is not listed"),
    ],
)
def test_a_source_charges_the_accounts_of_its_pattern_only(source: str, account_id: str, detail: str | None) -> None:
    record = usage(source, account_id)
    outcome = parse(record, NOW, replace(ALLOWED, partitions=1))
    assert [outcome] == parse_all([record], NOW, replace(ALLOWED, partitions=1))
    if detail is None:
        assert isinstance(outcome, Accepted)
        assert outcome == parse(record, NOW, replace(LIMITS, partitions=1))
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.SOURCE_NOT_ALLOWED
        assert detail in outcome.detail
        assert not outcome.reason.is_final  # a replay helps once the setting says otherwise


def test_what_is_remarked_or_in_a_wrong_partition_is_looked_at_as_well() -> None:
    remarked = usage(TEAM, "b-1", status="")
    home = partition_for(b"b-1", LIMITS.partitions)
    strange = usage(TEAM, "b-1")._replace(partition=(home + 1) % LIMITS.partitions)
    assert isinstance(parse(strange, NOW, LIMITS), Rerouted)
    assert isinstance(parse(remarked, NOW, replace(LIMITS, partitions=1)), Remarked | Accepted)
    for record, limits in ((remarked, replace(ALLOWED, partitions=1)), (strange, ALLOWED)):
        outcome = parse(record, NOW, limits)
        assert isinstance(outcome, Rejected) and outcome.reason is Reason.SOURCE_NOT_ALLOWED


def test_accounts_and_grants_are_not_looked_at() -> None:
    data = {"resource": "model_credits", "amount": "5", "reason": "top_up", "reference": "INV-1"}
    record = record_of(make_event("credits.granted.v1", data, source="//billing.example.com"))
    assert record.topic == ACCOUNTS
    assert isinstance(parse(record, NOW, ALLOWED), Accepted)


def test_nothing_is_limited_where_nothing_is_listed() -> None:
    assert compile_sources({}) is None


@pytest.mark.parametrize(
    "allowed", [{"": "*"}, {GATEWAY: ""}, {GATEWAY: "a b"}, {GATEWAY: "(.*)"}, {GATEWAY: "x" * 129}]
)
def test_a_pattern_is_an_account_id_with_stars(allowed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="stands for anything"):
        compile_sources(allowed)


def test_a_dot_is_a_dot() -> None:
    compiled = compile_sources({GATEWAY: "a.b*"})
    assert compiled is not None
    assert compiled[GATEWAY].fullmatch("a.bc")
    assert not compiled[GATEWAY].fullmatch("aXbc")


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a": 1}', '{"a": ["b"]}', "null", '"x"'])
def test_what_is_no_object_of_texts_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no JSON object"):
        parse_sources(text)
