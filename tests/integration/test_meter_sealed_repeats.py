"""A repeat of an event whose personal data are sealed is a duplicate, in every spelling of the same, before its account
is forgotten and after it; something else is `id_reused` for as long as anybody can tell."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import json
from typing import Any, Final

import pytest

from meter.runtime.postgres import Pool
from meter.store.events import PostgresEventStore
from schemas.codes import CODES, ITEM_CODE, PERSONAL_CODES
from schemas.reasons import Reason
from schemas.records import Accepted
from tests.contract.rows import opened
from tests.integration.test_meter_sealing import append, forgetting, store  # noqa: F401  # a fixture

OPENING, CONTACTS, RENAMED = (CODES[f"account.{name}.v1"] for name in ("opened", "contacts_changed", "renamed"))
OPENED: Final = {"plan": "free", "contacts": ["Ann@example.com"], "display_name": "Ann", "time_zone": "Europe/Berlin"}
ITEM: Final = {"kind": "model", "id": "m", "name": "M", "status": "active", "owner": "Ann", "version": "1"}
FIRST: Final[dict[int, dict[str, Any]]] = {
    OPENING: OPENED,
    CONTACTS: {"contacts": ["Ann@example.com", "bob@example.com"]},
    RENAMED: {"display_name": "Ann", "time_zone": "Europe/Berlin"},
    ITEM_CODE: ITEM,
}
# Each says the same as the first.
SPELLINGS: Final[dict[int, list[dict[str, Any]]]] = {
    OPENING: [
        OPENED | {"contacts": ["ann@EXAMPLE.com"]},
        OPENED | {"plan": "FREE"},
        OPENED | {"time_zone": "europe/berlin"},
        dict(reversed(OPENED.items())),
    ],
    CONTACTS: [{"contacts": ["ANN@example.com", "Bob@Example.com"]}],
    RENAMED: [{"time_zone": "europe/BERLIN", "display_name": "Ann"}],
    ITEM_CODE: [dict(reversed(ITEM.items()))],
}
# Each says something else that names nobody, so it is told apart for ever; and something that is forgotten.
OTHERS: Final[dict[int, tuple[dict[str, Any], dict[str, Any]]]] = {
    OPENING: (OPENED | {"plan": "team"}, OPENED | {"contacts": ["eve@example.com"]}),
    CONTACTS: ({"contacts": []}, {"contacts": ["Ann@example.com", "eve@example.com"]}),
    RENAMED: (FIRST[RENAMED] | {"time_zone": "UTC"}, FIRST[RENAMED] | {"display_name": "Eve"}),
    ITEM_CODE: (ITEM | {"version": "2"}, ITEM | {"owner": "Eve"}),
}


def row(offset: int, type_: int, data: dict[str, Any]) -> Accepted:
    name = data["plan"].lower() if type_ == OPENING else ""
    return opened(offset, type=type_, name=name, event_id="the same", data=json.dumps(data))


@pytest.mark.parametrize("forgotten", [False, True], ids=["known", "forgotten"])
@pytest.mark.parametrize("type_", FIRST)
async def test_a_repeat_in_any_spelling_is_a_duplicate(
    store: PostgresEventStore, pool: Pool, type_: int, forgotten: bool
) -> None:
    assert set(FIRST) == set(PERSONAL_CODES)
    await append(store, row(0, type_, FIRST[type_]))
    if forgotten:
        await append(store, forgetting(1))
    same = [FIRST[type_], *SPELLINGS[type_]]
    begin = 2 if forgotten else 1
    for offset, data in enumerate(same, begin):
        result = await append(store, row(offset, type_, data))
        assert (result.duplicates, result.reasons) == (1, {}), data
    public, personal = OTHERS[type_]
    end = begin + len(same)
    result = await append(store, row(end, type_, public))
    contacts_are_forgotten = forgotten and type_ == CONTACTS
    assert result.reasons == ({} if contacts_are_forgotten else {Reason.ID_REUSED.value: 1})
    result = await append(store, row(end + 1, type_, personal))
    assert result.reasons == ({} if forgotten else {Reason.ID_REUSED.value: 1})
