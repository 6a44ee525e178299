"""What an error of something outside means, whichever it was: whether to repeat the work, and what to say of it."""

from meter.runtime.errors import RefusalError, TransientError
from meter.runtime.kafka import failures as kafka
from meter.runtime.postgres import failures as postgres


def is_transient(error: BaseException) -> bool:
    """Whether starting over from what is stored may succeed."""
    return all(is_transient_one(part) for part in flatten(error))


def is_transient_one(error: BaseException) -> bool:
    if isinstance(error, RefusalError):
        return False
    return isinstance(error, TransientError) or postgres.is_transient(error) or kafka.is_transient(error)


def flatten(error: BaseException) -> list[BaseException]:
    """The errors of several loops that failed together, one by one."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in flatten(part)]
    return [error]


def name_dependency(error: BaseException) -> str:
    """Which of the things outside it was, for people."""
    first = flatten(error)[0]
    if isinstance(first, TransientError):
        return first.dependency or "unknown"
    return "kafka" if type(first).__module__.startswith("aiokafka") else "postgres"


def explain(error: BaseException) -> str:
    return "; ".join(str(part) or type(part).__name__ for part in flatten(error))
