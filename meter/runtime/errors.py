"""Three kinds of errors: transient (retried within bounds), refusals (a person decides), bugs (the process ends)."""


class TransientError(Exception):
    """Something outside failed in a way that may pass. The service repeats the work from what is stored, after a pause.

    `dependency` is "kafka", "postgres", "smtp" or "" (not known).
    """

    def __init__(self, message: str, *, dependency: str = "") -> None:
        super().__init__(message)
        self.dependency = dependency


class DependencyUnreachableError(TransientError):
    """Kafka, Postgres or the mail server could not be reached, or went away."""


class LoginRefusedError(DependencyUnreachableError):
    """A dependency answers and does not let us in: settings are at fault, here or there.

    Services try again all the same: a password may be mended without us.
    """


class OwnershipLostError(TransientError):
    """The compare-and-set on a shard's stored offsets matched no row: another writer has the shard, or had it."""


class RefusalError(Exception):
    """The service refuses to go on until a person has decided; the message says what to do. Never retried."""


class InterruptionError(RefusalError):
    """A person pressed Ctrl-C (SIGINT): the message says what was done until then."""


class TopicIdentityError(RefusalError):
    """The topic is not the one whose offsets are stored, or no longer holds the records that come next."""


class SettingsError(RefusalError):
    """Settings that are wrong or do not fit together. Found before anything is started."""


class StalledError(Exception):
    """Work was waiting and nothing was stored for `stall_s`: another process must take over."""


def flatten(error: BaseException) -> list[BaseException]:
    """The single errors of a group: several loops may fail together."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in flatten(part)]
    return [error]


def explain(error: BaseException) -> str:
    """The messages of all errors in one line, for people."""
    return "; ".join(str(part) or name_wordless(part) for part in flatten(error))


def name_wordless(error: BaseException) -> str:
    """What an error without a message is called; asyncio's timeouts have none."""
    return "no answer came in time" if isinstance(error, TimeoutError) else type(error).__name__
