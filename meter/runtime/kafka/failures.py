"""What an error of the Kafka client means. The other modules take the client's error classes from here."""

import re

from aiokafka import errors as kafka_errors
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from meter.runtime.errors import DependencyUnreachableError

__all__ = [
    "OFFSET_NOT_THERE",
    "REFUSED",
    "UNAUTHORIZED",
    "InvalidTimestampError",
    "KafkaConnectionError",
    "KafkaError",
    "MessageSizeTooLargeError",
    "SaslAuthenticationFailed",
    "UnsupportedSaslMechanismError",
    "describe",
    "explain_lack",
    "explain_unauthorized",
    "is_starting",
    "is_transient",
    "unreachable",
]

# The broker does not have the offset that was asked for.
OFFSET_NOT_THERE: tuple[type[BaseException], ...] = (
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.NoOffsetForPartitionError,
)
# Not `retriable` in aiokafka, but a retry from what is stored cures them: the fetch is repeated, a new member joins.
PASSING_ERRORS: tuple[type[BaseException], ...] = (
    kafka_errors.CorruptRecordException,
    kafka_errors.KafkaTimeoutError,
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.NoOffsetForPartitionError,
    kafka_errors.OutOfOrderSequenceNumber,
    kafka_errors.UnknownProducerId,
    kafka_errors.ProducerFenced,
    kafka_errors.InvalidProducerEpoch,
    kafka_errors.InvalidProducerIdMapping,
    kafka_errors.ProducerClosed,
    kafka_errors.BrokerNotAvailableError,
    kafka_errors.ReplicaNotAvailableError,
    kafka_errors.KafkaUnavailableError,
    kafka_errors.IllegalStateError,
    kafka_errors.UnknownError,
    OSError,
    TimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """Whether repeating the work from what is stored may succeed."""
    if isinstance(error, PASSING_ERRORS):
        return True
    if type(error) is RuntimeError:
        # uvloop raises this when a socket is written to a moment after it was closed; aiokafka lets it through.
        return "the handler is closed" in str(error)
    if isinstance(error, kafka_errors.KafkaError):
        # When a background task dies aiokafka raises a plain KafkaError, "Unexpected error …": a new client cures it.
        return bool(error.retriable) or type(error) is kafka_errors.KafkaError
    return False


def is_starting(error: BaseException) -> bool:
    """Whether the brokers are known to the controller and not let in yet: with a topic nothing is wrong then."""
    return isinstance(error, kafka_errors.InvalidReplicationFactorError) and "fenced" in str(error)


CLASS = re.compile(r"^(?:\[Error -?\d+\] [A-Za-z]+|[A-Za-z]+(?:Error|Exception))(?:: |$)")
UNAUTHORIZED: tuple[type[BaseException], ...] = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)
# Somebody may mend these without us: rights are given, passwords are changed here and there at different moments.
REFUSED: tuple[type[BaseException], ...] = (*UNAUTHORIZED, SaslAuthenticationFailed)


def explain_unauthorized(error: BaseException, *, address: str = "", user: str | None = None) -> str | None:
    """A sentence for people where Kafka's access control refuses, else None. A person must grant the right. `address`
    and `user`: who was asked, and as whom."""
    if not isinstance(error, UNAUTHORIZED):
        return None
    named = ", ".join(str(part) for part in error.args if part)
    return explain_lack(f"{missing_right(error)}{f' ({named})' if named else ''}", address=address, user=user)


def explain_lack(right: str, *, address: str = "", user: str | None = None) -> str:
    at, named = f" at {address}" if address else "", f"={user}" if user else ""
    return (
        f"kafka refuses{at}: the user of METERING_KAFKA_SASL_USERNAME{named} (or of the certificate) lacks {right}. "
        "deploy/kafka-acls.txt lists the rights that are needed."
    )


def missing_right(error: BaseException) -> str:
    if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
        return "a right on a topic"
    if isinstance(error, kafka_errors.GroupAuthorizationFailedError):
        return "Read on a consumer group"
    # Whoever may write any topic may write with idempotence; setup needs Create and Alter on the cluster or its topics.
    return "Write on the topic that is sent to, or a right on the cluster (Create for setup)"


def unreachable(error: BaseException, doing: str) -> DependencyUnreachableError:
    """The error to raise instead of a passing one. `doing` says what failed: "publishing", "connecting to …"."""
    return DependencyUnreachableError(f"kafka: {doing}: {describe(error)}", dependency="kafka")


def describe(error: BaseException) -> str:
    """What the client says of it, without names of its classes: "[Error 15] GroupCoordinator…Error: Unable to …"."""
    said = CLASS.sub("", str(error))
    if not said and isinstance(error, TimeoutError):
        return "no answer came in time"
    return said or str(getattr(error, "description", "") or type(error).__name__)
