"""Whether a broker answers, asked on the wire (ApiVersions, then Metadata) without a client's retries and logs."""

import socket
import struct

API_VERSIONS, METADATA = 18, 3
TIMEOUT_S = 2.0


def answers(host: str, port: int) -> bool:
    """Whether a broker answers there and names itself as a member of its cluster (it does once it is unfenced)."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as probe:
            probe.settimeout(TIMEOUT_S)
            versions = ask(probe, API_VERSIONS, b"")
            if struct.unpack_from(">h", versions)[0] != 0:
                return False
            no_topics = struct.pack(">i", 0)
            brokers = struct.unpack_from(">i", ask(probe, METADATA, no_topics, version=1))[0]
            return bool(brokers >= 1)
    except (OSError, struct.error):
        return False


def ask(probe: socket.socket, api: int, body: bytes, version: int = 0) -> bytes:
    """Send one request with a version 1 header and return the answer after its correlation id."""
    request = struct.pack(">hhih", api, version, 1, -1) + body
    probe.sendall(struct.pack(">i", len(request)) + request)
    length = struct.unpack(">i", receive(probe, 4))[0]
    return receive(probe, length)[4:]


def receive(probe: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = probe.recv(length - len(data))
        if not part:
            raise ConnectionResetError("the broker closed the connection")
        data += part
    return data
