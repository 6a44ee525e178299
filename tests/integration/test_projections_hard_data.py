"""Usage and items whose data is hard on Postgres: many fields, numbers that it has no type for, odd blanks and moments.

What one event says may cost its own length, and nothing but the field that cannot be read."""

import json
import random
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import TypeAdapter

import projections
from meter.runtime.postgres import Pool
from projections.rebuild import Model, Rebuild
from projections.store import sql
from projections.verify import verify
from schemas.events import CODES
from schemas.fields import MomentOrNone, NameOrNone
from tests.integration.projections_log import Event, EventLog, fold_all, opened, renamed, used
from tests.integration.usage_log import fold_usage
from tests.support.damaging import lift_triggers
from tests.support.working_time import within

FOLDER: Final = Path(projections.__file__).parent
READERS: Final = ("fold_usage", "save_items", "replace_items", "replace_used_items")
MANY: Final = {f"u{number}": 1 for number in range(6_500)}
HUGE: Final = "1e200000"
HARD_VALUES: Final = (
    HUGE, f"-{HUGE}", "5." + "0" * 16_400, "5." + "0" * 16_383, "0.5", "7", "null", "true", '"eu"', '" "', '"x"',
    f'{{"x": {HUGE}}}', f'[1, {HUGE}]', '{"x": 1}', "[]", "0e200000", "-0e9999999", "0e1073741824", "0e-20000",
    "0e-16383",
)  # fmt: skip

CALLS: Final = "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'read_object'"


def find_names() -> set[str]:
    """The fields of `read_object` that statements ask for."""
    names: set[str] = set()
    for reader in READERS:
        text = sql(reader)
        names |= set(re.findall(r"\b(?:data|fields) ->>? '(\w+)'", re.sub(r"\b[lm]\.data ->>? '\w+'", "", text)))
        for listed in re.findall(r"fields \?\| ARRAY\[(.*?)\]", text):
            names |= set(re.findall(r"'(\w+)'", listed))
    return names


def item(account_id: str, **more: Any) -> Event:
    data = {"kind": "model", "id": "sage", "name": "Sage", "status": "deployed", **more}
    return Event(account_id=account_id, type=CODES["item.changed.v1"], name="sage", data=data)


async def say(pool: Pool, text: str, where: str) -> None:
    """Let events have said what Python cannot write."""
    await lift_triggers(pool, "meter.events")
    await pool.execute(f"UPDATE meter.events SET data = $1::text::json WHERE {where}", text)


def object_with(members: str) -> str:
    return f"{json.dumps(MANY)[:-1]}, {members}}}"


async def test_many_fields_of_an_item_cost_their_length(pool: Pool, log: EventLog) -> None:
    """It was five seconds for each of nine times that the fields were read."""
    await log.append(*opened("acct-1"), item("acct-1", owner="Ann", **MANY))
    await fold_all(pool)
    with within(10):
        await fold_usage(pool)
    assert await pool.fetchval("SELECT owner FROM projections.items") == "Ann"


async def test_many_fields_beside_a_number_without_a_type_cost_their_length(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), *[used("acct-1", 1)] * 10)
    await say(pool, object_with(f'"deployment": "eu", "hardware": "gpu", "x": {HUGE}'), "type = 1")
    await fold_all(pool)
    with within(10):
        await fold_usage(pool)
    row = await pool.fetchrow("SELECT deployment, events FROM projections.usage_by_slot")
    assert row is not None and tuple(row) == ("eu", 10)
    assert await pool.fetchval("SELECT hardware FROM projections.used_items") == "gpu"


@pytest.mark.not_on_citus("counts calls on one server: on Citus the nodes make them")
async def test_an_item_is_read_once_and_not_for_each_of_its_fields(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), *(item("acct-1", version=str(number)) for number in range(5)))
    position = await pool.fetchval("SELECT max(position) FROM meter.events")
    [shard] = {event.shard for event in log.events}
    nothing: list[Any] = []
    for statement, arguments in (
        ("save_items", ([shard], [0], [position], nothing, nothing, nothing)),
        ("replace_items", (shard, position, nothing, nothing)),
    ):
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL track_functions = 'pl'")
            before = await connection.fetchval(CALLS) or 0
            await connection.fetch(sql(statement), *arguments)
            assert await connection.fetchval(CALLS) - before == 5, statement


def random_objects(rng: random.Random, names: list[str]) -> Iterator[str]:
    for _ in range(400):
        members = rng.sample([*names, "x", "credits", ""], rng.randrange(8))
        values = rng.choice((HARD_VALUES, HARD_VALUES[4:11]))
        yield "{" + ", ".join(f"{json.dumps(name)}: {rng.choice(values)}" for name in members) + "}"


async def test_fields_are_read_as_ever(pool: Pool) -> None:
    """Each by itself, as it was before: what statements ask for is the same."""
    text = (FOLDER / "migrations/0011_usage.sql").read_text(encoding="utf-8")
    [before] = re.findall(r"CREATE FUNCTION projections\.read_object\(.*?\n\$\$;", text, re.DOTALL)
    await pool.execute(before.replace("read_object", "read_before"))
    names = sorted(find_names())
    assert len(names) > 15
    texts = list(random_objects(random.Random(4), names))
    different = """
        SELECT t FROM unnest($1::text[]) AS t
        CROSS JOIN LATERAL (
            SELECT projections.read_before(t::json) AS before, projections.read_object(t::json) AS now OFFSET 0
        ) AS r
        WHERE EXISTS (SELECT FROM unnest($2::text[]) AS name
                      WHERE r.before ? name <> r.now ? name OR r.before -> name IS DISTINCT FROM r.now -> name)"""
    assert await pool.fetch(different, texts, names) == []
    assert await pool.fetchval("SELECT projections.read_object(NULL)") == "{}"


async def test_each_field_that_a_statement_asks_for_is_read_beside_a_number_without_a_type(pool: Pool) -> None:
    for name in find_names():
        read = await pool.fetchval(
            "SELECT projections.read_object($1::text::json)", f'{{"x": {HUGE}, "{name}": "said"}}'
        )
        assert json.loads(read) == {name: "said"}


async def test_the_fold_and_verify_read_alike_what_usage_ran_on_and_what_is_told_of_items(
    pool: Pool, log: EventLog
) -> None:
    rng = random.Random(5)
    names = [
        "hardware",
        "replicas",
        "cpus",
        "memory_gb",
        "language",
        "owner",
        "type",
        "version",
        "reason",
        "deployed_at",
    ]
    texts = list(random_objects(rng, [*names, "deployment"]))
    events = [used("acct-1", 1, f"model-{at % 150}") for at in range(len(texts))]
    items = [item("acct-1") if at % 2 else used("acct-1", 1, "sage") for at in range(4)]
    await log.append(*opened("acct-1"), *events, *items)
    for at, text in enumerate(texts, start=4):
        await say(pool, text, f"position = {at}")
    told = '{"kind": "model", "id": "sage", "name": "Sage", "status": "draft", "deployed_at": "2026-11-20T10:00:00Z"'
    await say(pool, f'{told}, "owner": {HUGE}, "version": "5", "x": {HUGE}}}', f"type = {CODES['item.changed.v1']}")
    await fold_all(pool)
    await fold_usage(pool, 90)
    read = await pool.fetchrow(
        "SELECT count(*), count(hardware), count(cpus), max(position) FROM projections.used_items"
    )
    assert read is not None and min(read) > 5
    assert [difference async for report in verify(pool) for difference in report.differences] == []
    [exchange] = await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    assert (exchange.added, exchange.changed, exchange.removed) == (0, 0, 0)


BLANKS: Final = [chr(code) for code in range(1, 0x3100) if chr(code).isspace() and not 0xD800 <= code < 0xE000]
NAMES: Final[tuple[object, ...]] = (
    *BLANKS, "".join(BLANKS[-8:]), "\u00a0a", "a\u3000", "\u200b", "\ufeff", "\u180e", "\u2800", "é", "", "a\tb",
    "\x85", "x" * 256, "x" * 257, "\U0001f469" * 256, 5, True, None, ["a"], {},
)  # fmt: skip


async def test_names_are_blank_by_the_contract_and_not_by_the_locale(pool: Pool) -> None:
    said = TypeAdapter(NameOrNone)
    read = [await pool.fetchval("SELECT projections.read_text($1::jsonb, 256)", json.dumps(name)) for name in NAMES]
    assert read == [said.validate_python(name) for name in NAMES]


@pytest.mark.not_on_citus("a database with nothing but the one function")
async def test_names_are_blank_by_the_contract_without_any_locale(dsn: str) -> None:
    """In a database of the C library's `C`, where no character beyond ASCII is known to be blank."""
    text = (FOLDER / "migrations/0029_hard_data.sql").read_text(encoding="utf-8")
    [function] = re.findall(r"CREATE OR REPLACE FUNCTION projections\.read_text\(.*?;\n", text, re.DOTALL)
    said, address = TypeAdapter(NameOrNone), urlsplit(dsn)
    name = f"plain_{uuid.uuid4().hex}"
    server = await asyncpg.connect(dsn)
    await server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        plain = await asyncpg.connect(address._replace(path=f"/{name}").geturl())
        try:
            await plain.execute(f"CREATE SCHEMA projections; {function}")
            for value in NAMES:
                read = await plain.fetchval("SELECT projections.read_text($1::jsonb, 256)", json.dumps(value))
                assert read == said.validate_python(value)
        finally:
            await plain.close()
    finally:
        await server.execute(f"DROP DATABASE {name}")
        await server.close()


def test_each_statement_knows_the_same_blanks() -> None:
    [blank] = re.findall(r"~ '(\[\^ .*?\])'", (FOLDER / "migrations/0029_hard_data.sql").read_text(encoding="utf-8"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "sql").glob("*.sql")}
    assert {name for name, text in texts.items() if blank in text} == {"compare_accounts.sql", "compare_slots.sql"}
    assert [name for name, text in texts.items() if r"'\S'" in text] == []


async def test_names_and_zones_of_accounts_are_those_of_the_contract(pool: Pool, log: EventLog) -> None:
    """Letters that lower to k and i in many locales are no letters of a zone."""
    zones: tuple[object, ...] = (
        "europe/Berlin",
        "Asia/\u212aathmandu",
        "Asia/Beirut\u0130",
        "As\u0130a/Tokyo",
        "EUROPE/K\u0130EV",
        "Europe/\u212aiev",
        5,
        [],
    )
    for number, name in enumerate(NAMES):
        account_id = f"acct-{number}"
        await log.append(
            *opened(account_id), renamed(account_id, display_name=name, time_zone=zones[number % len(zones)])
        )
    await fold_all(pool)
    assert [difference async for report in verify(pool) for difference in report.differences] == []


MOMENTS: Final[tuple[object, ...]] = (
    "2026-11-20T10:00:00Z", "2026-11-20t10:00:00.1234569z", "2026-11-20T10:00:00.999999999+05:45",
    "2026-11-20T10:00:00+16:00", "2026-11-20T10:00:00-23:59", "2026-11-20T10:00:00+24:00",
    "2026-11-20T10:00:00+15:60", "2026-11-20T24:00:00Z", "2026-11-20T23:59:60Z", "2026-11-20 10:00:00Z",
    "2026-11-20T10:00:00", "2026-11-20T10:00Z", "2026-02-29T10:00:00Z", "2028-02-29T10:00:00Z",
    "2026-13-01T10:00:00Z", "2026-00-01T10:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01", "0001-01-01T00:00:00-00:01", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.9999999-00:00", "9999-12-31T23:59:59-05:00", "2026-11-20T10:00:00." + "1" * 18 + "Z",
    "2026-11-20T10:00:00." + "1" * 19 + "Z", "2026-11-20T10:00:00.Z", "2026-11-20T10:00:00Z\n", "infinity", "now", "",
    5, None, {},
)  # fmt: skip


async def test_moments_are_those_of_the_contract(pool: Pool) -> None:
    said = TypeAdapter(MomentOrNone)
    for moment in MOMENTS:
        read = await pool.fetchval("SELECT projections.read_moment($1::jsonb)", json.dumps(moment))
        assert read == said.validate_python(moment), moment


NUMBERS: Final = (
    "5e0003", "5E+0003", "5e-0001", "0.5e0001", "0." + "0" * 16_400 + "1", "5." + "0" * 16_400, "5." + "0" * 16_383,
    "5." + "0" * 16_384, "0." + "0" * 1_000 + "5e1001", "0." + "0" * 16_400 + "5e16401", "5." + "0" * 16_400 + "e17",
    "5." + "0" * 16_400 + "e16", "5." + "0" * 16_383 + "e-1", "5e-16383", "5e-16384", "5" + "0" * 20_000 + "e-20000",
    "5" + "0" * 16_000 + "e-16383", "5" + "0" * 16_000 + "e-16384", "1" + "0" * 30_000, "1e131071", "1e131072",
    "1e999999", "1e9999999", "1e99999999999", "1e-99999999999", "0e99999999999", "0e5", "-0", "-5",
    "5e00000000000000000000002", "7", "0.1234567",
)  # fmt: skip


async def test_the_fold_and_verify_read_every_number_alike(pool: Pool, log: EventLog) -> None:
    """Whatever its length and its exponent: of some `verify` raised, of others it told of a difference."""
    await log.append(*opened("acct-1"), *(used("acct-1", 1, f"model-{at}") for at in range(len(NUMBERS))))
    for at, number in enumerate(NUMBERS):
        text = f'{{"input_tokens": {number}, "output_tokens": {number}, "seconds": {number}}}'
        await say(pool, text, f"type = 1 AND name = 'model-{at}'")
    await fold_all(pool)
    await fold_usage(pool)
    sums = await pool.fetchrow(
        "SELECT tokens_in, tokens_out, seconds FROM projections.usage_slots WHERE item = 'model-0'"
    )
    assert sums is not None and tuple(sums) == (5_000, 5_000, 5_000)
    assert [difference async for report in verify(pool) for difference in report.differences] == []
    [exchange] = await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    assert (exchange.added, exchange.changed, exchange.removed) == (0, 0, 0)
