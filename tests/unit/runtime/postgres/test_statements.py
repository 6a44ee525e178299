"""Statements are loaded with the codes of the contracts."""

import pytest

from meter.runtime.postgres.statements import fill_codes, load_sql
from schemas.events import CODES, USAGE_CODES


def test_names_become_codes() -> None:
    filled = fill_codes(
        "type = {{credits.granted.v1}} OR type IN ({{usage}}, {{usage.reversed.v1}}) AND r = {{tool_runs}}"
    )
    assert filled == "type = 13 OR type IN (1, 2, 3, 4, 14) AND r = 2"


def test_a_name_that_no_contract_has_is_refused() -> None:
    with pytest.raises(KeyError, match=r"credits\.lent\.v1"):
        fill_codes("type = {{credits.lent.v1}}")


def test_a_loaded_statement_has_no_placeholder_left() -> None:
    assert "{{" not in load_sql("projections", "sum_usage")


def test_codes_of_usage_are_a_range_below_all_others() -> None:
    """The statements compare with the first and the last of them."""
    others = set(CODES.values()) - set(USAGE_CODES)
    assert list(range(USAGE_CODES[0], USAGE_CODES[-1] + 1)) == list(USAGE_CODES)
    assert min(others) > USAGE_CODES[-1]
