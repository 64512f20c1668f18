"""One dated copy as notebooks: what its files stand for, what is left out, and what nobody can know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from shared.domain.batches import Failure, Notice
from shared.domain.blob_ids import blob_id
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.volume import NotebookFile, has_header, jupyter_language, notebook_of
from shared.protocols import Volume, VolumeFault, VolumeFile

HEADERLESS = "no_header"


@dataclass(frozen=True, slots=True)
class CopiedNotebook:
    """A notebook of a copy. `name` is its file there, `path` that of the workspace, `blob` its bytes' Git id."""

    name: str
    path: str
    language: Language
    format: ExportFormat
    size: int
    blob: str
    sha256: str


@dataclass(slots=True)
class ReadCopy:
    """What a copy holds. `size` counts the bytes of all its files; `unknown` are paths whose absence proves nothing."""

    notebooks: list[CopiedNotebook] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    size: int = 0
    files: int = 0
    unsteady: bool = False

    def knows(self, path: str) -> bool:
        """Whether a notebook that is not there was proved absent: its folders and file could be read."""
        parts = path.split("/")
        return not any("/".join(parts[:end]) in self.unknown for end in range(len(parts) + 1))


class CopyReader:
    """Reads the copies of a volume. `below` is the folder in each copy that is the backup root, empty for itself."""

    def __init__(self, volume: Volume, root: str, below: str = "", *, headerless: bool = False) -> None:
        self._volume, self._root, self._headerless = volume, root, headerless
        self._is_asked = bool(below)
        self._below = f"{below.strip('/')}/" if below.strip("/.") else ""

    @property
    def root(self) -> str:
        """The workspace folder that the copies are of."""
        return self._root

    def read(self, copy: str, keep: Callable[[CopiedNotebook, bytes], None] | None = None) -> ReadCopy:
        """Read a copy once, each file by itself; `keep` is told of each notebook with its bytes."""
        found = ReadCopy()
        for entry in self._volume.walk(copy, self._is_wanted):
            if isinstance(entry, VolumeFault):
                self._fault(entry, found)
                continue
            found.size, found.files = found.size + entry.size, found.files + 1
            notebook = self._notebook(entry, found)
            if notebook:
                found.notebooks.append(notebook)
                if keep and entry.data is not None:
                    keep(notebook, entry.data)
        return found

    def doubtful_root(self, found: ReadCopy) -> str | None:
        """The folder that holds all of a copy and is called as the backup root, where nobody said which is which."""
        name = self._root.rpartition("/")[2]
        is_alone = bool(found.notebooks) and all(n.name.startswith(f"{name}/") for n in found.notebooks)
        return name if is_alone and not self._is_asked else None

    def bytes_of(self, copy: str, notebook: CopiedNotebook) -> Iterator[bytes]:
        """The bytes of a notebook, read again. Raises `CopyChanged` where they are not those of before."""
        data = self._volume.read(copy, notebook.name)
        if blob_id(data) != notebook.blob:
            raise CopyChanged(f"{copy}/{notebook.name}")
        yield data

    def _is_wanted(self, name: str) -> bool:
        return name.startswith(self._below) and isinstance(notebook_of(name), NotebookFile)

    def _fault(self, fault: VolumeFault, found: ReadCopy) -> None:
        found.failures.append(Failure(fault.name, fault.code, fault.reason))
        found.unsteady |= fault.code == "changed_while_read"
        inner = "" if fault.name == "." else fault.name
        if fault.folder and self._below.startswith(f"{inner}/" if inner else ""):
            found.unknown.add("")
        elif inner.startswith(self._below):
            relative = inner.removeprefix(self._below)
            named = None if fault.folder else notebook_of(relative)
            found.unknown.add(named.path if isinstance(named, NotebookFile) else relative)

    def _notebook(self, file: VolumeFile, found: ReadCopy) -> CopiedNotebook | None:
        if not file.name.startswith(self._below):
            found.notices.append(Notice(file.name, "outside_root", f"not below {self._below.rstrip('/')}"))
            return None
        named = notebook_of(file.name.removeprefix(self._below))
        if named is None:
            reason = "no notebook by its name: workspace files are not part of the backup"
            found.notices.append(Notice(file.name, "no_notebook", reason))
            return None
        refused = named if isinstance(named, Failure) else None
        language = None if refused or file.data is None else self._language(file.name, named, file.data, found)
        if isinstance(named, Failure):
            found.failures.append(Failure(file.name, named.code, named.reason))
        if isinstance(named, Failure) or language is None or file.data is None:
            return None
        data, path = file.data, f"{self._root}/{named.path}"
        digest = hashlib.sha256(data).hexdigest()
        return CopiedNotebook(file.name, path, language, named.format, len(data), blob_id(data), digest)

    def _language(self, name: str, named: NotebookFile | Failure, data: bytes, found: ReadCopy) -> Language | None:
        """The language of a file that is a notebook; None where it is left out, which is then named."""
        if isinstance(named, Failure):
            return None
        if not data:
            found.failures.append(Failure(name, "empty_file", "it has no bytes: the copy was cut short"))
            found.unknown.add(named.path)
            return None
        if named.language is None:
            language = jupyter_language(data)
            if language is None:
                found.failures.append(Failure(name, "not_jupyter", "no Jupyter notebook: the copy was cut short"))
                found.unknown.add(named.path)
            return language
        if not self._headerless and not has_header(data, named.language):
            reason = "its first line is not that of a notebook's export: a workspace file, or an export of another kind"
            found.notices.append(Notice(name, HEADERLESS, reason))
            return None
        return named.language


class CopyChanged(Exception):
    """A file of a copy was written while the copy was read."""


def counted(found: Iterable[Failure | Notice]) -> dict[str, int]:
    """How many of each code."""
    counts: dict[str, int] = {}
    for item in found:
        counts[item.code] = counts.get(item.code, 0) + 1
    return counts
