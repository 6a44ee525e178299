"""A look that only watches: what may pass is logged, and raised once it has failed several times in a row.

Whoever raises it ends a service that works, which opens everything anew: too much for one broker that was asked and is
away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from meter.runtime.errors import explain
from meter.runtime.failures import is_transient
from meter.runtime.log import get_logger

log = get_logger("looks")
MOST_FAILURES: Final = 3


class Patience:
    def __init__(self, look: str) -> None:
        """`look` stands in the log."""
        self._look = look
        self._failures = 0

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """Raises what does not pass, and what may pass the MOST_FAILURES-th time in a row."""
        try:
            yield
        except Exception as error:
            self._failures += 1
            if not is_transient(error) or self._failures >= MOST_FAILURES:
                self._failures = 0
                raise
            log.warning("look_failed", look=self._look, failures=self._failures, detail=explain(error))
        else:
            self._failures = 0
