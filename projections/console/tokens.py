"""Who may look at what: JWTs for one account, with algorithm and keys pinned by the settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey

from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError, SettingsError
from projections.console.keys import Keys
from projections.console.settings import ConsoleSettings
from schemas.fields import ACCOUNT_PATTERN

Role = Literal["admin", "member"]
MAX_TOKEN_CHARS: Final = 4096
MAX_SESSION: Final = timedelta(days=1)


class AccessError(Exception):
    """Refused. `code` is stable; `sentence` says to people what to do and holds nothing of the token; `pause_s` is when
    to ask again, where that is known."""

    def __init__(self, status: int, code: str, sentence: str, pause_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: at one account, or at any where the console has no keys."""

    account_id: str | None
    role: Role
    until: datetime | None

    @property
    def may_buy(self) -> bool:
        return self.role == "admin"

    def may_see(self, account_id: str) -> bool:
        return self.account_id is None or self.account_id == account_id


ANYBODY: Final = Viewer(None, "admin", None)


class Tokens:
    """Reads tokens, and makes them where the key can sign."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._algorithm = settings.console_algorithm
        self._keys = Keys(settings)
        self._audience = settings.console_audience
        self._leeway_s = settings.console_leeway_s

    def read(self, token: str, now: datetime) -> Viewer:
        """Raises AccessError for whatever is not a token of ours, for this console, now."""
        if len(token) > MAX_TOKEN_CHARS:
            raise AccessError(401, "token_invalid", "The token is too long.")
        try:
            claims = jwt.decode(token, self._keys.now(), algorithms=[self._algorithm]).claims
            self._registry(now).validate(claims)
            return viewer_of(claims, now)
        except ExpiredTokenError:
            raise AccessError(401, "token_expired", "The token has expired: sign in again.") from None
        except (JoseError, ValueError, TypeError, OverflowError):  # the last by numbers of hundreds of digits
            raise AccessError(401, "token_invalid", "The token is not valid for this console.") from None

    def _registry(self, now: datetime) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=lambda: int(now.timestamp()),
            leeway=self._leeway_s,
            exp={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "value": self._audience},
        )

    def make(self, account_id: str, role: Role, now: datetime, lifetime: timedelta) -> str:
        """Raises SettingsError where the key can only check."""
        claims = {
            "sub": account_id,
            "aud": self._audience,
            "role": role,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        key = self._keys.now().keys[0]
        if not isinstance(key, OctKey) and not key.is_private:
            raise SettingsError("the key is a public one: it checks tokens and cannot make them")
        # Of several keys a token names its own.
        named = {"alg": self._algorithm} | ({"kid": key.kid} if key.kid else {})
        return jwt.encode(named, claims, key, algorithms=[self._algorithm])


def make_token(settings: ConsoleSettings, account_id: str, *, minutes: int, member: bool, clock: Clock) -> str:
    """Raises RefusalError for what is no account id, and where there is no key that signs."""
    if not re.fullmatch(ACCOUNT_PATTERN, account_id):
        raise RefusalError("that is no account id: 1 to 128 of A-Z a-z 0-9 . _ : @ -")
    role: Role = "member" if member else "admin"
    return Tokens(settings).make(account_id, role, clock.now(), timedelta(minutes=minutes))


def viewer_of(claims: Mapping[str, Any], now: datetime) -> Viewer:
    account_id = claims["sub"]
    if not isinstance(account_id, str):
        raise AccessError(401, "token_invalid", "The token names no account.")
    # The cookie of a token that is valid for longer ends after this time all the same.
    left_s = max(0, min(claims["exp"] - now.timestamp(), MAX_SESSION.total_seconds()))
    role: Role = "admin" if claims.get("role") == "admin" else "member"
    return Viewer(account_id, role, now + timedelta(seconds=left_s))
