"""The command line without servers."""

import io
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifier.cli import app
from notifier.emails_cli import read_recipient
from notifier.listing import choose_limit, describe_letter, print_newest

COMMANDS = ("run", "notices", "banners", "emails list", "emails show", "emails retry", "preview", "settings")


def ask(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    *group, last = name.split()
    assert last in ask(*group, "--help")
    assert f"notifier {name}" in ask(*name.split(), "--help").split("Example")[1]


def test_a_wrong_option_ends_with_2() -> None:
    assert CliRunner().invoke(app, ["notices"]).exit_code == 2
    assert CliRunner().invoke(app, ["emails", "list", "--state", "lost"]).exit_code == 2


def test_a_recipient_is_read_as_a_contact_is() -> None:
    """Contacts are kept with their domain in ASCII; capitals are the matter of the query."""
    assert read_recipient(" Owner@Bücher.Example ") == "Owner@xn--bcher-kva.example"
    done = CliRunner().invoke(app, ["emails", "list", "--recipient", "owner"])
    assert done.exit_code == 2 and "like owner@example.com" in done.output


def test_settings_are_listed_with_default_and_meaning() -> None:
    lines = ask("settings").splitlines()
    assert lines[0] == "variable\tdefault\tmeaning"
    assert "METERING_EMAIL_THRESHOLDS\t50,70,80,90\t" in "\n".join(lines)


def test_a_preview_shows_every_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_BILLING_URL", "https://example.com/billing")
    monkeypatch.setenv("METERING_SUPPORT_EMAIL", "help@example.com")
    written = ask("preview", str(tmp_path / "new")).splitlines()
    files = [Path(line.partition("\t")[0]) for line in written]
    assert sorted(files) == sorted((tmp_path / "new").iterdir()) and all("\t" in line for line in written)
    texts = {file.name: file.read_text() for file in files}
    assert "https://example.com/billing" in texts["low_model_credits.html"]
    assert "60.5 of 75 model credits" in texts["low_model_credits.txt"]
    assert all(name in texts["index.html"] for name in texts if name != "index.html")
    for name in ("free_expired", "paid_expired", "overdrawn", "both_refused_tool_runs"):
        assert "are refused now" in texts[f"banner_{name}.txt" if "both" in name else f"{name}.txt"]
    assert "<b " not in texts["hostile_name.html"].replace("&lt;b ", "") and "<b " not in texts["banners.html"]
    assert not any("example.com/prize" in text for text in texts.values())


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_newest_and_a_program_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_limit(None, everything=False, as_json=False) == 100
    monkeypatch.setattr(sys, "stdout", Screen())
    assert choose_limit(None, everything=False, as_json=False) == 10
    assert choose_limit(None, everything=False, as_json=True) == 100
    assert choose_limit(7, everything=False, as_json=False) == 7
    assert choose_limit(7, everything=True, as_json=False) > 1000


def test_what_is_left_out_is_said_beside_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_newest(("n",), [{"n": number} for number in range(3)], 2, as_json=False)
    shown = capsys.readouterr()
    assert shown.out == "n\n0\n1\n" and "Only the newest 2 are shown. Older ones: --all" in shown.err
    print_newest(("n",), [{"n": 0}], 2, as_json=True)
    assert capsys.readouterr() == ('{"n": 0}\n', "")


LETTER = {
    "state": "accepted",
    "lines": '[{"resource": "model_credits", "epoch": 2, "line": 90, "counts": true, "position": 7}]',
    "told": '[{"resource": "tool_runs", "line": 50}]',
    "reached_now": "[]",
}


def test_programs_get_the_lines_of_a_letter_as_objects() -> None:
    assert describe_letter(LETTER, as_json=True) == {
        "state": "accepted",
        "lines": [{"resource": "model_credits", "line": 90, "epoch": 2}],
        "told": [{"resource": "tool_runs", "line": 50}],
        "reached_now": [],
    }


def test_people_get_the_lines_of_a_letter_as_words() -> None:
    shown = describe_letter(LETTER, as_json=False)
    assert [shown[name] for name in ("lines", "told", "reached_now")] == [
        "model_credits 90 % (epoch 2)", "tool_runs 50 %", None,
    ]  # fmt: skip


def test_a_preview_names_its_files_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    written = ask("preview", str(tmp_path / "new\x1b[31m"))
    assert "\x1b" not in written and "new\\x1b[31m" in written


def test_a_preview_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    """And not that Postgres cannot be reached, which nobody asked."""
    (tmp_path / "file\x1b[31m").touch()
    done = CliRunner().invoke(app, ["preview", str(tmp_path / "file\x1b[31m" / "new")], env={"COLUMNS": "1000"})
    assert done.exit_code == 1 and "\x1b" not in done.output
    assert "Not a directory. Give a directory that can be written to." in done.output
