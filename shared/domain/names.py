"""Notebook names and file names: one injective mapping, both ways (docs/decisions/0002-names.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.domain.notebooks import ExportFormat, Language

EXTENSION = {Language.PYTHON: ".py", Language.SQL: ".sql", Language.SCALA: ".scala", Language.R: ".r"}
JUPYTER_EXTENSION = ".ipynb"
MOST_COMPONENT_BYTES = 200
CONTINUED = "%+"

_LANGUAGE = {extension: language for language, extension in EXTENSION.items()}
_PLAIN = re.compile(r"[A-Za-z0-9_ ()\[\],;=+@!&$'#^{}-][A-Za-z0-9_ ()\[\],;=+@!&$'#^{}-]*")
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e'
    r"\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]|\U000e0001|[\U000e0020-\U000e007f]"
)
_LITERAL_PERCENT = re.compile(r"%(?=[0-9A-F~+])")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?=$|[. ])", re.IGNORECASE)
_SHORT_GIT = re.compile(r"gi\w*~\d", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
_COLLISION = re.compile(r"%~[0-9a-f]{8}$")
_FOREIGN_JUPYTER = re.compile(r"%~(sql|scala|r)$")


class BadFileName(ValueError):
    """A file path that no notebook maps to."""


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a file path stands for: the notebook's path parts below the root, its language and format."""

    parts: tuple[str, ...]
    language: Language
    format: ExportFormat


def folder_component(name: str, suffix: str = "") -> str:
    """The tree path (usually one component) of a folder called `name`; `suffix` settles a collision."""
    chunks = _chunks(name)
    last = _encode(chunks[-1], final=not suffix) + suffix
    return "/".join([*(_encode(c, final=False) + CONTINUED for c in chunks[:-1]), last])


def notebook_component(name: str, language: Language, fmt: ExportFormat, suffix: str = "") -> str:
    """The tree path below its folder of a notebook called `name`; `suffix` settles a collision."""
    chunks = _chunks(name)
    marker = f"%~{EXTENSION[language][1:]}" if fmt is ExportFormat.JUPYTER and language is not Language.PYTHON else ""
    last = _encode(chunks[-1], final=False) + suffix + marker + extension(language, fmt)
    return "/".join([*(_encode(c, final=False) + CONTINUED for c in chunks[:-1]), last])


def extension(language: Language, fmt: ExportFormat) -> str:
    """How the file of a notebook ends."""
    return EXTENSION[language] if fmt is ExportFormat.SOURCE else JUPYTER_EXTENSION


def collision_suffix(digest: str) -> str:
    """The marker that tells colliding siblings apart, from a hex digest of the path and language."""
    return f"%~{digest[:8]}"


def parse_file(file: str) -> ParsedFile:
    """The notebook that a file of the tree stands for. Raises `BadFileName` for a file that is none."""
    parts: list[str] = []
    pending = ""
    *folders, leaf = file.split("/")
    for component in folders:
        if component.endswith(CONTINUED):
            pending += decode(component.removesuffix(CONTINUED))
        else:
            parts.append(pending + decode(_COLLISION.sub("", component)))
            pending = ""
    stem, language, fmt = _split_extension(leaf)
    parts.append(pending + decode(_COLLISION.sub("", stem)))
    if not all(parts):
        raise BadFileName(f"{file!r} has an empty name on its way")
    return ParsedFile(tuple(parts), language, fmt)


def decode(encoded: str) -> str:
    """The name that an encoded component stands for, markers removed beforehand. Raises `BadFileName`."""
    data = bytearray()
    position = 0
    for match in _ESCAPE.finditer(encoded):
        data += encoded[position : match.start()].encode("utf-8", "surrogatepass")
        data.append(int(match[1], 16))
        position = match.end()
    data += encoded[position:].encode("utf-8", "surrogatepass")
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise BadFileName(f"{encoded!r} is no name that was encoded here") from None


def _split_extension(leaf: str) -> tuple[str, Language, ExportFormat]:
    stem, dot, extension = leaf.rpartition(".")
    if dot + extension == JUPYTER_EXTENSION:
        marker = _FOREIGN_JUPYTER.search(stem)
        language = _LANGUAGE[f".{marker[1]}"] if marker else Language.PYTHON
        return stem[: marker.start()] if marker else stem, language, ExportFormat.JUPYTER
    if dot + extension in _LANGUAGE:
        return stem, _LANGUAGE[dot + extension], ExportFormat.SOURCE
    raise BadFileName(f"{leaf!r} has no notebook's extension")


def _encode(name: str, *, final: bool) -> str:
    """One component. `final`: nothing is appended, so a trailing dot or blank would end the file name."""
    if _PLAIN.fullmatch(name) and not _DEVICE.match(name) and not (final and name[-1] == " "):
        return name
    text = _UNSAFE.sub(_escape, _LITERAL_PERCENT.sub("%25", name))
    if text.casefold().startswith(".git") or (text and not text.strip(". ")) or _DEVICE.match(text):
        text = _escape_at(text, 0)
    if _SHORT_GIT.match(text):
        text = text.replace("~", "%7E", 1)
    if final and text[-1:] in (".", " "):
        text = _escape_at(text, len(text) - 1)
    return text


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _escape_at(text: str, index: int) -> str:
    data = text[index].encode("utf-8", "surrogatepass")
    return text[:index] + "".join(f"%{byte:02X}" for byte in data) + text[index + 1 :]


def _chunks(name: str) -> list[str]:
    """The name cut so that each part, encoded, fits a file system's component; usually just itself."""
    if len(name) * 4 <= MOST_COMPONENT_BYTES:
        return [name]
    chunks, current, size = [], "", 0
    for character in name:
        width = len(_encode(character, final=True).encode("utf-8", "surrogatepass"))
        # A literal percent sign may be encoded as three characters, depending on what follows.
        width = 3 if character == "%" else width
        if size + width > MOST_COMPONENT_BYTES:
            chunks.append(current)
            current, size = "", 0
        current += character
        size += width
    return [*chunks, current]
