"""The images that deploy/compose.yaml names, or stand-ins for them, built without a container registry.

An image that the engine has under its official name is used. Otherwise one is built on a Debian made by mmdebstrap,
under a name of its own: nothing may be taken for the official image later. Every address (Debian's mirrors, the package
index, Maven's) comes from this machine's own configuration. A stand-in stays for the next run until its recipe changes.
"""

import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiosmtpd
import attr
import public

from deploy.local import apache_kafka, kafka_probe
from tests.containers.engine import FailedError, docker, inspect, run, step

HERE = Path(__file__).parent / "standins"
PACKAGES = "ca-certificates,python3,python3-venv,postgresql,openjdk-17-jre-headless"
DEBIAN = "stand-in/debian"
RECIPE = "recipe"  # the label that names what an image was made from
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SOURCES = Path("/etc/apt")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class StandIn:
    official: str
    folder: str  # below standins
    fill: Callable[[Path], None]  # puts into the build's folder what does not lie in the project

    @property
    def name(self) -> str:
        return f"stand-in/{self.folder}"


def debian() -> None:
    """The Debian below all stand-ins, with the machine's own mirrors. Needs root."""
    suite = codename()
    recipe = digest(suite.encode(), PACKAGES.encode())
    if has(DEBIAN, recipe):
        return
    if shutil.which("mmdebstrap") is None:
        raise FailedError("mmdebstrap is not here, which makes a Debian to build on: apt-get install mmdebstrap")
    with step(f"Debian {suite} with Python, Postgres and Java"), tempfile.TemporaryDirectory() as folder:
        tar = Path(folder, "debian.tar")
        # Nothing here must survive a power cut.
        options = ["--variant=minbase", "--dpkgopt=force-unsafe-io", f"--include={PACKAGES}"]
        run(["mmdebstrap", *options, suite, str(tar), *map(str, debian_sources(suite))])
        docker("import", "--change", f"LABEL {RECIPE}={recipe}", str(tar), DEBIAN)


def codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None or not Path("/etc/debian_version").exists():
        raise FailedError(
            "stand-ins are made on Debian alone: build them there, or pull the images that compose.yaml names"
        )
    return found[1]


def debian_sources(suite: str) -> list[Path]:
    """The files that name this machine's Debian mirrors."""
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    named = [file for file in files if file.suffix in (".list", ".sources") and file.is_file()]
    return [file for file in named if re.search(rf"\b{suite}\b.*", file.read_text(encoding="utf-8"))]


def has(name: str, recipe: str) -> bool:
    found = inspect(name)
    return found is not None and (found["Config"].get("Labels") or {}).get(RECIPE) == recipe


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def fill_python(folder: Path) -> None:
    certificates = CERTIFICATES.read_bytes() if CERTIFICATES.exists() else b""
    (folder / CERTIFICATES.name).write_bytes(certificates)
    (folder / "pip.conf").write_text(pip_configuration(), encoding="utf-8")


def pip_configuration() -> str:
    """The machine's package index for a pip in a container: addresses and patience, no paths but the certificates."""
    listed = run([sys.executable, "-m", "pip", "config", "list"])
    wanted = ("index-url", "extra-index-url", "trusted-host", "default-timeout")
    lines = [f"cert = {CERTIFICATES}"] if CERTIFICATES.exists() else []
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if (key := name.rpartition(".")[2]) in wanted:
            lines.append(f"{key} = {' '.join(shlex.split(value))}")
    return "\n".join(["[global]", *lines, ""])


def fill_kafka(folder: Path) -> None:
    shutil.copytree(apache_kafka.fetch_jars(), folder / "jars")
    shutil.copy(Path(apache_kafka.HERE, "log4j2.properties"), folder)
    shutil.copy(Path(kafka_probe.__file__), folder / "kafka_probe.py")


def fill_mail(folder: Path) -> None:
    for package in (aiosmtpd, attr, public):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / "packages" / source.name)


def fill_nothing(_folder: Path) -> None: ...


def stand_ins(images: dict[str, str], python: str) -> list[StandIn]:
    """`images` by service of compose.yaml, and the image's own base."""
    return [
        StandIn(python, "python", fill_python),
        StandIn(images["kafka"], "kafka", fill_kafka),
        StandIn(images["postgres"], "postgres", fill_nothing),
        StandIn(images["mail"], "mail", fill_mail),
    ]


def provide(wanted: StandIn) -> str:
    """The name of an image that does what the official one does here."""
    if inspect(wanted.official) is not None:
        print(f"{wanted.official}: the engine has it", flush=True)
        return wanted.official
    debian()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, wanted.folder)
        shutil.copytree(HERE / wanted.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        wanted.fill(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        recipe = digest(str(inspect(DEBIAN)["Id"]).encode(), *(path.read_bytes() for path in files))  # type: ignore[index]
        if not has(wanted.name, recipe):
            with step(f"a stand-in for {wanted.official}"):
                build("--label", f"{RECIPE}={recipe}", "--tag", wanted.name, str(folder))
    return wanted.name


def build(*arguments: str) -> None:
    """The classic builder, which every engine has. The machine's network, for mirrors that only it reaches."""
    given = [word for name in PROXIES if name in os.environ for word in ("--build-arg", name)]
    run(
        ["docker", "build", "--network", "host", *given, *arguments], environment={**os.environ, "DOCKER_BUILDKIT": "0"}
    )
