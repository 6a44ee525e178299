"""What an error of Kafka, Postgres or the mail server means: whether to repeat the work, and what to say to people."""

from meter.runtime.errors import RefusalError, TransientError
from meter.runtime.kafka import failures as kafka
from meter.runtime.postgres import failures as postgres


def is_transient(error: BaseException) -> bool:
    """Whether repeating the work from what is stored may succeed. Of a group of errors: whether that holds for each."""
    return all(is_transient_one(part) for part in flatten(error))


def is_transient_one(error: BaseException) -> bool:
    if isinstance(error, RefusalError):
        return False
    return isinstance(error, TransientError) or postgres.is_transient(error) or kafka.is_transient(error)


def flatten(error: BaseException) -> list[BaseException]:
    """The single errors of a group: several loops may fail together."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in flatten(part)]
    return [error]


def name_dependency(error: BaseException) -> str:
    """Which dependency failed, for people: the one of the first error."""
    first = flatten(error)[0]
    if isinstance(first, TransientError):
        return first.dependency or "unknown"
    return "kafka" if type(first).__module__.startswith("aiokafka") else "postgres"


def explain(error: BaseException) -> str:
    """The messages of all errors in one line, for people."""
    return "; ".join(str(part) or type(part).__name__ for part in flatten(error))
