"""The logger of a module. structlog is loaded with the first message.

It brings rich, and a verb that looks, or sends one event, has nothing to log.
"""

from typing import Any


class LateLogger:
    """Stands for `structlog.get_logger(component=…)`."""

    def __init__(self, component: str) -> None:
        self._component = component

    def __getattr__(self, name: str) -> Any:
        import structlog

        return getattr(structlog.get_logger(component=self._component), name)


def get_logger(component: str) -> Any:
    return LateLogger(component)
