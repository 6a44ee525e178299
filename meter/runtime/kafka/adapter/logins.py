"""The logins of aiokafka's clients: each takes the password that is in its file then, and failures are not hidden.

A client keeps the password of its start for every later connection, and tries one that failed again without end and
without a word to whoever uses it. Where a broker takes a connection and says nothing, it waits for a whole request
timeout at each step, and everybody who needs a connection waits behind it.
"""

import asyncio
import socket
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection

from meter.runtime.secret_file import SecretFile

# A resolver asks each of its servers for seconds before it says that nobody knows a name.
LOOK_UP_S: Final = 30.0
# From the known name to the end of the login.
CONNECT_S: Final = 10.0


class FollowedPassword(str):
    """The password at the start, as the client takes it; `file` has the one of now."""

    __slots__ = ("file",)
    file: SecretFile


class Logins:
    """Whether a connection of this process failed since somebody looked."""

    def __init__(self) -> None:
        self._failed = False

    def note_failure(self) -> None:
        self._failed = True

    def take_failure(self) -> bool:
        """Also forgets it."""
        failed, self._failed = self._failed, False
        return failed


LOGINS: Final = Logins()
_connect: Final = AIOKafkaConnection.connect


def followed(password: str, file: SecretFile) -> FollowedPassword:
    made = FollowedPassword(password)
    made.file = file
    return made


async def look_up(host: str, port: int) -> float:
    """How long that took, in seconds. Raises OSError, and TimeoutError after LOOK_UP_S."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(LOOK_UP_S):
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return loop.time() - began


async def _connect_as_now(self: Any) -> Any:
    """A connection object connects once, so it may keep what it finds now."""
    password = self._sasl_plain_password
    if isinstance(password, FollowedPassword):
        self._sasl_plain_password = password.file.read()
    try:
        looked_up_s = await look_up(self.host, self.port)
        async with asyncio.timeout(CONNECT_S + looked_up_s):  # the client looks the name up itself, once more
            return await _connect(self)
    except Exception:
        LOGINS.note_failure()
        raise


def follow_logins() -> None:
    """Patch the class of connections, for the whole process; calling it again changes nothing."""
    AIOKafkaConnection.connect = _connect_as_now
