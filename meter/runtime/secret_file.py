"""A secret that stands in a file, as it is now: a new one counts from the next connection on, without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meter.runtime.stamps import Stamp, stamp

if TYPE_CHECKING:
    import logging


class SecretFile:
    """Looked at before each use, and read again where it changed. Shows no secret."""

    def __init__(self, variable: str, file: Path, first: str) -> None:
        """`first`: what was read at the start. `variable` names the file, for people."""
        self._variable, self._file, self._now = variable, file, first
        self._stamp: Stamp = None  # it may have changed since

    def read(self) -> str:
        """The secret now; the one before where the file is away or empty, as while it is written."""
        if (found := stamp(self._file)) == self._stamp:
            return self._now
        self._stamp = found
        try:
            text = read_secret(self._file)
        except ValueError as error:
            self._log().warning(
                "secret_unreadable: %s: the file %s; the secret before stays in force", self._variable, error
            )
            return self._now
        if text != self._now:
            self._now = text
            self._log().info("secret_read_again: %s", self._variable)
        return self._now

    @staticmethod
    def _log() -> logging.Logger:
        """Not structlog, which the client of the producers does without. A command has nothing to log here."""
        import logging

        return logging.getLogger(__name__)


def read_secret(file: Path) -> str:
    """A line break at the end is not part of a secret. Raises ValueError, which ends the sentence "the file …"."""
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"cannot be read: {said}") from None
    if not text:
        raise ValueError("is empty")
    return text
