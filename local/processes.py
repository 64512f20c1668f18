"""Child processes of the embedded default: own ports, own logs, gone when their parent is gone."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PORTS = range(20_000, 32_000)
_LOCKS = Path(tempfile.gettempdir()) / f"notebook-backup-ports-{os.getuid()}"
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):
    """A child process did not come up; its message names the process and its log."""


def free_port() -> int:
    """A TCP port of the loopback address that is free now, and ours among all who ask here.

    It is below the range that outgoing connections take theirs from, and a lock on a file of its name keeps
    it for this process's life: a server may bind it later. Raises `StartFailed` where none is found.
    """
    _LOCKS.mkdir(exist_ok=True)
    for port in random.sample(_PORTS, 500):
        handle = os.open(_LOCKS / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(handle)
            continue
        return port
    raise StartFailed("no free TCP port was found between 20000 and 32000")


def port_answers(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ChildProcess:
    """One process, its output in `log`. `stop` ends it with SIGTERM, then SIGKILL."""

    def __init__(self, name: str, argv: list[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name, self._log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code once the process has ended, minus the signal's number where a signal ended it."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for `ready`. Raises `StartFailed` where the process ends or the time is over first."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StartFailed(f"{self.name} did not start; the end of its log {self._log}:\n{self.log_end()}")
            time.sleep(0.03)

    def log_end(self, size: int = 2000) -> str:
        """The last `size` bytes of the log."""
        return self._log.read_bytes()[-size:].decode(errors="replace") if self._log.exists() else ""

    def peak_megabytes(self) -> float:
        """The highest resident memory so far, in MiB; 0 where the process has ended."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except FileNotFoundError:
            return 0.0
        peak = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return round(int(peak[0].split()[1]) / 1024, 1) if peak else 0.0

    def cpu_seconds(self) -> float:
        """Processor time so far of the process and of its children that have ended; 0 where it has ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        except FileNotFoundError:
            return 0.0
        return round(sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), 2)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = 15.0) -> None:
        """End the process; nothing happens where it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
