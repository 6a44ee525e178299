"""What an error of Kafka, Postgres or the mail server means: whether to repeat the work, and what to say to people."""

from meter.runtime.errors import RefusalError, TransientError, explain, flatten
from meter.runtime.postgres import failures as postgres

__all__ = ["explain", "explain_refusal", "flatten", "is_transient", "name_dependency"]


def is_transient(error: BaseException) -> bool:
    """Whether repeating the work from what is stored may succeed. Of a group of errors: whether that holds for each."""
    return all(is_transient_one(part) for part in flatten(error))


def is_transient_one(error: BaseException) -> bool:
    if isinstance(error, RefusalError):
        return False
    return isinstance(error, TransientError) or postgres.is_transient(error) or is_transient_on_kafka(error)


def is_transient_on_kafka(error: BaseException) -> bool:
    """The Kafka client is loaded for it: a command that only reads the database has no error that gets here."""
    from meter.runtime.kafka.failures import is_transient

    return is_transient(error)


def explain_refusal(error: BaseException) -> str | None:
    """A sentence for people where a person has to decide or to grant a right; None for what passes and for bugs."""
    from meter.runtime.kafka.failures import explain_unauthorized

    if isinstance(error, RefusalError):
        return explain(error)
    return postgres.explain_misconfigured(error) or explain_unauthorized(error)


def name_dependency(error: BaseException) -> str:
    """Which dependency failed, for people: the one of the first error."""
    first = flatten(error)[0]
    if isinstance(first, TransientError):
        return first.dependency or "unknown"
    return "kafka" if type(first).__module__.startswith("aiokafka") else "postgres"
