"""What an error of the Kafka client means."""

from aiokafka import errors as kafka_errors

from meter.runtime.errors import DependencyUnreachableError

# Not `retriable` in aiokafka, yet gone by a retry from what is stored: the fetch is repeated, a new member joins.
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
        # What uvloop raises where a socket was closed a moment before it is written to; aiokafka hands it on.
        return "the handler is closed" in str(error)
    if isinstance(error, kafka_errors.KafkaError):
        # "Unexpected error …" is aiokafka's plain KafkaError for a background task that died: a new client cures it.
        return bool(error.retriable) or type(error) is kafka_errors.KafkaError
    return False


def unreachable(error: BaseException, doing: str) -> DependencyUnreachableError:
    detail = str(error) or type(error).__name__
    return DependencyUnreachableError(f"kafka: {doing}: {detail}", dependency="kafka")
