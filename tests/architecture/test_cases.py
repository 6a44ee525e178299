"""The tables of cases that run on real processes: how many there are, and what came of each before."""

from collections.abc import Sequence

import pytest

from tests.e2e import corrections_cases, figures_cases, test_letters
from tests.e2e.letters_cases import Case as LettersCase

LETTERS = [(name, case.was) for group in test_letters.GROUPS for name, case in group.items()]
TABLES = {
    "identity": (10, [(case.name, case.was) for case in corrections_cases.IDENTITY]),
    "corrections": (14, [(case.name, case.was) for case in corrections_cases.CORRECTIONS]),
    "letters": (24, LETTERS),
    "figures": (10, [(case.name, case.was) for case in figures_cases.CASES]),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_its_cases_and_says_what_came_of_each_before(table: str) -> None:
    least, cases = TABLES[table]
    assert len(cases) >= least
    assert twice([name for name, _ in cases]) == []
    assert [name for name, was in cases if not was.strip()] == []


@pytest.mark.parametrize("table", TABLES)
def test_most_cases_of_a_table_were_wrong_before(table: str) -> None:
    """A table of what always worked would prove little."""
    _, cases = TABLES[table]
    failed = [name for name, was in cases if not was.startswith("right before")]
    assert len(failed) * 2 > len(cases), failed


def test_no_case_of_letters_stands_outside_the_groups_that_are_played() -> None:
    from tests.e2e import letters_cases

    groups = [
        value for value in vars(letters_cases).values()
        if isinstance(value, dict) and value and all(isinstance(case, LettersCase) for case in value.values())
    ]  # fmt: skip
    assert sorted(map(sorted, groups)) == sorted(map(sorted, test_letters.GROUPS))


def twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
