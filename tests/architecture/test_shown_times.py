"""Times have one form for people, with the zone, and RFC 3339 for programs."""

import re
from collections.abc import Iterator

import pytest

from tests.architecture.captures import looks
from tests.architecture.sources import ROOT, modules

TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*(?: UTC)?")
FOR_PEOPLE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
FOR_PROGRAMS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")
# Where times are formatted for anything else than people who read commands: letters, pages, and the contract itself.
OTHERS = ("schemas/times.py", "notifier/moments.py", "projections/console/")
FORMATS = re.compile(r"strftime\(|\{[^{}]*:%[YmdHMS]")


def wrong(line: str, *, in_pipe: bool) -> list[str]:
    """Times of a line that have another form. In a pipe a sentence may stand among what programs read."""
    is_object = line.startswith('{"')
    taken = (FOR_PROGRAMS,) if is_object else (FOR_PROGRAMS, FOR_PEOPLE) if in_pipe else (FOR_PEOPLE,)
    return [found for found in TIME.findall(line) if not any(form.match(found) for form in taken)]


def test_every_command_shows_times_in_one_form() -> None:
    shown = list(looks())
    assert sum(bool(TIME.search(line)) for look in shown for line in look.lines) > 100
    assert len({look.command.partition(" ")[0] for look in shown}) == 3
    found = [
        (look.command, look.where, form)
        for look in shown
        for line in look.lines
        for form in wrong(line, in_pipe=look.where == "in a pipe")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "in_pipe", "found"),
    [
        ("as_of  2026-03-01 12:00:00", False, ["2026-03-01 12:00:00"]),
        ("opened 2026-03-01T12:00:00+00:00, closed", False, ["2026-03-01T12:00:00+00:00,"]),
        ("opened 2026-03-01T12:00:00Z", False, ["2026-03-01T12:00:00Z"]),
        ("begun at 2026-03-01 12:00 UTC", False, ["2026-03-01 12:00 UTC"]),
        ("begun at 2026-03-01 12:00:00 UTC, and", False, []),
        ("7\t2026-03-01T12:00:00+00:00\tx", True, []),
        ("7\t2026-03-01T12:00:00\tx", True, ["2026-03-01T12:00:00"]),
        ('{"at": "2026-03-01 12:00:00 UTC"}', True, ["2026-03-01 12:00:00 UTC"]),
        ('{"at": "2026-03-01T12:00:00.000001+00:00"}', True, []),
    ],
)
def test_another_form_is_found(line: str, in_pipe: bool, found: list[str]) -> None:
    """The test of the test above: it can fail."""
    assert wrong(line, in_pipe=in_pipe) == found


def own_formats() -> Iterator[tuple[str, str]]:
    for file in modules("meter", "projections", "notifier", "schemas", "deploy"):
        if not file.as_posix().startswith(OTHERS):
            yield from ((file.as_posix(), line) for line in (ROOT / file).read_text(encoding="utf-8").splitlines())


def test_nothing_formats_times_in_a_way_of_its_own() -> None:
    """What is not captured, too: `say_time` is for people, `isoformat` and `format_time` for programs."""
    assert [(file, line.strip()) for file, line in own_formats() if FORMATS.search(line)] == []
