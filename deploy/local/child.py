"""Child processes that never outlive us: a server of the local stack ends when its owner ends, however that ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

# The watcher holds the read end of a pipe whose write end is ours. A word means that we have ended the child ourselves;
# the end of the file means that we are gone (SIGKILL included), so it ends the child and removes what it left.
# In a shell, because that is there on every system, and stands apart from the threads and users of the parent.
WATCHER = """
trap '' HUP INT TERM
read -r word && exit 0
kill -"$2" "$1" 2>/dev/null
waits=0
while kill -0 "$1" 2>/dev/null && [ "$waits" -lt 50 ]; do sleep 0.1; waits=$((waits + 1)); done
kill -KILL "$1" 2>/dev/null
[ -z "$3" ] || rm -rf -- "$3"
"""
POLL_S = 0.02
LOG_TAIL_LINES = 20


class UnavailableError(Exception):
    """A part of the stack cannot be had here; the message says why, in words for people."""


class User(NamedTuple):
    """Whom a server runs as, when we are root and the server refuses to be."""

    name: str
    uid: int
    gid: int


class Child:
    """One server process with a log file. It can be stopped, killed, paused and started again on the same directory."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        *,
        user: User | None = None,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 15,
        keeps: bool = False,  # what it wrote stays when we are gone
    ) -> None:
        self.name = name
        self.command = list(command)
        self.directory = directory
        self.log = directory / f"{name}.log"
        self._user = user
        self._env = dict(env) if env is not None else None
        self._stop_signal = stop_signal
        self._grace_s = grace_s
        self._keeps = keeps
        self.returncode: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Start, and wait until it is ready. Raises UnavailableError with the end of its log."""
        self.spawn()
        try:
            self._wait_ready(ready, timeout_s)
        except BaseException:
            self.kill()
            raise

    def spawn(self) -> None:
        """Start without waiting."""
        self.returncode = None
        user: dict[str, object] = {}
        if self._user is not None:
            user = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in a terminal is for us, who then stop the servers in order.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self._env,
                start_new_session=True,
                **user,  # type: ignore[call-overload]
            )
        self._watch()

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return its code (negative: the signal that ended it). Raises TimeoutError."""
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"{self.name} still runs after {timeout_s:g} s:\n{self.log_tail()}") from None
            self._end(signal.SIGKILL, 0)
        if self.returncode is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.returncode

    def stop(self) -> None:
        """End it in its own way; after the grace time, the hard way."""
        self._end(self._stop_signal, self._grace_s)

    def kill(self) -> None:
        self._end(signal.SIGKILL, self._grace_s)

    def end(self, signum: signal.Signals) -> None:
        """End it with a signal of choice."""
        self._end(signum, self._grace_s)

    def send(self, signum: signal.Signals) -> None:
        """Send a signal and go on."""
        os.kill(self.pid, signum)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal_tree(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_tree(signal.SIGCONT)

    def _resume_paused(self) -> None:
        """A paused process takes no signal but SIGKILL, and its children would stay."""
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, RuntimeError):
            self.resume()

    def _signal_tree(self, signum: signal.Signals) -> None:
        """To it and all below it: each session of Postgres is a process of its own."""
        top = psutil.Process(self.pid)
        for process in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signum)

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before the first start."""
        return self._process.poll() if self._process is not None else self.returncode

    def log_tail(self) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def _wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise UnavailableError(f"{self.name} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"{self.name} was not ready after {timeout_s:.0f} s:\n{self.log_tail()}")
            time.sleep(POLL_S)

    def _watch(self) -> None:
        arguments = [str(self.pid), self._stop_signal.name.removeprefix("SIG")]
        arguments.append("" if self._keeps else str(self.directory))
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCHER, "watcher", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _end(self, signum: signal.Signals, grace_s: float) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.send_signal(signum)
                self._resume_paused()
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.returncode = process.returncode
            self._process = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.communicate(b"ended\n")


def make_directory(name: str, user: User | None = None) -> Path:
    """A temporary directory that the server's user can reach, for everything the server writes."""
    parent = Path(tempfile.gettempdir())
    if user is not None and not is_reachable(parent):
        parent = Path("/tmp")
    directory = Path(tempfile.mkdtemp(prefix=f"credit-meter-{name}-", dir=parent))
    if user is not None:
        os.chown(directory, user.uid, user.gid)
    return directory


def remove_directory(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def is_reachable(path: Path) -> bool:
    """Whether any user can get to the path: every folder on the way may be entered by all."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (resolved, *resolved.parents))
