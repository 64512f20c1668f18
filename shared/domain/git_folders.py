"""The plan of Git folders: the tree is cut at the shallowest folders that fit, and what does not fit is named.

Pure: a complete listing, the manifest and the limits in, the plan out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from shared.domain.folder_branches import branch_name
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.names import EXTENSION, folder_component, notebook_component
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.domain.planning import TreeListing
from shared.domain.siblings import parents

ATTRIBUTES_FILES = 1
"""`.gitattributes`, in the whole tree alone."""
LOST_KINDS = {
    ObjectType.FILE: "workspace_files",
    ObjectType.LIBRARY: "libraries",
    ObjectType.DASHBOARD: "dashboards",
    ObjectType.MLFLOW_EXPERIMENT: "experiments",
    ObjectType.OTHER: "other_objects",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What Databricks allows one Git folder, and a workspace: notebooks, files, bytes of the branch; Git folders."""

    notebooks: int = 5_000
    files: int = 10_000
    bytes: int = 500 * 2**20
    folders: int = 2_000


@dataclass(frozen=True, slots=True)
class Content:
    """What a folder holds at any depth. `size` in bytes; `odd` are notebooks that Git would show differently.

    `direct` counts the notebooks in the folder itself, `lost` by kind what Git does not take.
    """

    notebooks: int = 0
    direct: int = 0
    size: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a folder cannot be a Git folder, with a stable code."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class PlannedFolder:
    """A folder that fits: it becomes a Git folder on `branch`; `tree` is its folder in the repository's tree."""

    path: str
    tree: str
    branch: str
    content: Content


@dataclass(frozen=True, slots=True)
class PlainFolder:
    """A folder whose own notebooks stay as they are; those of its subfolders may not. `what_to_do` may be empty."""

    path: str
    notebooks: int
    reason: Reason
    what_to_do: str = ""


@dataclass(frozen=True, slots=True)
class ExistingFolder:
    """A Git folder that is there already."""

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class GitFolderPlan:
    """The cut of a tree: folders in path order. `blocks` are what has to be put right before anything is done."""

    root: str
    limits: Limits
    folders: tuple[PlannedFolder, ...] = ()
    plain: tuple[PlainFolder, ...] = ()
    existing: tuple[ExistingFolder, ...] = ()
    blocks: tuple[Reason, ...] = ()

    @property
    def notebooks(self) -> int:
        """Notebooks that come into Git folders."""
        return sum(folder.content.notebooks for folder in self.folders)


class FolderPlanner:
    """Cuts one listing. `prefix` begins the names of branches."""

    def __init__(self, listing: TreeListing, manifest: Manifest, limits: Limits, prefix: str) -> None:
        self._listing, self._manifest, self._limits, self._prefix = listing, manifest, limits, prefix
        self._contents: dict[str, Content] = {}
        self._kinds = {c.path: c.object_type for children in listing.folders.values() for c in children}
        self._trees = _trees(listing, manifest)
        self._measure()

    def plan(self) -> GitFolderPlan:
        """The plan, without what only the outside systems can say."""
        plan = _Cut(self._listing.root, self._limits)
        self._cut(self._listing.root, plan)
        blocks = []
        folders = sorted(plan.folders, key=lambda f: f.path)
        if len(folders) + len(plan.existing) > self._limits.folders:
            text = f"{len(folders) + len(plan.existing)} Git folders, and a workspace may have {self._limits.folders}"
            blocks.append(Reason("too_many_git_folders", f"{text}: ask Databricks support to raise its limit"))
        return GitFolderPlan(
            self._listing.root,
            self._limits,
            tuple(folders),
            tuple(sorted(plan.plain, key=lambda f: f.path)),
            tuple(sorted(plan.existing, key=lambda f: f.path)),
            tuple(blocks),
        )

    def content(self, folder: str) -> Content:
        """What a listed folder holds."""
        return self._contents.get(folder, Content())

    def _cut(self, folder: str, plan: _Cut) -> None:
        content = self._contents[folder]
        if self._kinds.get(folder) is ObjectType.REPO:
            plan.existing.append(ExistingFolder(folder, content))
            return
        reason = unfit(content, self._limits)
        if reason is None:
            tree = self._trees.get(folder, "")
            plan.folders.append(PlannedFolder(folder, tree, branch_name(self._prefix, tree), content))
            return
        if content.direct or reason.code == "not_listed":
            plan.plain.append(self._plain(folder, content, reason))
        for child in self._subfolders(folder):
            if self._contents[child].notebooks or self._contents[child].unknown or self._contents[child].repos:
                self._cut(child, plan)

    def _plain(self, folder: str, content: Content, reason: Reason) -> PlainFolder:
        own = [c for c in self._listing.folders.get(folder, ()) if c.object_type is ObjectType.NOTEBOOK]
        alone = _own_content(own, self._manifest, folder)
        why = unfit(alone, self._limits)
        if why is not None and why.code in ("too_many_notebooks", "too_many_bytes", "other_names"):
            return PlainFolder(folder, content.direct, why, _REMEDY[why.code])
        if reason.code == "not_listed":
            return PlainFolder(folder, content.direct, reason, _REMEDY["not_listed"])
        text = f"they are in the folder itself, which as a whole cannot be one: {reason.text}"
        return PlainFolder(folder, content.direct, replace(reason, text=text), _REMEDY["beside"])

    def _subfolders(self, folder: str) -> list[str]:
        found = [c.path for c in self._listing.folders.get(folder, ()) if c.object_type.holds_children]
        return [path for path in found if path in self._contents]

    def _measure(self) -> None:
        """Every folder's content, the deepest first."""
        every = {*self._listing.folders, *self._listing.unknown, *self._listing.unasked}
        for folder in sorted(every, key=lambda path: path.count("/"), reverse=True):
            if folder in self._listing.folders:
                self._contents[folder] = self._sum(folder)
            else:
                self._contents[folder] = Content(unknown=(folder,))

    def _sum(self, folder: str) -> Content:
        children = self._listing.folders[folder]
        own = [c for c in children if c.object_type is ObjectType.NOTEBOOK]
        found = _own_content(own, self._manifest, folder)
        lost = Counter(LOST_KINDS[c.object_type] for c in children if c.object_type in LOST_KINDS)
        parts = [found]
        repos: list[str] = []
        for child in children:
            if child.object_type.holds_children:
                part = self._contents.get(child.path, Content(unknown=(child.path,)))
                name = child.path[len(folder) :].removeprefix("/")
                if folder_component(name) != name or self._is_renamed(child.path, name):
                    part = replace(part, odd=tuple(self._below(child.path)))
                repos += [child.path] if child.object_type is ObjectType.REPO else []
                lost.update(part.lost)
                parts.append(part)
        return Content(
            notebooks=sum(p.notebooks for p in parts),
            direct=len(own),
            size=sum(p.size for p in parts),
            lost=dict(lost),
            odd=tuple(path for p in parts for path in p.odd),
            new=tuple(path for p in parts for path in p.new),
            repos=(*repos, *(path for p in parts for path in p.repos)),
            unknown=tuple(path for p in parts for path in p.unknown),
        )

    def _is_renamed(self, folder: str, name: str) -> bool:
        """Whether the folder's name in the repository's tree is another: a sibling took it."""
        tree = self._trees.get(folder)
        return tree is not None and tree.rpartition("/")[2] != name

    def _below(self, folder: str) -> Iterator[str]:
        for child in self._listing.folders.get(folder, ()):
            if child.object_type is ObjectType.NOTEBOOK:
                yield child.path
            elif child.object_type.holds_children:
                yield from self._below(child.path)


@dataclass(slots=True)
class _Cut:
    root: str
    limits: Limits
    folders: list[PlannedFolder] = field(default_factory=list)
    plain: list[PlainFolder] = field(default_factory=list)
    existing: list[ExistingFolder] = field(default_factory=list)


_REMEDY = {
    "too_many_notebooks": "divide the folder into subfolders of at most the limit, and plan again",
    "too_many_bytes": "divide the folder into subfolders, or clear outputs, and plan again",
    "other_names": "rename these notebooks, and plan again",
    "not_listed": "grant the backup's identity CAN READ on it, and plan again",
    "beside": "move them into a subfolder if they are to be in Git",
}


def unfit(content: Content, limits: Limits) -> Reason | None:
    """Why a folder of this content cannot be one Git folder; None where it can."""
    if content.unknown:
        return Reason("not_listed", f"{content.unknown[0]} could not be listed")
    if content.repos:
        return Reason("git_folder_inside", f"{content.repos[0]} is a Git folder, which cannot be inside another")
    if not content.notebooks:
        return Reason("empty", "it holds no notebook")
    if content.notebooks > limits.notebooks:
        text = f"{content.notebooks:,} notebooks, and a Git folder may hold {limits.notebooks:,}"
        return Reason("too_many_notebooks", text)
    if content.notebooks + ATTRIBUTES_FILES > limits.files:
        return Reason("too_many_files", f"{content.notebooks:,} files, and a Git folder may hold {limits.files:,}")
    if content.size > limits.bytes:
        text = f"{content.size / 2**20:,.0f} MB, and a Git folder's branch may have {limits.bytes / 2**20:,.0f} MB"
        return Reason("too_many_bytes", text)
    if content.odd:
        named = ", ".join(content.odd[:3]) + (f" and {len(content.odd) - 3} more" if len(content.odd) > 3 else "")
        return Reason("other_names", f"Git would show these under another name or as another file: {named}")
    return None


def shown_as_they_are(entry: ManifestEntry, name: str) -> bool:
    """Whether a notebook called `name` comes out of Git as the same notebook: its file's name says so."""
    plain = name + EXTENSION[entry.language]
    leaf = entry.file.rpartition("/")[2]
    return entry.format is ExportFormat.SOURCE and leaf == plain


def tree_path(entry: ManifestEntry, folder: str) -> str:
    """The folder in the repository's tree that stands for `folder`, which holds the notebook of `entry`."""
    rest = entry.path[len(folder) :].removeprefix("/").split("/")
    names = [folder_component(part).count("/") + 1 for part in rest[:-1]]
    last = notebook_component(rest[-1], entry.language, entry.format).count("/") + 1
    parts = entry.file.split("/")
    return "/".join(parts[: len(parts) - sum(names) - last])


def _own_content(own: list[WorkspaceObject], manifest: Manifest, folder: str) -> Content:
    size, odd, new = 0, [], []
    for notebook in own:
        entry = manifest.get(notebook.path)
        name = notebook.path[len(folder) :].removeprefix("/")
        if entry is None:
            new.append(notebook.path)
            size += notebook.size or 0
            plain = notebook.language and notebook_component(name, notebook.language, ExportFormat.SOURCE)
            is_odd = not notebook.language or plain != name + EXTENSION[notebook.language]
        else:
            size += entry.size
            is_odd = not shown_as_they_are(entry, name)
        odd += [notebook.path] if is_odd else []
    return Content(len(own), len(own), size, {}, tuple(odd), tuple(new))


def _trees(listing: TreeListing, manifest: Manifest) -> dict[str, str]:
    """The folder of the repository's tree for every folder that holds a backed-up notebook at any depth."""
    found = {listing.root: ""}
    for entry in manifest.values():
        for folder in parents(entry.path):
            if folder in found or not folder.startswith(f"{listing.root}/"):
                break
            found[folder] = tree_path(entry, folder)
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """A notebook as a listing has it: a later edit changes one of these."""

    object_id: int
    modified_at: int
    language: Language | None


@dataclass(frozen=True, slots=True)
class Held:
    """What a notebook holds: the SHA-256 of its SOURCE bytes in hex, and its language."""

    sha256: str
    language: Language | None


def hidden(listing: TreeListing, folders: Iterable[str]) -> TreeListing:
    """The listing without folders whose contents are on the move: nothing is known of what is below them."""
    moving = set(folders)
    if not moving:
        return listing
    kept = {f: c for f, c in listing.folders.items() if f not in moving and not moving.intersection(parents(f))}
    unknown = {**listing.unknown, **dict.fromkeys(moving, "it is being made a Git folder, or a plain one again")}
    return replace(listing, folders=kept, unknown=unknown)


def on_the_move(before: Mapping[str, int], after: Mapping[str, int]) -> set[str]:
    """Folders that were, or may have been, on the move between two looks: by path their epochs, negative while so."""
    return {p for p in before.keys() | after.keys() if before.get(p, 0) != after.get(p, 0) or after.get(p, 0) < 0}


def edited_since(seen: Mapping[str, Seen], entries: Mapping[str, ManifestEntry]) -> str | None:
    """What differs between a folder's notebooks as listed and the last backup, both by the path below the folder.

    None where nothing does.
    """
    for rel, now in seen.items():
        entry = entries.get(rel)
        if entry is None:
            return f"{rel} is new"
        if Seen(entry.object_id, entry.modified_at, entry.language) != now:
            return f"{rel} is edited"
    gone = next((rel for rel in entries if rel not in seen), None)
    return f"{gone} is gone" if gone else None
