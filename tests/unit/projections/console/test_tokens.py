"""Tokens: for one account, of the pinned algorithm and key, for this console, in time. Whatever else is refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from meter.runtime.errors import SettingsError
from projections.console.keys import load_keys
from projections.console.settings import ConsoleSettings
from projections.console.tokens import AccessError, Tokens

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
SECRET = "a secret of the tests, 32 characters at least"
CLAIMS = {"sub": "acct-1", "aud": "credit-console", "exp": int(NOW.timestamp()) + 600}
TOKENS = Tokens(ConsoleSettings(console_secret=SECRET))


def sign(claims: dict[str, Any], algorithm: str = "HS256", key: Any = None) -> str:
    return jwt.encode({"alg": algorithm}, claims, key or OctKey.import_key(SECRET), algorithms=[algorithm])


def refusal(token: str, tokens: Tokens = TOKENS) -> str:
    with pytest.raises(AccessError) as caught:
        tokens.read(token, NOW)
    assert caught.value.status == 401
    assert len(token) < 10 or token not in caught.value.sentence
    return caught.value.code


def test_a_token_is_for_one_account_until_it_expires() -> None:
    viewer = TOKENS.read(TOKENS.make("acct-1", "admin", NOW, timedelta(minutes=5)), NOW)
    assert viewer.may_see("acct-1") and not viewer.may_see("acct-2")
    assert viewer.role == "admin"
    assert viewer.until == NOW + timedelta(minutes=5)


def test_a_clock_that_is_wrong_refuses_and_lets_nobody_in() -> None:
    """An hour back what was just signed is of the future, a day forward it has expired; then it is good again."""
    token = TOKENS.make("acct-1", "admin", NOW, timedelta(minutes=5))
    codes = []
    for step in (timedelta(hours=-1), timedelta(days=1)):
        with pytest.raises(AccessError) as caught:
            TOKENS.read(token, NOW + step)
        codes.append(caught.value.code)
    assert codes == ["token_invalid", "token_expired"]
    assert TOKENS.read(token, NOW).may_see("acct-1")


def test_nobody_is_an_admin_by_default() -> None:
    assert TOKENS.read(sign(CLAIMS), NOW).role == "member"
    assert TOKENS.read(sign(CLAIMS | {"role": "owner"}), NOW).role == "member"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": int(NOW.timestamp()) - 60}, "token_expired"),
        ({"exp": None}, "token_invalid"),
        ({"exp": "tomorrow"}, "token_invalid"),
        ({"exp": True}, "token_invalid"),
        ({"exp": 1e400}, "token_invalid"),
        ({"exp": 10**400}, "token_invalid"),
        ({"exp": float("nan")}, "token_invalid"),
        ({"exp": -(10**400)}, "token_expired"),
        ({"nbf": 10**400}, "token_invalid"),
        ({"iat": 10**400}, "token_invalid"),
        ({"aud": "another-console"}, "token_invalid"),
        ({"aud": None}, "token_invalid"),
        ({"sub": None}, "token_invalid"),
        ({"sub": 7}, "token_invalid"),
        ({"sub": ["acct-1"]}, "token_invalid"),
        ({"nbf": int(NOW.timestamp()) + 600}, "token_invalid"),
    ],
)
def test_claims_that_do_not_fit_are_refused(changes: dict[str, Any], code: str) -> None:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    assert refusal(sign(claims)) == code


def test_a_token_of_the_far_future_ends_its_cookie_after_a_day() -> None:
    assert TOKENS.read(sign(CLAIMS | {"exp": 10**30}), NOW).until == NOW + timedelta(days=1)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_a_token_without_signature_is_refused(name: str) -> None:
    assert refusal(f"{part({'alg': name})}.{part(CLAIMS)}.") == "token_invalid"


def test_another_key_another_algorithm_and_a_changed_token_are_refused() -> None:
    assert refusal(sign(CLAIMS, key=OctKey.import_key("another secret that is as long as 32"))) == "token_invalid"
    assert refusal(sign(CLAIMS, "HS512")) == "token_invalid"
    head, _, signature = sign(CLAIMS).split(".")
    assert refusal(f"{head}.{part(CLAIMS | {'sub': 'acct-2'})}.{signature}") == "token_invalid"


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "x" * 5000, "é.é.é", "\x00", "e30.e30.e30", "[].[].[]"])
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refusal(text) == "token_invalid"


def rsa_settings(tmp_path: Path, key: RSAKey) -> ConsoleSettings:
    file = tmp_path / "public.pem"
    file.write_bytes(key.as_pem(private=False))
    return ConsoleSettings(console_algorithm="RS256", console_key_file=file)


def test_a_public_key_is_never_taken_for_a_secret(tmp_path: Path) -> None:
    """The classic confusion: HS256 with the text of the public key, which everybody has."""
    key = RSAKey.generate_key(2048)
    tokens = Tokens(rsa_settings(tmp_path, key))
    assert tokens.read(sign(CLAIMS, "RS256", key), NOW).may_see("acct-1")
    public = (tmp_path / "public.pem").read_text()
    header, claims = part({"alg": "HS256"}), part(CLAIMS)
    signature = hmac.digest(public.encode(), f"{header}.{claims}".encode(), hashlib.sha256)
    forged = f"{header}.{claims}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert refusal(forged, tokens) == "token_invalid"


def test_a_public_key_makes_no_tokens(tmp_path: Path) -> None:
    tokens = Tokens(rsa_settings(tmp_path, RSAKey.generate_key(2048)))
    with pytest.raises(SettingsError, match="public"):
        tokens.make("acct-1", "admin", NOW, timedelta(minutes=5))


def test_keys_of_another_kind_are_refused_at_start(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    assert load_keys(ConsoleSettings(console_algorithm="ES256", console_key_file=file))
    with pytest.raises(SettingsError, match="no keys of RS256"):
        load_keys(ConsoleSettings(console_algorithm="RS256", console_key_file=file))


@pytest.mark.parametrize("text", ["", "nothing", "{}", '{"keys": []}', '{"keys": 1}', "-----BEGIN PUBLIC KEY-----"])
def test_a_key_file_that_holds_none_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(SettingsError, match="METERING_CONSOLE_KEY_FILE"):
        load_keys(ConsoleSettings(console_algorithm="ES256", console_key_file=file))


def test_under_a_clock_that_stepped_a_token_is_refused_and_good_again_afterwards() -> None:
    token = TOKENS.make("acct-1", "admin", NOW, timedelta(hours=2))
    for step, code in ((timedelta(days=1), "token_expired"), (-timedelta(hours=1), "token_invalid")):
        with pytest.raises(AccessError) as caught:
            TOKENS.read(token, NOW + step)
        assert caught.value.code == code
    assert TOKENS.read(token, NOW + timedelta(hours=1)).may_see("acct-1")
