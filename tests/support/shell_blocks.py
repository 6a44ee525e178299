"""The shell blocks of the READMEs: which no test runs, and why. The others are run by e2e/test_shell_samples.py."""

import re

from tests.support.guides import Block, blocks

IN_FOREGROUND = "stays until Ctrl-C, and the stack of `make dev` runs it already"
BUILDS = "builds and starts containers: tests/architecture holds the files"
IN_CONTAINERS = "runs in containers: `make containers` does (tests/containers/guide.py)"
WRITES = "writes settings into the working copy"
ARCHIVES = "needs a server that archives its log: tests/e2e/test_backup.py runs it"
CLUSTER = "needs a cluster: tests/architecture renders and checks it"
KAFKAS_OWN = "calls Kafka's own programs: tests/e2e/test_kafka_programs.py runs it on three brokers"
# Blocks that no test runs, by file and first command, each with the reason. A block that is here and is no more, fails.
NOT_RUN = {
    ("README.md", "make demo"): "tests/e2e/test_demo.py plays the demo; `make test` would run itself",
    ("README.md", "METERING_HTTP_PORT=8083"): IN_FOREGROUND,
    ("projections/console/README.md", "METERING_CONSOLE_SECRET="): IN_FOREGROUND,
    ("README.md", "deploy/make-secrets"): BUILDS,
    ("deploy/README.md", "deploy/make-secrets"): BUILDS,
    ("deploy/README.md", "deploy/make-secrets && deploy/make-certificates"): BUILDS,
    ("deploy/README.md", "docker compose"): IN_CONTAINERS,
    ("deploy/README.md", "METERING_POSTGRES_DSN=postgresql://credit_owner"): "names the server of the containers: "
    "tests/integration/test_meter_owner.py runs setup as that role",
    ("deploy/README.md", "cat > deploy/.env"): f"{WRITES}, and starts containers",
    ("deploy/README.md", "cat >> deploy/.env"): f"{WRITES}: tests/e2e/test_traces.py runs the services with this one",
    ("deploy/OPERATING.md", "METERING_POSTGRES_DSN=postgresql://credit_pruner"): "names the server of the containers: "
    "tests/integration/test_meter_prune.py runs it as that role",
    ("deploy/OPERATING.md", "dc run"): "runs in containers: tests/integration/test_meter_prune.py runs it as that role",
    (
        "deploy/OPERATING.md",
        "docker compose",
    ): "reads the containers' logs: tests/unit/runtime/tracing/test_guide.py runs it on files",
    ("deploy/OPERATING.md", "pg_basebackup"): ARCHIVES,
    ("deploy/OPERATING.md", 'mkdir -p "$PGDATA"'): ARCHIVES,
    ("deploy/OPERATING.md", "meter seal"): "needs all services stopped: tests/e2e/test_sealing.py runs it",
    ("deploy/RUNBOOKS.md", "docker compose"): IN_CONTAINERS,
    ("deploy/RUNBOOKS.md", "dc run"): IN_CONTAINERS,
    ("deploy/RUNBOOKS.md", "kubectl patch cluster"): "needs a cluster, and changes its Postgres",
    ("deploy/RUNBOOKS.md", "for partition in"): KAFKAS_OWN,
    ("deploy/RUNBOOKS.md", "for topic in metering.usage metering.accounts"): KAFKAS_OWN,
    ("deploy/README.md", "grep -v '^#' deploy/kafka-acls.txt"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-configs.sh"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-transactions.sh --bootstrap-server kafka.example.com:9092 find-hanging"): KAFKAS_OWN,
    ("deploy/README.md", "kafka-transactions.sh --bootstrap-server kafka.example.com:9092 abort"): KAFKAS_OWN,
    ("deploy/OPERATING.md", "kafka-configs.sh"): KAFKAS_OWN,
    ("deploy/README.md", "kubectl create namespace"): CLUSTER,
    ("deploy/README.md", "kubectl delete job"): CLUSTER,
    ("deploy/README.md", "kubectl kustomize"): CLUSTER,
    ("deploy/README.md", "kubectl annotate scaledobject"): CLUSTER,
    ("deploy/README.md", "kubectl delete pod credit-support"): CLUSTER,
    ("deploy/README.md", "{ printf 'apiVersion"): "needs a cluster: what it applies is looked at in tests/architecture",
    (
        "deploy/README.md",
        "make image",
    ): "builds an image: tests/architecture/test_make_image.py runs it without an engine",
    ("schemas/native/README.md", "make native"): "compiles, with cargo: .ci/run does where that is",
    ("CONTRIBUTING.md", "make check"): "runs the tests themselves",
    ("tests/README.md", "make simulation"): "runs for hours: tests/simulation plays the short form",
    ("CONTRIBUTING.md", "make servers"): "stays until Ctrl-C: tests/integration/test_stack_servers.py starts it",
    ("CONTRIBUTING.md", "export METERING_TEST_STACK"): "runs the tests themselves",
    ("CONTRIBUTING.md", ".venv/bin/python -m pytest"): "runs the tests themselves: the files they name are looked for",
    ("tests/README.md", "make test"): "runs the tests themselves: the files they name are looked for",
    ("tests/README.md", "apt-get install docker.io"): "builds and starts containers, as root: a quarter of an hour",
    (
        "tests/README.md",
        'eval "$(.venv/bin/python -m tests.containers',
    ): "builds images, as root, and runs the tests themselves",
    (
        "tests/README.md",
        ".venv/bin/python -m tests.fuzz",
    ): "hours: tests/unit/fuzz and tests/integration/test_meter_fuzz.py run the short forms",
    ("tests/faults/README.md", "make faults"): "minutes each: tests/faults/test_campaign.py runs the short form",
    ("tests/bench/README.md", "make bench"): "an hour: tests/bench/test_smoke.py runs the quick form",
}


def exceptions(block: Block) -> list[tuple[str, str]]:
    return [(file, start) for file, start in NOT_RUN if file == block.file and block.first.startswith(start)]


SHELL = blocks("sh")
RUN = [block for block in SHELL if not exceptions(block)]

# What is no command: text that is handed to one, comments, a line that goes on.
_NONE = re.compile(r"(?<=<<'END'\n).*?^END$|(?:^|(?<=\s))#.*?$|\\\n", re.DOTALL | re.MULTILINE)
_BETWEEN = re.compile(r"[\n;&|`]+|\$\(")


def commands_of(block: Block) -> set[str]:
    """The programs that it calls, and rather too many: a bar in quotes counts as the end of a command."""
    return {part.split()[0] for part in _BETWEEN.split(_NONE.sub("", block.text)) if part.strip()}
