"""The command line without servers."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifier.cli import app

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


def test_settings_are_listed_with_default_and_meaning() -> None:
    lines = ask("settings").splitlines()
    assert lines[0] == "variable\tdefault\tmeaning"
    assert "METERING_EMAIL_THRESHOLDS\t50,70,80,90\t" in "\n".join(lines)


def test_a_preview_shows_every_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_BILLING_URL", "https://example.com/billing")
    written = ask("preview", str(tmp_path / "new")).splitlines()
    assert len(written) == 2 * (2 + 3)
    assert "https://example.com/billing" in (tmp_path / "new" / "model_credits.html").read_text()
    assert "60.5 of 75" in (tmp_path / "new" / "model_credits.txt").read_text()
