"""The help of every verb fits a terminal of 80 columns, and shows an example."""

import pytest
from typer.testing import CliRunner

from tests.support.verbs import APPS, GROUPS_AND_VERBS

COLUMNS = 80


@pytest.mark.parametrize("verb", GROUPS_AND_VERBS, ids=" ".join)
def test_help_fits_and_shows_an_example(verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    shown = CliRunner().invoke(APPS[verb[0]], [*verb[1:], "--help"], terminal_width=COLUMNS).output
    assert [line for line in shown.splitlines() if len(line) > COLUMNS] == []
    assert f"{' '.join(verb)}" in shown.partition("Example")[2] or "Commands:" in shown
