"""JSON with one text for each value (RFC 8785), so that a hash over it can be taken again anywhere.

Where the RFC is silent: a surrogate without its partner, which workspace paths can hold, is written as `\\udxxx`, as
ECMAScript's well-formed `JSON.stringify` does. Integers are written with all their digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal

type Scalar = str | int | float | bool | None
type Canonical = Scalar | Mapping[str, "Canonical"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_TYPES = frozenset((str, int, bool, type(None)))
_MOST_PLAIN_DIGITS = 21
_MOST_LEADING_ZEROS = 6


def canonical(value: Canonical) -> str:
    """Keys sorted by UTF-16 code units, no white space; the text always encodes as UTF-8.

    Raises `ValueError` for a number that JSON lacks.
    """
    if type(value) is dict and _is_plain(value):
        text = _ENCODER.encode(value)
        if not _SURROGATE.search(text):
            return text
    return _member(value)


def _is_plain(value: Mapping[str, Canonical]) -> bool:
    """Whether the standard encoder orders and writes all of it as the RFC does, but for surrogates."""
    return all(
        key.isascii() and (type(item) in _PLAIN_TYPES or (type(item) is dict and _is_plain(item)))
        for key, item in value.items()
    )


def _member(value: Canonical) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return _number(value)
    # Two keys that are one in UTF-16 are settled by the order of their code points, not by who came first.
    items = {paired(key): value[key] for key in sorted(value)}
    return "{" + ",".join(f"{_text(key)}:{_member(items[key])}" for key in sorted(items, key=_code_units)) + "}"


def paired(text: str) -> str:
    """The text with each two surrogates that make a character as that character, as any reader of JSON has it."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _text(text: str) -> str:
    written = json.dumps(paired(text), ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _number(value: float) -> str:
    """As ECMAScript's `Number.prototype.toString` writes it: the fewest digits that read as the same double."""
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(f"JSON has no {value}")
    if value == 0:
        return "0"
    parts = Decimal(repr(value)).normalize().as_tuple()
    digits, point = "".join(map(str, parts.digits)), len(parts.digits) + int(parts.exponent)
    return ("-" if parts.sign else "") + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Digits with the decimal point after the first `point` of them, which may be outside of them."""
    if len(digits) <= point <= _MOST_PLAIN_DIGITS:
        return digits.ljust(point, "0")
    if 0 < point <= _MOST_PLAIN_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -_MOST_LEADING_ZEROS < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
