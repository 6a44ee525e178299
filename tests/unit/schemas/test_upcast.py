import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from schemas.events import CODES, INPUT_TYPES, AccountOpened, CreditsGranted
from schemas.upcast import UPCASTS, Upcast, read_stored, upcast
from tests.architecture.sources import PACKAGES, ROOT
from tests.unit.schemas.builders import EXAMPLES


def rename(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": data["label"]}


def add_unit(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**data, "unit": "credit"}


def test_old_versions_are_read_as_the_latest_step_by_step() -> None:
    upcasts = {"a.v1": Upcast("a.v2", rename), "a.v2": Upcast("a.v3", add_unit)}
    assert upcast("a.v1", {"label": "x"}, upcasts) == ("a.v3", {"name": "x", "unit": "credit"})
    assert upcast("a.v2", {"name": "x"}, upcasts) == ("a.v3", {"name": "x", "unit": "credit"})


def test_current_types_are_left_alone() -> None:
    data = {"credits": "1"}
    for type in INPUT_TYPES:
        assert upcast(type, data) == (type, data)


def test_upcasts_end_at_known_types() -> None:
    assert all(upcast_to.type in INPUT_TYPES or upcast_to.type in UPCASTS for upcast_to in UPCASTS.values())


@pytest.mark.parametrize("type", EXAMPLES)
def test_stored_data_is_read_as_the_model_of_its_type(type: str) -> None:
    event = INPUT_TYPES[type]
    assert read_stored(event.code, json.dumps(EXAMPLES[type])) == event.model.model_validate(EXAMPLES[type])


def test_stored_data_of_an_old_version_is_read_as_the_latest() -> None:
    upcasts = {"account.plan_changed.v1": Upcast("account.opened.v1", lambda data: {**data, "contacts": []})}
    read = read_stored(CODES["account.plan_changed.v1"], '{"plan":"team"}', upcasts)
    assert read == AccountOpened(plan="team", contacts=())


def test_stored_numbers_keep_every_digit() -> None:
    text = '{"resource":"tool_runs","amount":9999999.000001,"reason":"r","reference":"x"}'
    read = read_stored(CODES["credits.granted.v1"], text)
    assert isinstance(read, CreditsGranted)
    assert read.amount == 9_999_999_000_001


def test_a_code_of_a_later_release_is_refused() -> None:
    with pytest.raises(KeyError):
        read_stored(max(CODES.values()) + 1, "{}")


def test_sql_reads_stored_data_in_known_places_only() -> None:
    """`projections verify` shares no code with the fold, nor `meter verify` with the plan, so their SQL reads data by
    itself. Another version of an account type must be added there by hand; so must one of usage or items, whose fields
    for information SQL reads for usage. Every other reader takes the text and calls `read_stored`."""
    reads_data = re.compile(r"\bdata *(->|#>|@>)|json\w*\(\w*\.?data\b")
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("sql/*.sql")]
    found = {path.name for path in files if reads_data.search(path.read_text(encoding="utf-8"))}
    assert found == {
        *("compare_accounts.sql", "compare_notices.sql", "compare_slots.sql"),
        *("count_in_clear.sql", "find_wrong_links.sql", "list_contact_changes.sql"),
        *("fold_usage.sql", "save_items.sql", "replace_items.sql", "replace_used_items.sql", "fetch_sealed_items.sql"),
        "list_item_changes.sql",
    }
