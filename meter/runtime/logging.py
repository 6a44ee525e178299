"""Logs: one JSON object a line on stdout. Events are `noun_verbed`; keys come from a fixed vocabulary.

Keys: service, shard, topic, offset, position, events, duration_ms, dependency, pause_s, reason, detail, account_id.
Never logged: contacts, event data, settings with secrets.
"""

import logging
import sys

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from meter.runtime.settings import Settings

# The client libraries log at these levels at most: their own noise during a reconnect would drown ours.
LIBRARY_LEVEL = logging.ERROR
# Without the local variables: they hold contacts, event data and settings.
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
    structlog.contextvars.bind_contextvars(service=service)
    configure_libraries([*shared, structlog.stdlib.add_logger_name], final)


def configure_libraries(shared: list[Processor], final: list[Processor]) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LIBRARY_LEVEL)


def get_logger(name: str) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(component=name)
    return logger
