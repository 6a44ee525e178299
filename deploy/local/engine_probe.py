"""Whether a Docker engine answers, asked with a plain request: Docker's own client leaks a socket where none does."""

import http.client
import os
import socket
from urllib.parse import urlsplit

DEFAULT = "unix:///var/run/docker.sock"
TIMEOUT_S = 3.0


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def answers() -> bool:
    address = urlsplit(os.environ.get("DOCKER_HOST") or DEFAULT)
    if address.scheme == "unix":
        return pings(SocketConnection(address.path))
    if address.scheme in ("tcp", "http") and not os.environ.get("DOCKER_TLS_VERIFY"):
        return pings(
            http.client.HTTPConnection(address.hostname or "localhost", address.port or 2375, timeout=TIMEOUT_S)
        )
    # Over TLS or SSH: whoever set that up means it; the start will tell.
    return True


def pings(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
