"""Which databases have indexes that an upgrade of the operating system may break, and which it has broken."""

import pytest

from meter.collation import Collation, explain_changed, explain_may_change


def of(locale: str, made_with: str | None, now_has: str | None, *, is_builtin: bool = False) -> Collation:
    return Collation("metering", is_builtin, made_with, now_has, locale)


@pytest.mark.parametrize(
    ("found", "has_changed", "may_change"),
    [
        (of("C", None, None), False, False),
        (of("C.UTF-8", None, None), False, False),
        (of("C.UTF-8", "1", "1", is_builtin=True), False, False),
        (of("en_US.utf8", "2.36", "2.36"), False, True),
        (of("en_US.utf8", None, "2.36"), False, True),  # made before Postgres kept the version
        (of("en_US.utf8", "2.31", "2.36"), True, True),
        (of("en-US", "153.14", None), True, False),  # the version can no longer be had
    ],
    ids=str,
)
def test_a_collation_that_has_no_versions_cannot_change(found: Collation, has_changed: bool, may_change: bool) -> None:
    assert (found.has_changed, found.may_change) == (has_changed, may_change)


def test_people_are_told_what_to_do() -> None:
    said = explain_changed(of("en_US.utf8", "2.31", "2.36"))
    assert (
        "2.31 of en_US.utf8" in said and 'REINDEX DATABASE "metering"' in said and "REFRESH COLLATION VERSION" in said
    )
    said = explain_may_change(of("en_US.utf8", "2.36", "2.36"))
    assert "meter setup --check" in said and "BUILTIN_LOCALE 'C.UTF-8'" in said
