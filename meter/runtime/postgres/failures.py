"""What an error of Postgres or of its driver means."""

from typing import Final

import asyncpg

from meter.runtime.errors import TransientError

SET_UP = "Run `meter setup` on this database, or correct METERING_POSTGRES_DSN."
LOGIN = (
    "Correct the role or its password: METERING_POSTGRES_DSN, METERING_POSTGRES_PASSWORD (or PGPASSWORD, PGPASSFILE)."
)
# What the check of the address lets through comes from the variables of libpq, PGSSLMODE for example.
DRIVER = "Correct METERING_POSTGRES_DSN, or the variable that begins with PG."
RIGHT = "Take the role {needed} in METERING_POSTGRES_DSN; `meter setup` gives each role its rights."
ANY: Final = "that the verb's --help names"  # where it is not known which
OWN_RIGHT = (
    "It is the role for this and lacks a right that it should have: run `meter setup`, which gives each its rights."
)
# Where the servers' own documents do not say it: the section of deploy/RUNBOOKS.md.
RUNBOOK: Final = '"Postgres takes no writes"'
WRITES: Final = (
    "The server takes no writes: take default_transaction_read_only off there, or have METERING_POSTGRES_DSN name the "
    f"server that takes them. deploy/RUNBOOKS.md, {RUNBOOK}."
)
NO_ROOM: Final = f"The server has no room for it: give it more of what it names. deploy/RUNBOOKS.md, {RUNBOOK}."
# Lost connections and servers that start, stop, switch over or resolve a conflict by picking us. All of them leave the
# transaction undone (or, at COMMIT, its outcome unknown: read the cursor again, never repeat blindly).
TRANSIENT: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,  # see `has_no_room`
    asyncpg.TargetServerAttributeNotMatched,
    TransientError,
)

# A node of Citus that went away in the middle of a transaction: passed on in words, as one of these. A constraint that
# is checked at COMMIT would come in the words of `could not commit` as well; there is none.
OF_NODE: Final = (asyncpg.InternalServerError, asyncpg.PostgresIOError)
LOST_NODE: Final = (
    "failure on connection marked as essential",
    "connection to the remote node",
    "terminating connection",
    "server closed the connection",
    "the database system is",  # starting up, shutting down, in recovery mode
    "failed to COPY to shard",
    "failed to complete COPY on",
    "could not commit transaction for shard",
)

# Nothing that a retry cures and no bug either: a person has to look at the settings or run the setup.
NO_LOGIN: tuple[type[BaseException], ...] = (
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
# The server answers, and refuses the login, the database or a right.
ACCESS_REFUSED: tuple[type[BaseException], ...] = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
# What to do, by the first kind that fits.
ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.InvalidCatalogNameError, "Correct the database in METERING_POSTGRES_DSN."),
    (asyncpg.InvalidAuthorizationSpecificationError, LOGIN),
    (asyncpg.ClientConfigurationError, DRIVER),
    (asyncpg.InsufficientPrivilegeError, RIGHT),
    (asyncpg.InvalidSchemaNameError, SET_UP),
    (asyncpg.UndefinedTableError, SET_UP),
    (asyncpg.UndefinedColumnError, SET_UP),  # of a version whose setup has not run yet
)
MISCONFIGURED: tuple[type[BaseException], ...] = tuple(kind for kind, _ in ADVICE)


def is_transient(error: BaseException) -> bool:
    """Whether repeating the work from what is stored may succeed."""
    if isinstance(error, TRANSIENT) or has_no_room(error):  # first: one of them is an InternalClientError too
        return True
    if isinstance(error, OF_NODE):
        return any(words in str(error) for words in LOST_NODE)
    if isinstance(error, asyncpg.InternalClientError):
        # A connection cut between two statements can be caught half-way through its own closing ("cannot switch to
        # state …; another operation is in progress"). The pool gives such a connection up. One that was given up under
        # a task that is being cancelled cannot be given back any more.
        return any(words in str(error) for words in ("another operation", "free connection holder"))
    if isinstance(error, asyncpg.InterfaceError):
        # One class for lost connections and for wrong arguments: only the words tell them apart. "Another operation" is
        # what the rollback and the pool's reset of such a half-closed connection raise in place of its loss.
        lost = ("closed", "closing", "released", "connection was lost", "another operation is in progress")
        return any(words in str(error) for words in lost)
    return False


def has_no_room(error: BaseException) -> bool:
    """Whether the server has run out of something: of disk, memory, connections, or of a limit of its own, such as
    transaction ids or the size of a table. What is more special than 54000 is of the statement, and a bug."""
    return isinstance(error, asyncpg.InsufficientResourcesError) or type(error) is asyncpg.ProgramLimitExceededError


def advise(error: BaseException) -> str | None:
    """What to do about an error that passes, where it comes again and again; None where nothing more is known of it."""
    if has_no_room(error):
        return NO_ROOM
    return WRITES if isinstance(error, asyncpg.ReadOnlySQLTransactionError) else None


def explain_misconfigured(error: BaseException, *, address: str = "", role: str = "", needed: str = "") -> str | None:
    """A sentence for people where the error is of that kind, else None. `address` and `role`: what was tried;
    `needed`: the role that is for it."""
    advice = next((advice for kind, advice in ADVICE if isinstance(error, kind)), None)
    if advice is None:
        return None
    said = str(error).partition("\n")[0].rstrip(".")  # what follows are hints for whoever writes SQL
    if isinstance(error, asyncpg.ClientConfigurationError):  # the driver refuses: no server was asked
        return f"the settings of postgres are not usable: {said}. {advice}"
    at, whom = f" at {address}" if address else "", f" the role {role}" if role else ""
    if advice == RIGHT and role and role == needed:
        advice = OWN_RIGHT
    return f"postgres{at} refuses{whom}: {said}. {advice.format(needed=needed or ANY)}"


def explain_argument(error: BaseException) -> str | None:
    """A number that no column holds is the caller's mistake and no fault of the command; None for anything else."""
    if isinstance(error, asyncpg.InterfaceError) and "out of int" in str(error):
        return "a number that was given is too large: there is nothing of that number. Look at it and try again."
    return None
