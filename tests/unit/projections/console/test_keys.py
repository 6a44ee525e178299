"""Keys of the console as their file has them now; a file that holds none any more leaves the ones before in force."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from meter.runtime.settings import load_settings
from projections.console.settings import ConsoleSettings
from projections.console.tokens import AccessError, Tokens

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
FIRST, SECOND = (f"the {which} secret of the tests, 32 characters at least" for which in ("first", "second"))


def sign(tokens: Tokens) -> str:
    return tokens.make("acct-1", "admin", NOW, timedelta(minutes=5))


def accepts(tokens: Tokens, token: str) -> bool:
    try:
        tokens.read(token, NOW)
    except AccessError:
        return False
    return True


def test_a_secret_counts_from_the_next_request_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "console_key"
    file.write_text(FIRST)
    monkeypatch.setenv("METERING_CONSOLE_SECRET_FILE", str(file))
    tokens = Tokens(load_settings(ConsoleSettings))
    old, new = sign(tokens), sign(Tokens(ConsoleSettings(console_secret=SECOND)))
    assert accepts(tokens, old) and not accepts(tokens, new)
    file.write_text(SECOND)
    assert accepts(tokens, new) and not accepts(tokens, old)
    file.write_text("too short")
    with capture_logs() as lines:
        assert accepts(tokens, new) and accepts(tokens, sign(tokens))
    [line] = [line for line in lines if line["log_level"] == "warning"]
    assert line["event"] == "keys_unreadable" and "fewer than 32" in line["detail"] and "too short" not in str(line)


def test_old_and_new_key_of_a_set_count_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    def tokens_with(*keys: ECKey) -> Tokens:
        file.write_text(json.dumps({"keys": [key.as_dict(private=True) for key in keys]}))
        return Tokens(ConsoleSettings(console_algorithm="ES256", console_key_file=file))

    first, second = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("first", "second"))
    new = sign(tokens_with(second))
    tokens = tokens_with(first)
    old = sign(tokens)
    assert accepts(tokens, old) and not accepts(tokens, new)
    tokens_with(second, first)
    assert accepts(tokens, old) and accepts(tokens, new)
    tokens_with(second)
    assert accepts(tokens, new) and not accepts(tokens, old)
    file.write_text("{}")
    assert accepts(tokens, new)
