"""Logs: one JSON object a line on stdout. Events are `noun_verbed`; keys come from a fixed vocabulary.

Keys: service, instance, version, shard, topic, offset, position, events, duration_ms, dependency, pause_s, reason,
detail, account_id, trace_id (trace_ids where a line is of several). `instance` is of one process: the host's name (in a
cluster the pod's) and four random digits, which tell it from the process before on the same host.
Never logged: contacts, event data, settings with secrets.
"""

import logging
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from meter.runtime.process.distribution import DISTRIBUTION
from meter.runtime.settings import Settings

# Libraries log errors only: their warnings during a reconnect would hide our own lines.
LIBRARY_LEVEL = logging.ERROR
# It calls each thing an error that it tries again, one at every first start among them. Where somebody has to act, the
# service has a line of its own.
KAFKA_CLIENT = "aiokafka"
# Modules that clients use as well log through the standard library, under our package's name.
OURS = "meter"
# aiokafka logs every attempt of every task: 2,000 errors in one outage. So one line of each kind per pause.
REPEAT_PAUSE_S = 30.0
MOST_KINDS = 500
VARYING = re.compile(r"0x[0-9a-f]+|\d+")
# Without local variables: they may hold contacts, event data and settings.
TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logging(service: str, settings: Settings) -> None:
    """Set up structlog and the standard library's logging (used by aiokafka and asyncio) to write the same lines."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = (
        [structlog.processors.ExceptionRenderer(TRACEBACK), structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service, instance=name_instance(), version=version(DISTRIBUTION))
    configure_libraries(
        [
            *shared,
            structlog.stdlib.add_logger_name,
            lower_kafka_client,
            structlog.stdlib.ExtraAdder(allow=["repeated"]),
        ],
        final,
        level,
    )


def lower_kafka_client(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Its errors are warnings of ours: whoever is on call is called for `error`."""
    if line["level"] == "error" and str(line.get("logger")).partition(".")[0] == KAFKA_CLIENT:
        line["level"] = "warning"
    return line


def name_instance() -> str:
    return f"{socket.gethostname()}-{secrets.token_hex(2)}"


def configure_libraries(shared: list[Processor], final: list[Processor], level: int) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LIBRARY_LEVEL)
    logging.getLogger(OURS).setLevel(level)


class RepeatFilter(logging.Filter):
    """Lets one record of a kind through per pause; the next one has in `repeated` how many were left out.

    A kind is a logger and a message without its numbers and arguments.
    """

    def __init__(self, pause_s: float = REPEAT_PAUSE_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._kinds: dict[
            tuple[str, str], tuple[float, int]
        ] = {}  # time of the last one let through, number left out since then

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._monotonic()
        kind = record.name, VARYING.sub("#", str(record.msg).split("\n", 1)[0])
        shown_at, left_out = self._kinds.get(kind, (-self._pause_s, 0))
        if now - shown_at < self._pause_s:
            self._kinds[kind] = shown_at, left_out + 1
            return False
        if len(self._kinds) >= MOST_KINDS:
            self._forget_some(now)
        self._kinds[kind] = now, 0
        if left_out:
            record.repeated = left_out
        return True

    def _forget_some(self, now: float) -> None:
        """Kinds of which nothing is left to be said; where there are none, the older half of all."""
        said = [kind for kind, (at, left_out) in self._kinds.items() if not left_out and now - at >= self._pause_s]
        for kind in said or sorted(self._kinds, key=lambda each: self._kinds[each])[: MOST_KINDS // 2]:
            del self._kinds[kind]


def get_logger(name: str) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(component=name)
    return logger
