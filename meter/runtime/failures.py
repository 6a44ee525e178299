"""What an error of Kafka, Postgres or the mail server means: whether to repeat the work, and what to say to people."""

from meter.runtime.errors import LoginRefusedError, OwnershipLostError, RefusalError, TransientError, explain, flatten
from meter.runtime.postgres import failures as postgres

__all__ = [
    "advise",
    "explain",
    "explain_access",
    "explain_refusal",
    "flatten",
    "is_access_refused",
    "is_transient",
    "name_dependency",
]

OF_OWNERSHIP = (
    "Another process writes this shard, and this one still has it too: it passes once the consumer group has settled. "
    "If not, look for services of another METERING_TOPIC_PREFIX or Kafka on this database, and stop them."
)
# What Kafka's documents do not say of the services: the section of deploy/RUNBOOKS.md.
OF_KAFKA = (
    "It goes on by itself once Kafka answers again: `kafka-topics.sh --describe --unavailable-partitions` names the "
    'partitions without a leader. deploy/RUNBOOKS.md, "PartHeldUp".'
)


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


def advise(error: BaseException) -> str:
    """What to do about a transient error that comes again and again."""
    for part in flatten(error):
        if isinstance(part, OwnershipLostError):
            return OF_OWNERSHIP
        if (advice := postgres.advise(part)) is not None:
            return advice
    if name_dependency(error) == "kafka":
        return OF_KAFKA
    return f"It goes on by itself once that works again: deploy/RUNBOOKS.md, {postgres.RUNBOOK}."


def is_access_refused(error: BaseException) -> bool:
    """Whether a dependency answers and refuses us a login or a right: a person has to mend it, here or there. Of a
    group of errors: whether one is of that kind, and none is worse."""
    parts = flatten(error)
    refused = [is_access_refused_one(part) for part in parts]
    return any(refused) and all(known or is_transient_one(part) for known, part in zip(refused, parts, strict=True))


def is_access_refused_one(error: BaseException) -> bool:
    if isinstance(error, (LoginRefusedError, *postgres.ACCESS_REFUSED)):
        return True
    if not is_kafkas(error):
        return False
    from meter.runtime.kafka.failures import UNAUTHORIZED

    return isinstance(error, UNAUTHORIZED)


def is_kafkas(error: BaseException) -> bool:
    """Whether it is of the Kafka client, which is not loaded to know that."""
    return type(error).__module__.startswith("aiokafka")


def explain_access(error: BaseException) -> str:
    """What is refused and what to do, of an error that `is_access_refused`."""
    part = next(part for part in flatten(error) if is_access_refused_one(part))
    return explain_refusal(part) or explain(part)


def name_dependency(error: BaseException) -> str:
    """Which dependency failed, for people: the one that refuses us, else the one of the first error."""
    parts = flatten(error)
    first = next(filter(is_access_refused_one, parts), parts[0])
    if isinstance(first, TransientError):
        return first.dependency or "unknown"
    return "kafka" if is_kafkas(first) else "postgres"
