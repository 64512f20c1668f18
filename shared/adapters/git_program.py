"""Which git runs: the system's, or the one that a deployment package carries.

No image of Azure Functions has a git (https://github.com/Azure/azure-functions-docker), so the package brings one:
its programs, the libraries that they load, and the loader that loads them. A program names its loader by an
absolute path, and a deployed package is mounted read-only at a place of the platform's choice, often without the
executable bit (https://github.com/Azure/azure-functions-host/issues/6160). So the programs are copied once into a
folder where programs may run, each with the path of the loader beside it. Neither a shell nor a script takes part.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.adapters.private_folder import private_folder
from shared.errors import RepositoryError

LOADER = "ld-linux-x86-64.so.2"
DIGEST_FILE = "digest"
_ACTION = "make the package's git ready"
_INTERPRETER = 3
_HEADER_BYTES, _PROGRAM_HEADER_BYTES = 64, 56
_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"


@dataclass(frozen=True, slots=True)
class GitProgram:
    """How git is started: its path or name, and what its environment has to hold."""

    executable: str = "git"
    environment: Mapping[str, str] = field(default_factory=dict)


type FindGit = Callable[[], GitProgram]


def system_git(executable: str = "git", ca_file: Path | None = None) -> FindGit:
    """The git called `executable`; it trusts the authorities in `ca_file`, or the system's where that is None."""
    program = GitProgram(executable, {"GIT_SSL_CAINFO": str(ca_file)} if ca_file else {})
    return lambda: program


SYSTEM_GIT = system_git()


class PortableGit:
    """The git in `folder` of a package, run from a folder in `scratch`, with the authorities in `ca_file`.

    `folder` holds `bin/` (programs), `lib/` (libraries and the loader) and `digest`, which names its contents.
    """

    def __init__(self, folder: Path, scratch: Path, ca_file: Path) -> None:
        self._folder, self._scratch, self._ca_file = folder, scratch, ca_file

    def __call__(self) -> GitProgram:
        """Git, ready to run; made ready again where the folder has gone. Raises `RepositoryError`."""
        try:
            programs = self._ready()
        except OSError as error:
            detail = f"{error.strerror} in {self._scratch}: set BACKUP_SCRATCH to a folder with 100 MB of room"
            raise RepositoryError(action=_ACTION, detail=detail) from None
        except ValueError as error:
            detail = f"its program is {error}: run ./package and publish again"
            raise RepositoryError(action=_ACTION, detail=detail) from None
        environment = {
            "LD_LIBRARY_PATH": str(self._folder / "lib"),
            "GIT_EXEC_PATH": str(programs),
            "GIT_TEMPLATE_DIR": "",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_SSL_CAINFO": str(self._ca_file),
        }
        return GitProgram(str(programs / "git"), environment)

    def _ready(self) -> Path:
        digest = (self._folder / DIGEST_FILE).read_text().strip()
        made = self._scratch / f"git-{digest[:16]}"
        if not (made / "git").exists():
            self._make(made)
        return made

    def _make(self, made: Path) -> None:
        """Fill a folder of our own, then give it its name: of several that do so at once, one is kept."""
        private_folder(self._scratch)
        with tempfile.TemporaryDirectory(prefix="git-", dir=self._scratch) as scratch:
            folder = Path(scratch) / "programs"
            folder.mkdir()
            self._fill(folder, str(made.absolute() / LOADER))
            try:
                folder.rename(made)
            except OSError:
                if not (made / "git").exists():
                    raise

    def _fill(self, folder: Path, loader: str) -> None:
        shutil.copyfile(self._folder / "lib" / LOADER, folder / LOADER)
        for program in (self._folder / "bin").iterdir():
            (folder / program.name).write_bytes(with_loader(program.read_bytes(), loader))
        for file in (folder, *folder.iterdir()):
            file.chmod(0o755)


def with_loader(program: bytes, loader: str) -> bytes:
    """An ELF program that is started through the loader at this path; its own libraries stay as they are.

    The kernel reads the loader's path from where the program header PT_INTERP points to in the file (elf(5)), so
    the path goes to the end of the file and the header points there. Raises `ValueError` where there is none.
    """
    if len(program) < _HEADER_BYTES or not program.startswith(_ELF64_LITTLE_ENDIAN):
        raise ValueError("not a 64-bit ELF program")
    (table,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    if size != _PROGRAM_HEADER_BYTES or table + size * count > len(program):
        raise ValueError("not a whole program")
    for header in range(table, table + size * count, size):
        if struct.unpack_from("<I", program, header)[0] == _INTERPRETER:
            changed, path = bytearray(program), os.fsencode(loader) + b"\0"
            struct.pack_into("<Q", changed, header + 8, len(program))
            struct.pack_into("<QQ", changed, header + 32, len(path), len(path))
            return bytes(changed) + path
    raise ValueError("not a program that names a loader")
