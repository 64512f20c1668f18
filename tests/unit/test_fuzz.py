"""Whatever bytes arrive, the readers answer with a value or with the error that they document."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.memory.clock import ManualClock
from shared.adapters.git_stream import commit_stream, quoted
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.workspace import DatabricksWorkspace, _Answer, workspace_object
from shared.domain.batches import Batch, ChangeKind, ExportItem, Failure, StagedBatch, StagedNotebook
from shared.domain.codec import decode_batch, decode_staged, encode_batch, encode_staged
from shared.domain.folder_zip import match_members
from shared.domain.messages import MalformedMessage, read_message
from shared.domain.names import BadFileName, folder_component, notebook_component, parse_file
from shared.domain.notebooks import ExportFormat, Language, WorkspaceObject
from shared.errors import WorkspaceError
from shared.protocols import Signature, WriteFile
from shared.services.state.staged_archive import DamagedArchive, StagedArchive, StagedArchiveWriter
from tests.names import check_portable

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
texts = st.text(alphabet=st.characters(codec=None), max_size=60)
names = st.text(alphabet=st.characters(blacklist_characters="/"), min_size=1, max_size=300)
languages = st.sampled_from(Language)
formats = st.sampled_from(ExportFormat)
items = st.builds(
    ExportItem,
    path=texts,
    file=texts,
    jupyter_file=texts,
    object_id=st.integers(0, 2**60),
    language=languages,
    modified_at=st.integers(0, 2**50),
    kind=st.sampled_from(ChangeKind),
    size=st.none() | st.integers(0, 2**40),
    old_path=st.none() | texts,
    old_file=st.none() | texts,
)
own_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(names, languages, formats)
def test_a_name_becomes_a_portable_file_and_comes_back(name: str, language: Language, fmt: ExportFormat) -> None:
    file = notebook_component(name, language, fmt)
    check_portable(file)
    parsed = parse_file(file)
    assert (parsed.parts, parsed.language, parsed.format) == ((name,), language, fmt)


@given(names)
def test_a_folder_name_becomes_a_portable_folder(name: str) -> None:
    check_portable(folder_component(name))


@given(st.text(max_size=80) | st.from_regex(r"([%.~+a-zA-Z0-9]{0,8}/){0,3}[%.~+a-z0-9]{0,8}\.(py|sql|ipynb)"))
@example("%FF.py")
@example("a//b.py")
def test_any_file_path_parses_or_stands_for_no_notebook(file: str) -> None:
    try:
        parsed = parse_file(file)
    except BadFileName:
        return
    assert all(parsed.parts)


@given(st.binary(max_size=300) | anything.map(lambda v: json.dumps(v).encode()))
@example(b"[" * 100_000)
@example(b'{"run_id": "a\\nb"}')
def test_a_message_names_ids_or_is_refused(body: bytes) -> None:
    try:
        (found,) = read_message(body, "run_id")
    except MalformedMessage:
        return
    assert json.loads(body)["run_id"] == found
    assert found.replace("-", "").isalnum()


@given(st.lists(items, max_size=5))
def test_a_batch_comes_back(listed: list[ExportItem]) -> None:
    batch = Batch("r", "b", tuple(listed))
    assert decode_batch(encode_batch(batch)) == batch


@given(items, st.text(max_size=9))
def test_a_staged_index_comes_back(item: ExportItem, member: str) -> None:
    notebook = StagedNotebook(item, member, "f", 1, "s", "b")
    staged = StagedBatch("r", "b", (notebook,), (Failure("p", "c", "why"),))
    assert decode_staged(encode_staged(staged)) == staged


def _archive(target: Path) -> bytes:
    item = ExportItem("/p", "p.py", "p.ipynb", 1, Language.PYTHON, 1, ChangeKind.CREATED)
    with StagedArchiveWriter(target) as archive:
        member = archive.add(b"the bytes of a notebook" * 20)
        archive.finish(StagedBatch("r", "b", (StagedNotebook(item, member, "p.py", 460, "s", "b"),)))
    return target.read_bytes()


@own_files
@given(st.data())
def test_a_damaged_archive_gives_its_notebooks_whole_or_says_that_it_is_damaged(
    tmp_path: Path, data: st.DataObject
) -> None:
    whole = _archive(tmp_path / "whole.zip")
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "double"]))
    changed = {
        "cut": whole[:at],
        "flip": whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :],
        "insert": whole[:at] + b"\0" + whole[at:],
        "double": whole + whole[:at],
    }[kind]
    (tmp_path / "changed.zip").write_bytes(changed)
    try:
        archive = StagedArchive(tmp_path / "changed.zip")
    except DamagedArchive:
        return
    try:
        for notebook in archive.index.notebooks:
            assert b"".join(archive.chunks(notebook.member)) == b"the bytes of a notebook" * 20
    except DamagedArchive:
        return
    finally:
        archive.close()


@own_files
@given(st.binary(max_size=400))
def test_any_bytes_are_an_archive_or_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.zip").write_bytes(data)
    with pytest.raises(DamagedArchive):
        StagedArchive(tmp_path / "any.zip")


@given(anything)
def test_any_row_of_a_listing_is_an_object_or_refused(row: Any) -> None:
    try:
        assert isinstance(workspace_object(row, "/Clients"), WorkspaceObject)
    except WorkspaceError:
        return


class _Answering(DatabricksWorkspace):
    """A workspace whose every answer is given."""

    def __init__(self, status: int, body: bytes) -> None:
        clock = ManualClock()
        super().__init__("https://w", lambda: "t", AdaptiveLimiter(clock), clock)
        self._given = (status, body)

    def _attempt(self, method: str, url: str, body: bytes | None, most_bytes: int) -> Any:
        return _Answer(*self._given, None)


@settings(max_examples=150)
@given(
    st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]),
    st.binary(max_size=200)
    | anything.map(lambda v: json.dumps(v).encode())
    | anything.map(lambda v: json.dumps({"objects": v, "error_code": v, "content": v}).encode()),
)
def test_any_answer_of_the_api_is_a_listing_or_the_documented_error(status: int, body: bytes) -> None:
    try:
        assert isinstance(_Answering(status, body).list("/Clients"), list)
    except WorkspaceError as error:
        assert "/Clients" in str(error)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_a_path_of_the_stream_ends_where_it_should(file: str) -> None:
    line = quoted(file)
    assert b"\n" not in line
    if line.startswith(b'"'):
        inner = line[1:-1].replace(b"\\\\", b"\0").replace(b'\\"', b'"').replace(b"\\n", b"\n").replace(b"\0", b"\\")
        assert inner == file.encode("utf-8", "surrogateescape")


@given(texts, texts, st.lists(st.binary(max_size=50), max_size=4), st.datetimes(timezones=st.just(UTC)))
def test_a_stream_declares_the_sizes_that_it_holds(name: str, message: str, bodies: list[bytes], when: Any) -> None:
    clean = message.encode("utf-8", "replace").decode()
    who = Signature(name.encode("utf-8", "replace").decode(), f"{name!r}@x\n", when)
    writes = [WriteFile(f"f{n}", len(body), iter([body])) for n, body in enumerate(bodies)]
    stream = io.BytesIO(b"".join(commit_stream("refs/x", None, (), writes, clean, who, who)))
    assert stream.readline() == b"commit refs/x\n"
    assert stream.readline().startswith(b"author ")
    assert stream.readline().startswith(b"committer ")
    size = int(stream.readline().split()[1])
    assert stream.read(size).decode() == clean
    assert stream.read(1) == b"\n"
    for n, body in enumerate(bodies):
        assert stream.readline() == b"M 100644 inline f%d\n" % n
        assert stream.read(int(stream.readline().split()[1])) == body
        assert stream.read(1) == b"\n"
    assert stream.read() == b"done\n"


@given(st.lists(st.text(max_size=12), max_size=6), st.dictionaries(st.text(max_size=12), languages, max_size=4))
def test_members_of_a_folder_zip_are_matched_once_or_not_at_all(
    members: list[str], wanted: dict[str, Language]
) -> None:
    found = match_members("/f", members, {f"/f/{name}": language for name, language in wanted.items()})
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= set(members)


def test_an_archive_opens_with_ordinary_tools(tmp_path: Path) -> None:
    _archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("index.json"))["run_id"] == "r"
