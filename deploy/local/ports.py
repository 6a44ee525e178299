"""Free ports for servers that must know their port before they start."""

import os
import random
import socket
from collections import deque
from collections.abc import Mapping
from typing import Final

# Below the range the kernel takes for outgoing connections: such a one could otherwise sit on a server's port while the
# server is down for a restart.
FIRST, LAST = 15_000, 32_000
TRIES = 200
# Nobody listens on a port between the time it is given and the start of its server, who may ask for several first.
_given: Final[deque[int]] = deque(maxlen=1_000)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now, and none of the last that this process was given; at random, so that parallel runs
    do not meet, and for each worker of one run among its own."""
    source, (number, workers) = random.SystemRandom(), share_of(os.environ)
    for _ in range(TRIES):
        port = source.randrange(FIRST + number, LAST, workers)
        if port not in _given and is_free(host, port):
            _given.append(port)
            return port
    raise OSError(f"no free port found between {FIRST} and {LAST} on {host}")


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def share_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """Which worker of how many this process belongs to, where tests run in several: between the choice of a port and
    the start of a server that was stopped another one could take it."""
    name, workers = environment.get("PYTEST_XDIST_WORKER", ""), environment.get("PYTEST_XDIST_WORKER_COUNT", "1")
    return (int(name.removeprefix("gw")), int(workers)) if name.startswith("gw") else (0, 1)
