"""Apache Kafka as one KRaft process (broker and controller), its jars from Maven, small and quick to start."""

import base64
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from deploy.local import kafka_probe
from deploy.local.child import Child, UnavailableError, make_directory, remove_directory
from deploy.local.ports import free_port

HOST = "127.0.0.1"
START_TIMEOUT_S = 180
# A machine that stands still for a session fences its only broker, and nobody leads any partition for a while. After a
# crash the restarted broker waits until the session of its former self is over.
SESSION_MS, CRASHED_SESSION_MS = 18_000, 3_000
FETCH_TIMEOUT_S = 600
LEAST_JAVA = 17  # of Kafka 4's broker
HERE = Path(__file__).parent / "kafka"
POM = HERE / "pom.xml"
CACHE = Path(__file__).parents[2] / ".local" / "kafka"
JVM = ("-Xms128m", "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=128m", "-Xshare:auto", "-Djava.awt.headless=true")
# The heap is small because it serves one machine; the internal topics are small because they are made at the first use.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "500",
    "log.index.size.max.bytes": "1048576",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


class ApacheKafka:
    kind = "apache"
    start_timeout_s = START_TIMEOUT_S
    session_ms = SESSION_MS

    def __init__(self, jars: Path, heap_mb: int = 512) -> None:
        self.port = free_port(HOST)
        self.cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        self.voters = f"1@{HOST}:{free_port(HOST)}"
        self.directory = make_directory("kafka")
        self._jars = jars
        self._properties = self.directory / "server.properties"
        self._properties.write_text(self._render_properties())
        self.child = Child("kafka", self._java(f"-Xmx{heap_mb}m", "kafka.Kafka", str(self._properties)), self.directory)

    @property
    def version(self) -> str:
        return kafka_version()

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        if not (self.directory / "data" / "meta.properties").exists():
            self._format()
        self.child.start(lambda: kafka_probe.answers(HOST, self.port), self.start_timeout_s)

    def stop(self) -> None:
        self.child.stop()

    def crash(self) -> None:
        self.child.kill()
        self.session_ms = CRASHED_SESSION_MS
        self._properties.write_text(self._render_properties())

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def close(self) -> None:
        """Stop for good and remove the data: nobody needs a clean log any more."""
        self.child.kill()
        remove_directory(self.directory)

    def _render_properties(self) -> str:
        own = {
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{self.voters.partition('@')[2]}",
            "controller.quorum.voters": self.voters,
            "log.dirs": str(self.directory / "data"),
            "broker.session.timeout.ms": str(self.session_ms),
        }
        return "".join(f"{name}={value}\n" for name, value in (PROPERTIES | self.settle(own)).items())

    def settle(self, own: dict[str, str]) -> dict[str, str]:
        """The properties of this broker alone; for brokers with listeners and rights of other kinds."""
        return own

    def _format(self) -> None:
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", self.cluster, "--config", str(self._properties))
        command = self._java("-XX:TieredStopAtLevel=1", *tool)
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UnavailableError(f"Kafka's storage tool failed:\n{done.stdout}{done.stderr}")

    def _java(self, *arguments: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        return [java(), *JVM, log, "-cp", f"{self._jars}/*", *arguments]


def missing() -> str | None:
    """Why it cannot be had here, or None. Downloads nothing."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "Java is not there"
    if (version := java_version()) < LEAST_JAVA:
        return f"Java {version} is too old for Kafka {kafka_version()}, which needs {LEAST_JAVA}"
    if not jars_directory().exists() and shutil.which("mvn") is None:
        return "Maven is not there to fetch Kafka's jars"
    return None


def fetch_jars() -> Path:
    """The folder with Kafka's jars; the first time Maven fetches them, with checksums verified."""
    target = jars_directory()
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Processes that test side by side: one fetches, the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.exists() else fetch_into(target)


def fetch_into(target: Path) -> Path:
    # Into a folder of our own, then renamed: a run that is interrupted leaves nothing that looks complete.
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=CACHE))
    try:
        run_maven(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def run_maven(output: Path) -> None:
    command = ["mvn", "-q", "-B", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={output}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"Maven did not fetch Kafka's jars within {FETCH_TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip().splitlines()
        raise UnavailableError(f"Maven could not fetch Kafka's jars: {words[0] if words else 'no reason given'}")


def jars_directory() -> Path:
    """Named by version and pom, so that a changed pom is fetched anew."""
    return CACHE / f"{kafka_version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"


def kafka_version() -> str:
    match = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", POM.read_text())
    if match is None:
        raise ValueError(f"{POM} names no version of Kafka")
    return match[1]


def java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def java_version() -> int:
    """The major version; 0 where the program does not run."""
    try:
        done = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(match[1]) if match else 0
