"""Whether a Postgres takes sessions, asked on the wire; a server that still starts up or recovers says no."""

import socket
import struct

TIMEOUT_S = 2.0
PROTOCOL = 3 << 16
TERMINATE = b"X" + struct.pack(">i", 4)


def answers(host: str, port: int, user: str = "postgres") -> bool:
    """Whether it starts to authenticate a session (R); while it starts up it answers with an error (E)."""
    parameters = b"user\0" + user.encode() + b"\0database\0postgres\0\0"
    startup = struct.pack(">ii", 8 + len(parameters), PROTOCOL) + parameters
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as probe:
            probe.sendall(startup)
            answer = probe.recv(1)
            if answer == b"R":
                probe.sendall(TERMINATE)
            return answer == b"R"
    except OSError:
        return False
