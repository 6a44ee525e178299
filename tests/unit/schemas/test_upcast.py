from collections.abc import Mapping
from typing import Any

from schemas.events import INPUT_TYPES
from schemas.upcast import UPCASTS, Upcast, upcast


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
