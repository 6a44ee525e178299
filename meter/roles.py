"""Database roles of the services and of people, with the least grants each needs. The grants are in sql/grant_*.sql."""

import base64
import hashlib
import hmac
import secrets

from meter.runtime.postgres import Executor, load_sql

ROLES = ("meter", "projections", "notifier", "support", "reader")
SCRAM_ITERATIONS = 4096


async def create_roles(connection: Executor) -> None:
    """Make the roles that are missing and grant what each needs; repeatable."""
    await connection.execute(load_sql("meter", "create_roles"))
    for role in ROLES:
        await connection.execute(load_sql("meter", f"grant_{role}"))


async def limit_reader(connection: Executor, *, connections: int, statement_timeout_s: float) -> None:
    """Readers are many and not ours: they must not take all connections, nor hold old rows with endless statements."""
    await connection.execute(
        await connection.fetchval(load_sql("meter", "limit_reader"), connections, int(statement_timeout_s * 1000))
    )


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
