"""The audit chain: one text for each value, one hash for each record, and every forgery named at its first record."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.audit import (
    GENESIS,
    MOST_BODY_UNITS,
    AuditAction,
    AuditEntry,
    AuditHead,
    AuditRecord,
    anchors_in,
    bounded,
    decoded,
    digest,
    encoded,
    link,
    units,
)
from shared.domain.audit_check import AuditFault, Forgery, verify
from shared.domain.canonical import canonical
from shared.services.audit.export import Pseudonyms, as_csv, as_json_lines
from tests.hostile import run_guarded

LENGTH, AT = 10_000, 1_800_000_000_000
KEY = b"a key of sixteen bytes or more"
HOSTILE = st.text(st.characters(exclude_categories=()), max_size=60)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), HOSTILE)
DETAILS = st.dictionaries(HOSTILE, SCALARS, max_size=6)
type Chain = list[AuditRecord]


def _entry(number: int, actor: str = "ada@example.com") -> AuditEntry:
    return AuditEntry(AuditAction.EXPORTED, actor, f"/Clients/{number}", detail={"n": number}, key=f"k{number}")


def _grow(after: AuditHead, count: int, actor: str = "ada@example.com") -> Chain:
    records: Chain = []
    for _ in range(count):
        records.append(link(_entry(after.sequence + 1, actor), after, AT + after.sequence))
        after = records[-1].head
    return records


@functools.cache
def _whole() -> tuple[AuditRecord, ...]:
    return tuple(_grow(GENESIS, LENGTH))


def _anchors() -> list[AuditHead]:
    return [_whole()[n - 1].head for n in (2_500, 5_000, 7_500, LENGTH)]


def _rehashed(record: AuditRecord, **changes: object) -> AuditRecord:
    changed = replace(record, **changes)  # type: ignore[arg-type]
    return replace(changed, hash=digest(changed))


def _numbered_anew(records: Chain, start: int) -> Chain:
    return records[:start] + [replace(r, sequence=n + 1) for n, r in enumerate(records[start:], start)]


FORGERIES: dict[str, tuple[Callable[[Chain], Chain], AuditFault]] = {
    "edited": (
        lambda c: [*c[:3_999], replace(c[3_999], actor="eve"), *c[4_000:]],
        AuditFault(Forgery.EDITED, 4_000),
    ),
    "edited, with a new hash": (
        lambda c: [*c[:3_999], _rehashed(c[3_999], actor="eve"), *c[4_000:]],
        AuditFault(Forgery.EDITED, 4_000),
    ),
    "an anchored one edited, with a new hash": (
        lambda c: [*c[:4_999], _rehashed(c[4_999], actor="eve"), *c[5_000:]],
        AuditFault(Forgery.EDITED, 5_000),
    ),
    "deleted": (lambda c: c[:3_999] + c[4_002:], AuditFault(Forgery.DELETED, 4_000)),
    "the first deleted": (lambda c: c[1:], AuditFault(Forgery.DELETED, 1)),
    "deleted, numbered anew": (
        lambda c: _numbered_anew(c[:3_999] + c[4_000:], 3_999),
        AuditFault(Forgery.DELETED, 4_000),
    ),
    "neighbours exchanged": (
        lambda c: [*c[:3_999], c[4_000], c[3_999], *c[4_001:]],
        AuditFault(Forgery.REORDERED, 4_000),
    ),
    "moved later": (
        lambda c: [*c[:3_999], *c[4_000:9_000], c[3_999], *c[9_000:]],
        AuditFault(Forgery.REORDERED, 4_000),
    ),
    "the last moved to the front": (lambda c: [c[-1], *c[:-1]], AuditFault(Forgery.REORDERED, 1)),
    "inserted, with the number of the next": (
        lambda c: [*c[:3_999], *_grow(c[3_998].head, 1, "eve"), *c[3_999:]],
        AuditFault(Forgery.INSERTED, 4_000),
    ),
    "inserted, numbered anew": (
        lambda c: _numbered_anew([*c[:3_999], *_grow(c[3_998].head, 1, "eve"), *c[3_999:]], 4_000),
        AuditFault(Forgery.INSERTED, 4_000),
    ),
    "a copy inserted": (lambda c: [*c[:4_000], c[2_999], *c[4_000:]], AuditFault(Forgery.INSERTED, 3_000)),
    "a foreign number inserted": (
        lambda c: [*c[:3_999], _rehashed(c[3_999], sequence=99_999), *c[3_999:]],
        AuditFault(Forgery.INSERTED, 4_000),
    ),
    "truncated": (lambda c: c[:9_990], AuditFault(Forgery.TRUNCATED, 9_991)),
    "nothing left": (lambda c: [], AuditFault(Forgery.TRUNCATED, 1)),
    "forked": (lambda c: c[:3_999] + _grow(c[3_998].head, 6_001, "eve"), AuditFault(Forgery.FORKED, 5_000)),
}


def test_a_chain_as_it_was_written_is_intact() -> None:
    verdict = verify(iter(_whole()), _anchors())
    assert (verdict.intact, verdict.records, verdict.anchored) == (True, LENGTH, LENGTH)
    assert verdict.head == _whole()[-1].head


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named_at_its_first_record(name: str) -> None:
    forge, fault = FORGERIES[name]
    assert verify(iter(forge(list(_whole()))), _anchors()).fault == fault


def test_a_fork_is_after_the_last_anchor_that_held() -> None:
    verdict = verify(FORGERIES["forked"][0](list(_whole())), _anchors())
    assert (verdict.anchored, verdict.records) == (2_500, 4_999)


@given(st.data())
def test_any_changed_field_is_found(data: st.DataObject) -> None:
    chain = _grow(GENESIS, 5)
    number = data.draw(st.integers(0, 4))
    name = data.draw(st.sampled_from(["actor", "action", "object", "result", "correlation", "key"]))
    value = data.draw(HOSTILE.filter(lambda text: canonical(text) != canonical(getattr(chain[number], name))))
    chain[number] = replace(chain[number], **{name: value})
    assert verify(chain).fault == AuditFault(Forgery.EDITED, number + 1)


def test_a_chain_without_its_beginning_needs_the_record_of_its_removal() -> None:
    chain = _grow(GENESIS, 5)
    start = chain[2].head
    assert verify(chain[3:], [], start).fault == AuditFault(Forgery.UNSEALED, 3)
    said = {"up_to": 3, "hash": start.hash}
    sealed = [*chain, link(AuditEntry(AuditAction.AUDIT_PRUNED, "system", detail=said), chain[-1].head, AT)]
    verdict = verify(sealed[3:], [chain[0].head, start], start)
    assert (verdict.intact, verdict.out_of_reach, verdict.anchored) == (True, 1, 3)
    assert verify(sealed[3:], [AuditHead(3, "f" * 64)], start).fault == AuditFault(Forgery.FORKED, 3)


@given(HOSTILE, HOSTILE, DETAILS)
def test_a_record_of_hostile_text_comes_back_with_its_hash(actor: str, path: str, detail: dict[str, object]) -> None:
    record = link(AuditEntry(AuditAction.LISTED, actor, path, detail=detail), GENESIS, AT)  # type: ignore[arg-type]
    body = encoded(record).encode().decode()
    assert decoded(body, record.hash) == record
    assert digest(decoded(body, record.hash)) == record.hash
    assert json.loads(body)["detail"] == dict(record.detail)


@pytest.mark.parametrize("value", [2**53, -(2**53), 2.0**53, 1e300, float("nan"), float("inf")])
def test_a_number_that_a_reader_would_round_is_text(value: float) -> None:
    (kept,) = bounded({"n": value}).values()
    assert isinstance(kept, str)
    assert repr(type(value)(kept)) == repr(value)


def test_an_integer_of_thousands_of_digits_is_text_too() -> None:
    (kept,) = bounded({"n": 16**9_999}).values()
    assert str(kept).startswith("0x1000")


@given(DETAILS)
def test_the_order_of_keys_does_not_matter(detail: dict[str, object]) -> None:
    backwards = dict(reversed(detail.items()))
    assert canonical(bounded(detail)) == canonical(bounded(backwards))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["\x01" * 10_000, "\ud800" * 10_000, "😀" * 10_000], ids=["control", "surrogate", "astral"]
)
def test_what_is_long_is_cut_with_a_mark_and_fits_a_property(text: str) -> None:
    many = {f"{n:03}{text}": text for n in range(60)}
    record = link(AuditEntry(AuditAction.LISTED, text, text, correlation=text, detail=many, key=text), GENESIS, AT)
    assert units(encoded(record)) <= MOST_BODY_UNITS
    assert "[cut: 10000 characters, SHA-256 " in record.actor
    assert "entries left out" in str(record.detail["[cut]"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.5e-9, "-1.5e-9"),
        (333333333.33333329, "333333333.3333333"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        ('\u20ac$\x0f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ("\ud83d\ude00 \ude00", '"😀 \\ude00"'),
        ({"\ufb33": 1, "😀": 2, "\r": 3, "1": 4}, '{"\\r":3,"1":4,"😀":2,"\ufb33":1}'),
    ],
)
def test_values_are_written_as_rfc_8785_says(value: object, text: str) -> None:
    assert canonical(value) == text  # type: ignore[arg-type]


PLAIN_NAMES = st.text(st.characters(codec="ascii"), max_size=8)
FINITE = SCALARS.filter(lambda value: not isinstance(value, float) or math.isfinite(value))
OBJECTS = st.recursive(
    st.dictionaries(st.one_of(PLAIN_NAMES, HOSTILE), FINITE, max_size=6),
    lambda inner: st.dictionaries(st.one_of(PLAIN_NAMES, HOSTILE), st.one_of(FINITE, inner), max_size=4),
    max_leaves=4,
)


@given(OBJECTS)
def test_an_object_has_one_text_whatever_holds_it(value: dict[str, Any]) -> None:
    text = canonical(value)
    # A mapping that is no dict is written member by member.
    assert text == canonical(MappingProxyType(value))
    text.encode()
    read = json.loads(text)
    assert canonical(read) == text
    assert list(read) == sorted(read, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"format":1}', "nonsense", '{"format":NaN}'])
def test_what_is_no_record_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="no audit record"):
        decoded(body, "")


def test_a_body_of_another_shape_has_no_hash() -> None:
    record = _grow(GENESIS, 1)[0]
    assert decoded(encoded(record).replace(":", ": ", 1), record.hash).hash == ""
    with pytest.raises(ValueError, match="no audit record"):
        decoded(encoded(record).replace('"sequence":1', '"sequence":"1"'), record.hash)


def test_trailers_are_read_back() -> None:
    head = AuditHead(42, "ab" * 32)
    assert anchors_in(f"Back up\n\nBackup-Run: 1\n{head.trailer()}\nBackup-Audit: 1:short\n") == [head]


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", "＝1"])
def test_no_cell_begins_as_a_formula(begin: str) -> None:
    entry = AuditEntry(AuditAction.LISTED, begin, begin, correlation=begin, key=begin)
    text = b"".join(as_csv([link(entry, GENESIS, AT)])).decode()
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    assert [row[name] for name in ("actor", "object", "correlation", "key")] == [f"'{begin}"] * 4


@given(HOSTILE, DETAILS)
def test_exports_of_hostile_text_can_be_read(path: str, detail: dict[str, object]) -> None:
    record = link(AuditEntry(AuditAction.LISTED, path, path, detail=detail), GENESIS, AT)  # type: ignore[arg-type]
    (line,) = as_json_lines([record])
    assert json.loads(line)["object"] == record.object
    rows = list(csv.reader(io.StringIO(b"".join(as_csv([record])).decode(), newline="")))
    assert [len(row) for row in rows] == [12, 12]


def test_pseudonyms_are_stable_and_leave_nothing_to_prove_a_guess_with() -> None:
    detail = {"asked by Ada@Example.com": "for bob@example.org, too"}
    entry = AuditEntry(AuditAction.RESTORED, "ada@example.com", "/Users/ADA@example.com/x", detail=detail, key="k")
    record = link(entry, GENESIS, AT)
    (line,) = as_json_lines([record], Pseudonyms(KEY))
    shown = json.loads(line)
    name = shown["actor"]
    assert shown["object"] == f"/Users/{name}/x"
    assert list(shown["detail"]) == [f"asked by {name}"]
    assert not shown.keys() & {"hash", "previous", "key"}
    text = line.decode() + b"".join(as_csv([record], Pseudonyms(KEY))).decode()
    assert "example" not in text.lower()
    assert record.hash not in text
    assert Pseudonyms(KEY).of(record) == Pseudonyms(KEY).of(record)
    assert Pseudonyms(KEY + b".").of(record).actor != name


ADDRESS = re.compile(r"[\w.+%][\w.+%'-]*@[\w-]+(?:\.[\w-]+)+")


@given(st.text("ab.@'-%é _\n/", max_size=30))
@example("a@b.c'd@e.f")
@example("''@b.c@d.e")
@example("a@b@c.d")
def test_each_address_in_a_text_gets_its_pseudonym_and_the_rest_stays(text: str) -> None:
    known = Pseudonyms(KEY)
    assert known.text(text) == ADDRESS.sub(lambda found: known.name(found[0]), text)


def test_texts_that_are_nearly_addresses_are_read_once() -> None:
    """An expression that begins again at each character would take hours for these."""
    code = (
        "from shared.services.audit.export import Pseudonyms\n"
        "known = Pseudonyms(b'k' * 16)\n"
        "texts = [piece * (1_000_000 // len(piece)) for piece in ('a', 'a-', 'a.', '%', \"'\", '-', '@a', 'a@a')]\n"
        "print(all(known.text(text) == text for text in texts))"
    )
    assert run_guarded(code) == "True\n"


def test_a_short_key_for_pseudonyms_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Pseudonyms(b"short")
