"""The console's settings refuse what would open it by mistake."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from projections.console.settings import ConsoleSettings

SECRET = "a secret of the tests, 32 characters at least"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_it_listens_on_loopback(host: str) -> None:
    assert not ConsoleSettings(console_host=host).has_keys


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "console.example.com", "", "127.0.0.1.example.com"])
def test_without_keys_it_refuses_any_other_address(host: str) -> None:
    with pytest.raises(ValidationError, match="without keys"):
        ConsoleSettings(console_host=host)
    assert ConsoleSettings(console_host=host, console_secret=SECRET).has_keys


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"console_secret": "short"}, "fewer than 32"),
        ({"console_secret": SECRET, "console_algorithm": "RS256"}, "HS256"),
        ({"console_key_file": Path("keys.json")}, "console_algorithm"),
        ({"console_algorithm": "none"}, "Input should be"),
        ({"console_origins": "https://app.example.com/path"}, "no origin"),
        ({"console_origins": "*"}, "no origin"),
        ({"console_zone": "Europe/Atlantis"}, "no time zone"),
        ({"console_poll_ms": 100}, "greater than or equal to 500"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as caught:
        ConsoleSettings(**values)
    assert SECRET not in str(caught.value)


def test_origins_are_separated_by_commas() -> None:
    found = ConsoleSettings(console_origins="https://a.example.com, http://localhost:3000")
    assert found.console_origins == ("https://a.example.com", "http://localhost:3000")
