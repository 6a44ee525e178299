"""What is wrong with arguments, as people see it: every verb, every argument, at 80 columns.

No word of a library gets through, and each says what was typed, what is wrong with it and where help is.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import meter.cli
import notifier.cli
import projections.cli
from meter.runtime.process.terminal import fit
from meter.runtime.process.usage import ArgumentsError

APPS = {"meter": meter.cli.app, "projections": projections.cli.app, "notifier": notifier.cli.app}
# What only the libraries say.
FOREIGN = re.compile(
    r"Input should|Value error|String should|[Vv]alid(ation)? (error|integer|number|UUID|value)|Invalid value|"
    r"unable to parse|Got unexpected|requires an argument|Traceback|Errno|\[type=|pydantic|is not one of|Error:"
)
HOSTILE = "nonsense\x1b[2J" + "x" * 200


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    verbs = getattr(command, "commands", {})
    if not verbs:
        yield path, command
    for name, verb in verbs.items():
        yield from walk(verb, (*path, name))


VERBS = [pair for name, app in APPS.items() for pair in walk(get_command(app), (name,))]
ANSWERS = {int: ("x", "1.5", "-1", "9" * 30), float: ("x", "-1", "nan", "1e300")}


def bad_values(param: Any) -> tuple[str, ...]:
    """What the kind of an argument does not take; text is judged by the verb itself."""
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", str)
    text = str(annotation)
    if "int" in text:
        return ANSWERS[int]
    if "float" in text:
        return ANSWERS[float]
    return (HOSTILE,) if "UUID" in text or hasattr(annotation, "__members__") else ()


def lines_of(verb: Any) -> Iterator[list[str]]:
    """Arguments that are wrong, a kind each: unknown, missing, without a value, too many, of no use."""
    options = [param for param in verb.params if param.param_type_name == "option" and param.name != "help"]
    needed = [word for param in options if param.required for word in (param.opts[0], "x")]
    places = [param for param in verb.params if param.param_type_name == "argument"]
    yield [*needed, "--no-such-option"]
    yield from ([param.opts[0]] for param in options if not param.is_flag)
    if not any(param.nargs == -1 for param in places):
        yield [*needed, *(good_value(param) for param in places), "one", "too many\x1b[2J"]
    if any(param.required for param in (*places, *options)):
        yield []
    for param in options:
        yield from ([*needed, *map(good_value, places), param.opts[0], value] for value in bad_values(param))
    for param in places:
        yield from (
            [*needed, *(value if other is param else good_value(other) for other in places)]
            for value in bad_values(param) if not value.startswith("-")
        )  # fmt: skip


def good_value(param: Any) -> str:
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", str)
    members = getattr(annotation, "__members__", None)
    if members:
        return str(next(iter(members.values())).value)
    return "019b76da-a800-79ab-aa7b-5bf55eb561a4" if "UUID" in str(annotation) else "1"


@pytest.mark.parametrize(("path", "verb"), VERBS, ids=[" ".join(path) for path, _ in VERBS])
def test_no_bad_argument_is_answered_in_the_words_of_a_library(path: tuple[str, ...], verb: Any) -> None:
    command, *words = path
    tried = list(lines_of(verb))
    assert tried
    for line in tried:
        done = CliRunner().invoke(APPS[command], [*words, *line], prog_name=command)
        assert (done.exit_code, done.stdout) == (2, ""), (line, done.output, done.exception)
        assert not FOREIGN.search(done.stderr) and "\x1b" not in done.stderr, (line, done.stderr)
        assert f"{command} " in done.stderr and "--help`" in done.stderr, (line, done.stderr)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("meter rejections list --limit abc", "--limit: 'abc' is no whole number\n"),
        ("meter rejections list --limit 0", "--limit: '0' is less than 1, the least that is taken\n"),
        ("meter rerouted --days -1", "--days: '-1' is less than 0, the least that is taken\n"),
        ("meter grant a credits 5 --reason x --reference y", "RESOURCE: there is no 'credits'. Give one of model_cred"),
        ("meter grant a model_credits", "AMOUNT is missing. Give it: Credits, at most six decimals, or whole runs."),
        ("meter accounts shw", "there is no command 'shw': did you mean show?\n"),
        ("meter accounts show a --jsn", "there is no option '--jsn': did you mean --json?\n"),
        ("meter accounts show a b", "too many arguments: 'b'. Text with blanks needs quotes around it.\n"),
        ("meter grant a model_credits 5 --reason", "'--reason' needs a value behind it\n"),
        ("notifier emails show 17", "EMAIL_ID: '17' is no id like 0"),
    ],
)  # fmt: skip
def test_it_says_what_was_typed_and_what_to_type(line: str, said: str) -> None:
    command, *words = line.split()
    assert CliRunner().invoke(APPS[command], words, prog_name=command).stderr.startswith(said)


@pytest.mark.parametrize(
    "line",
    [
        "meter reverse acct-1 019b76da…61a4 --all --reason bug",
        "meter accounts show tenant…0001",
        "projections explain tenant…0001",
        "notifier notices tenant…0001",
        "notifier emails show 019b76da…61a4",
        "notifier emails retry 019b76da…61a4",
    ],
)
def test_an_id_as_a_table_shortens_it_is_no_argument(line: str) -> None:
    command, *arguments = line.split()
    done = CliRunner().invoke(APPS[command], arguments)
    assert done.exit_code == 2 and "shows it whole with --full-ids" in done.output.replace("\n", " ")


def test_lines_are_broken_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(meter.cli.app, ["rejections", "list", "--reason", "foo"], standalone_mode=False)
    assert isinstance(done.exception, ArgumentsError)
    assert max(map(len, fit(done.exception.message, Narrow()).splitlines())) <= 80  # type: ignore[arg-type]
