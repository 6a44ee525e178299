"""Database roles: the owner of everything, those of the services and of people, with the least grants each needs.

Two parts. What needs a superuser (`prepare`) makes roles, gives everything to `credit_owner` and closes the database to
PUBLIC; it runs no code that lies in the database. All else is done with the rights of `credit_owner` (`grant`). The
grants are in sql/grant_*.sql.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, is_on_citus, load_sql

ROLES = ("meter", "projections", "notifier", "support", "reader", "console", "pruner")
OWNER: Final = "credit_owner"
SCRAM_ITERATIONS = 4096


class ReaderLimits(NamedTuple):
    """Of credit_reader: readers are many and not ours, and must not take all connections, nor hold old rows with
    endless statements."""

    connections: int = 50
    statement_timeout_s: float = 10


READER_LIMITS: Final = ReaderLimits()


async def create_roles(connection: Executor, reader: ReaderLimits = READER_LIMITS) -> None:
    """Make the roles that are missing and grant what each needs; repeatable. Needs a superuser."""
    await prepare(connection, reader)
    async with connection.transaction():
        await connection.execute(load_sql("meter", "become_owner"))
        await grant(connection)


async def prepare(connection: Executor, reader: ReaderLimits = READER_LIMITS) -> None:
    """Raises RefusalError where a service's role has made something: nothing of it was run, and nothing will be."""
    [(can, name)] = await connection.fetch(load_sql("meter", "can_make_roles"))
    if not can:
        raise RefusalError(
            f"{name} can make no roles: the first `meter setup` needs a superuser, later ones may sign in as {OWNER}"
        )
    async with connection.transaction():
        await connection.execute(load_sql("meter", "look_up_in_catalog"))
        await connection.execute(load_sql("meter", "go_node_by_node"))
        await connection.execute(load_sql("meter", "create_roles"))
        await connection.execute(load_sql("meter", "take_create"))
        # Waits for transactions under way that made a trigger, because their table is locked. Then it can be seen.
        await connection.execute(load_sql("meter", "give_to_owner"))
        await connection.execute(load_sql("meter", "introduce_owner"))
        await connection.execute(load_sql("meter", "set_role_defaults"))
        await limit_reader(connection, reader)
    found = await connection.fetch(load_sql("meter", "find_foreign"))
    if found:
        raise RefusalError(explain_foreign([f"{row['what']} of {row['owner']}" for row in found]))


def explain_foreign(found: list[str]) -> str:
    return (
        f"there is something in the database that no service makes: {', '.join(found)}. Its role can make nothing "
        "more, and nothing of it was run. Find out who made it, drop it as a superuser, and run `meter setup` again."
    )


async def grant(connection: Executor) -> None:
    """As the owner, in one transaction: services that run meanwhile never miss what they need.

    Raises RefusalError where a role of a later version is missing, which the owner cannot make.
    """
    names = [f"credit_{role}" for role in ROLES]
    if missing := await connection.fetch(load_sql("meter", "find_missing_roles"), names):
        raise RefusalError(
            f"there is no role {', '.join(row['name'] for row in missing)}, which this version needs and {OWNER} "
            "cannot make. Nothing was granted: run `meter setup` once as a superuser"
        )
    await connection.execute(load_sql("meter", "go_node_by_node"))
    await connection.execute(load_sql("meter", "revoke_all"))
    for role in ROLES:
        await connection.execute(load_sql("meter", f"grant_{role}"))
    if await is_on_citus(connection):
        for name in ("list_rights_beneath_views", "list_rights_of_defaults"):
            for row in await connection.fetch(load_sql("meter", name)):
                await connection.execute(row["statement"])


async def is_prepared(connection: Executor) -> bool:
    """Whether this session is one of the owner, so that a superuser has been here before."""
    return bool(await connection.fetchval(load_sql("meter", "is_owner")))


async def limit_reader(connection: Executor, limits: ReaderLimits) -> None:
    timeout_ms = int(limits.statement_timeout_s * 1000)
    statement = await connection.fetchval(load_sql("meter", "limit_reader"), limits.connections, timeout_ms)
    if statement is not None:
        await connection.execute(statement)


async def set_password(connection: Executor, role: str, password: str) -> None:
    statement = await connection.fetchval(
        load_sql("meter", "format_password"), f"credit_{role}", scram_verifier(password, secrets.token_bytes(16))
    )
    await connection.execute(statement)


def scram_verifier(password: str, salt: bytes) -> str:
    """What Postgres stores of a password (RFC 5803): made here, so that no log of statements holds the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode("ascii") for part in (salt, stored_key, server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(SCRAM_ITERATIONS, *parts)
