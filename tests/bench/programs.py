"""The peers in other languages, built once: what is not there to build them is said by name, and they are skipped."""

from pathlib import Path

from deploy.local import apache_kafka
from deploy.local.child import UnavailableError
from tests.support.building import LOCAL, MAVEN, build

PEERS = Path(__file__).parent / "peers"
CACHE = LOCAL / "peers"
STREAMS_HEAP_MB = 1024
JVM = (f"-Xmx{STREAMS_HEAP_MB}m", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


def build_go_peer() -> Path:
    """The program. Raises UnavailableError, which names what is missing."""
    folder = build(PEERS / "go", CACHE, ["go"], ["go", "mod", "download"], ["go", "build", "-o", "bin/peer", "."])
    return folder / "bin" / "peer"


def build_streams_peer() -> list[str]:
    """The command, to which its arguments are added. Raises UnavailableError, which names what is missing."""
    if why := apache_kafka.missing():
        raise UnavailableError(why)
    # Everything that Maven fetches is fetched by the first command; what fails in the second does not compile.
    fetch = [*MAVEN, "dependency:resolve-plugins", "dependency:copy-dependencies"]
    folder = build(PEERS / "streams", CACHE, ["mvn", "javac"], fetch, [*MAVEN, "compile"])
    return [
        apache_kafka.java(),
        *JVM,
        "-cp",
        f"{folder}/target/classes:{folder}/target/jars/*",
        "com.example.peer.Peer",
    ]
