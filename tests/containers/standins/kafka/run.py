"""Starts the broker with the settings that KAFKA_… variables give, by the rules of the official image."""

import base64
import os
import subprocess
import uuid
from pathlib import Path

PROPERTIES = Path("/opt/kafka/config/server.properties")
DATA = "/var/lib/kafka/data"  # where KAFKA_LOG_DIRS says nothing
NO_PROPERTIES = {"KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS"}


def name_of(variable: str) -> str:
    """KAFKA_A_B is a.b; three underscores are a hyphen, two are an underscore."""
    text = variable.removeprefix("KAFKA_").lower()
    return text.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")


def main() -> None:
    given = {name: text for name, text in os.environ.items() if name.startswith("KAFKA_") and name not in NO_PROPERTIES}
    given.setdefault("KAFKA_LOG_DIRS", DATA)
    PROPERTIES.write_text("".join(f"{name_of(name)}={text}\n" for name, text in given.items()), encoding="utf-8")
    heap = os.environ.get("KAFKA_HEAP_OPTS", "-Xmx512m").split()
    java = ["java", *heap, "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties"]
    java += ["-cp", "/opt/kafka/libs/*"]
    if not Path(given["KAFKA_LOG_DIRS"], "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", str(PROPERTIES)]
        subprocess.run([*java, *tool], check=True)
    os.execvp("java", [*java, "kafka.Kafka", str(PROPERTIES)])


if __name__ == "__main__":
    main()
