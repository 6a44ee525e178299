"""The keys of tokens, as their file has them now: a new key counts from the next request on, without a restart."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from meter.runtime.errors import SettingsError, explain
from meter.runtime.stamps import stamp
from projections.console.settings import MIN_SECRET_CHARS, Algorithm, ConsoleSettings

log = structlog.get_logger(component="console")

Key = OctKey | RSAKey | ECKey | OKPKey
# The one kind of key that each algorithm takes: a public RSA key is never read as a secret.
KINDS: Final[Mapping[Algorithm, type[Key]]] = {"HS256": OctKey, "RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


class Keys:
    """Those of one console. A file that holds no usable key any more leaves the ones before in force."""

    def __init__(self, settings: ConsoleSettings) -> None:
        """Raises SettingsError."""
        self._settings = settings
        self._seen = self._look()
        self._now = load_keys(settings)

    def now(self) -> KeySet:
        if (seen := self._look()) != self._seen:
            self._seen = seen
            try:
                self._now = load_keys(self._settings)
            except SettingsError as error:
                log.warning("keys_unreadable", detail=f"{explain(error)}; the keys before stay in force")
            else:
                log.info("keys_read_again")
        return self._now

    def _look(self) -> object:
        """What changes with the keys."""
        if self._settings.console_key_file is not None:
            return stamp(self._settings.console_key_file)
        return self._settings.secret("console_secret")


def load_keys(settings: ConsoleSettings) -> KeySet:
    """Raises SettingsError, without a part of the key."""
    kind = KINDS[settings.console_algorithm]
    if settings.console_secret is not None:
        return KeySet([OctKey.import_key(read_secret(settings))])
    if settings.console_key_file is None:
        raise SettingsError("no keys: set METERING_CONSOLE_SECRET or METERING_CONSOLE_KEY_FILE")
    try:
        keys = parse_keys(settings.console_key_file, kind)
    except (OSError, JoseError, ValueError, TypeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it holds neither a key in PEM nor JSON Web Keys"
        raise SettingsError(f"METERING_CONSOLE_KEY_FILE cannot be read: {why}") from None
    if not keys or not all(isinstance(key, kind) for key in keys):
        raise SettingsError(f"METERING_CONSOLE_KEY_FILE holds no keys of {settings.console_algorithm}, or others too")
    return KeySet(keys)


def read_secret(settings: ConsoleSettings) -> str:
    """Raises SettingsError for one of a file that has become too short."""
    secret = settings.secret("console_secret") or ""
    if len(secret) < MIN_SECRET_CHARS:
        raise SettingsError(f"METERING_CONSOLE_SECRET has fewer than {MIN_SECRET_CHARS} characters")
    return secret


def parse_keys(file: Path, kind: type[Key]) -> list[Any]:
    text = file.read_text(encoding="utf-8")
    if not text.lstrip().startswith("{"):
        return [kind.import_key(text)]
    found = json.loads(text)
    return list(KeySet.import_key_set(found if "keys" in found else {"keys": [found]}).keys)
