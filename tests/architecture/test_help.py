"""The help of every verb fits a terminal of 80 columns, and shows an example; no sentence in it is cut."""

from typing import Any

import pytest

from tests.support.verbs import APPS, GROUPS_AND_VERBS, find

COLUMNS = 80
GROUPS = [path for path in GROUPS_AND_VERBS if hasattr(find(path), "commands")]


class Page:
    """The help of a verb as a terminal of some width gets it. Typer's own runner has a width that is always 80."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, path: tuple[str, ...], columns: int) -> str:
        self._monkeypatch.setenv("COLUMNS", str(columns))
        APPS[path[0]]([*path[1:], "--help"], standalone_mode=False)
        return self._capsys.readouterr().out


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Page:
    return Page(monkeypatch, capsys)


def summary_of(verb: Any) -> str:
    """Its first sentence, whole."""
    return str(verb.get_short_help_str(10_000))


@pytest.mark.parametrize("verb", GROUPS_AND_VERBS, ids=" ".join)
def test_help_fits_and_shows_an_example(verb: tuple[str, ...], page: Page) -> None:
    shown = page(verb, COLUMNS)
    assert [line for line in shown.splitlines() if len(line) > COLUMNS] == []
    assert f"{' '.join(verb)}" in shown.partition("Example")[2] or "Commands:" in shown


@pytest.mark.parametrize("verb", [path for path in GROUPS_AND_VERBS if path not in GROUPS], ids=" ".join)
def test_several_calls_of_a_verb_are_examples(verb: tuple[str, ...], page: Page) -> None:
    """One call, or steps of which it is one, are an example."""
    shown = page(verb, COLUMNS).partition("Example")[2].partition("\n\n")[0]
    assert shown.startswith("s:") == (shown.count(" ".join(verb)) > 1)


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_each_verb_is_told_in_a_whole_sentence_at_80_columns(group: tuple[str, ...], page: Page) -> None:
    """On one line: Click would cut a longer one with three dots."""
    shown = page(group, COLUMNS).partition("Commands:")[2].splitlines()
    for name, verb in find(group).commands.items():
        line = next(line for line in shown if line.split()[:1] == [name])
        assert line.removeprefix(f"  {name}").strip() == summary_of(verb)
        assert summary_of(verb).endswith(".")


@pytest.mark.parametrize("columns", [100, 160])
@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_a_wide_terminal_is_used(group: tuple[str, ...], columns: int, page: Page) -> None:
    """The verbs together have lines beyond 80 columns, and none beyond the terminal."""
    shown = [page(path, columns) for path in (group, *((*group, name) for name in find(group).commands))]
    lines = [line for text in shown for line in text.splitlines()]
    assert COLUMNS < max(map(len, lines)) <= columns
