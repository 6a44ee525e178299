"""The compose stack under a project name and ports of its own: it meets no other stack on this machine."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.local.ports import free_port
from tests.containers.engine import compose_command, docker, inspect, run

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PROJECT = "credit-meter-check"
# Nothing in the project stands in for these two: without their images they are left out, by name.
OPTIONAL = ("prometheus", "grafana")
OURS = ("setup", "meter", "projections", "notifier", "console", "support")
SERVICES = ("meter", "projections", "notifier", "console")
UP_TIMEOUT_S = 600  # on two cores that do other work as well


@dataclass
class Ports:
    """On loopback, free ones."""

    kafka: int = field(default_factory=free_port)
    postgres: int = field(default_factory=free_port)
    mail: int = field(default_factory=free_port)
    console: int = field(default_factory=free_port)


class ComposeStack:
    """Start with `up`, end with `remove`. `images` by service; services without one are left out."""

    def __init__(self, folder: Path, images: Mapping[str, str], *, tls: bool = False) -> None:
        self.ports = Ports()
        self.folder = folder / "deploy"
        self.images = dict(images)
        self._files = ["compose.yaml", *(["compose.tls.yaml"] if tls else []), "compose.check.yaml"]

    def prepare(self) -> None:
        """A copy of deploy, so that secrets of a stack that lives here stay as they are."""
        kept_out = shutil.ignore_patterns("secrets", ".env", "certificates", "__pycache__", "local")
        shutil.copytree(DEPLOY, self.folder, ignore=kept_out)
        run([str(self.folder / "make-secrets")])
        run([str(self.folder / "make-certificates")])
        (self.folder / "compose.check.yaml").write_text(self._overlay(), encoding="utf-8")

    def _overlay(self) -> str:
        services: dict[str, Any] = {name: {"image": image} for name, image in self.images.items()}
        for name, published in self._published().items():
            services[name]["ports"] = [f"127.0.0.1:{port}:{inner}" for inner, port in published.items()]
        given = "compose.tls.yaml" if "compose.tls.yaml" in self._files else "compose.yaml"
        kafka = yaml.safe_load((DEPLOY / given).read_text(encoding="utf-8"))["services"]["kafka"]
        advertised = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].replace("29092", str(self.ports.kafka))
        services["kafka"]["environment"] = {"KAFKA_ADVERTISED_LISTENERS": advertised}
        text = yaml.safe_dump({"services": services})
        return text.replace("ports:", "ports: !override")

    def _published(self) -> dict[str, dict[int, int]]:
        ports = self.ports
        return {
            "kafka": {29092: ports.kafka},
            "postgres": {5432: ports.postgres},
            "mail": {8025: ports.mail},
            "console": {8090: ports.console, 8080: free_port()},
        }

    def compose(self, *arguments: str) -> str:
        return run([str(compose_command()), *self.options, *arguments])

    @property
    def options(self) -> list[str]:
        """What makes Compose speak of this stack."""
        return ["--project-name", PROJECT, *(w for name in self._files for w in ("--file", str(self.folder / name)))]

    def up(self) -> None:
        wanted = [name for name in COMPOSE["services"] if name in self.images and name != "support"]
        self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(UP_TIMEOUT_S), *wanted)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def state(self, service: str) -> dict[str, Any]:
        found = inspect(self.container(service))
        assert found is not None
        return found

    def kill(self, service: str) -> None:
        docker("kill", self.container(service))

    def address(self, service: str, port: int) -> tuple[str, int]:
        host, _, published = self.compose("port", service, str(port)).strip().rpartition(":")
        return host, int(published)

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text(encoding="utf-8")

    def dsn(self, role: str, secret: str) -> str:
        return f"postgresql://{role}:{self.secret(secret)}@127.0.0.1:{self.ports.postgres}/metering"

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "60")

    def remove(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "40")

    def left(self) -> list[str]:
        """What is still there of the project: containers, volumes, networks."""
        mine = ["--filter", f"label=com.docker.compose.project={PROJECT}", "--quiet"]
        kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return [line for kind in kinds for line in docker(*kind, *mine).split()]


def official_images() -> dict[str, str]:
    return {name: service["image"] for name, service in COMPOSE["services"].items()}
