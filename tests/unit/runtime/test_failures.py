"""Which errors are worth a retry: too few and a fail-over kills the service, too many and a bug loops for ever."""

import asyncpg
import pytest
from aiokafka import errors as kafka_errors

from meter.runtime.errors import DependencyUnreachableError, OwnershipLostError, SettingsError, TopicIdentityError
from meter.runtime.failures import advise, explain, is_transient, name_dependency
from meter.runtime.kafka import failures as kafka_failures
from meter.runtime.postgres import failures as postgres_failures
from tests.architecture.sources import ROOT


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
        asyncpg.InternalClientError("PoolConnectionHolder.release() called on a free connection holder"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        asyncpg.ReadOnlySQLTransactionError("standby"),
        asyncpg.AdminShutdownError("restart"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.LockNotAvailableError("lock timeout"),
        asyncpg.QueryCanceledError("statement timeout"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("could not extend file"),
        asyncpg.ProgramLimitExceededError("database is not accepting commands that assign new transaction IDs"),
    ],
)
def test_postgres_errors_that_pass(error: Exception) -> None:
    assert postgres_failures.is_transient(error)
    assert is_transient(error)


@pytest.mark.parametrize("kind", postgres_failures.TRANSIENT, ids=lambda kind: kind.__name__)
def test_every_error_that_is_listed_passes_whatever_it_says(kind: type[Exception]) -> None:
    """One of them is of a class of which only some errors pass, by their words: no host takes writes yet."""
    assert is_transient(kind("words that nobody knows"))


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("twice"),
        asyncpg.StatementTooComplexError("stack depth limit exceeded"),
        asyncpg.TooManyArgumentsError("cannot pass more than 100 arguments to a function"),
        asyncpg.UndefinedTableError("no table"),
        asyncpg.InsufficientPrivilegeError("append-only"),
        asyncpg.InvalidPasswordError("wrong"),
        asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
        asyncpg.DataError("invalid input for query argument $1"),
        ValueError("bug"),
    ],
)
def test_postgres_errors_that_stay(error: Exception) -> None:
    assert not postgres_failures.is_transient(error)
    assert not is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        kafka_errors.KafkaConnectionError("gone"),
        kafka_errors.NodeNotReadyError(),
        kafka_errors.RequestTimedOutError(),
        kafka_errors.NotLeaderForPartitionError(),
        kafka_errors.NotEnoughReplicasError(),
        kafka_errors.CorruptRecordException(),
        kafka_errors.OutOfOrderSequenceNumber(),
        kafka_errors.UnknownProducerId(),
        kafka_errors.ProducerFenced(),
        kafka_errors.OffsetOutOfRangeError({}),
        kafka_errors.KafkaError("Unexpected error during coordination"),
        RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"),
    ],
)
def test_kafka_errors_that_pass(error: Exception) -> None:
    assert kafka_failures.is_transient(error)
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        kafka_errors.TopicAuthorizationFailedError("metering.usage"),
        kafka_errors.GroupAuthorizationFailedError("credit-meter"),
        kafka_errors.SaslAuthenticationFailed(),
        kafka_errors.UnsupportedCodecError("zstd"),
        kafka_errors.MessageSizeTooLargeError(),
    ],
)
def test_kafka_errors_that_stay(error: Exception) -> None:
    assert not is_transient(error)


def test_lost_ownership_passes_and_a_refusal_stays() -> None:
    assert is_transient(OwnershipLostError("shard 3"))
    assert not is_transient(TopicIdentityError("re-created"))
    assert not is_transient(SettingsError("wrong"))


def test_a_group_passes_only_when_all_of_it_does() -> None:
    lost = DependencyUnreachableError("kafka: gone", dependency="kafka")
    assert is_transient(ExceptionGroup("both", [lost, TimeoutError()]))
    assert not is_transient(ExceptionGroup("both", [lost, ValueError("bug")]))


def test_errors_are_named_for_people() -> None:
    group = ExceptionGroup("g", [DependencyUnreachableError("kafka: gone", dependency="kafka"), ValueError("also")])
    assert name_dependency(group) == "kafka"
    assert explain(group) == "kafka: gone; also"
    assert name_dependency(kafka_errors.NodeNotReadyError()) == "kafka"
    assert name_dependency(asyncpg.AdminShutdownError("x")) == "postgres"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (asyncpg.DiskFullError("could not extend file"), "has no room"),
        (asyncpg.ProgramLimitExceededError("not accepting commands"), "has no room"),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), "takes no writes"),
        (OwnershipLostError("shard 1"), "Another process writes this shard"),
        (ConnectionResetError("gone"), "goes on by itself"),
        (DependencyUnreachableError("no answer", dependency="kafka"), "--unavailable-partitions"),
        (kafka_errors.LeaderNotAvailableError(), "--unavailable-partitions"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_comes_again_and_again_has_an_advice_that_the_runbooks_know(error: Exception, told: str) -> None:
    advice = advise(error)
    assert told in advice and told in advise(ExceptionGroup("two", [error, TimeoutError()]))
    if "deploy/RUNBOOKS.md" in advice:
        section = advice.partition('deploy/RUNBOOKS.md, "')[2].partition('"')[0]
        lines = (ROOT / "deploy/RUNBOOKS.md").read_text(encoding="utf-8").splitlines()
        assert f"## {section}" in lines or f"### {section}" in lines
        assert (section == "PartHeldUp") == (name_dependency(error) == "kafka")
