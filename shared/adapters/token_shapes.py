"""What tokens look like: the expressions of detect-secrets 1.5, and two more, each in a form of bounded work.

Contents are chosen by others, and an expression that backtracks can take minutes over a few kilobytes. So that
shapes of no fixed length are RE2's, whose time is linear in the text, and those that `re` searches for hold no
repetition without a bound. Both read what detect-secrets reads: a test compares them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import re2

CHOSEN_KINDS = frozenset({"Basic Auth Credentials", "Private Key"})
"""Passwords that people choose, and heads of keys, which hold no secret: neither is told by a fingerprint."""
MOST_CHECKED = 5_000
"""Places of one shape in one notebook that are looked at more closely than by the search itself."""
_BLANK = r" \t\r\f\x0b\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
"""Inside a class of RE2, all that `re` takes for white space but for the end of a line: RE2's own holds less."""
_RESERVED = r":/?#\[\]@!$&'()*+,;="
_DIGITS = r"\p{Nd}"
_I = r"i\x{130}\x{131}"
"""Inside a class, what `re` takes for an `i` where case is ignored."""


class TooManyPlaces(Exception):
    """More places of a shape than are looked at; `offset` is where the first of the others is."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True)
class Searched:
    """A notebook's text as valid UTF-8, and as characters where a shape asks for them."""

    data: bytes

    @classmethod
    def of(cls, raw: bytes) -> Searched:
        """What is no UTF-8 becomes the replacement character."""
        try:
            raw.decode()
        except UnicodeDecodeError:
            return cls(raw.decode("utf-8", "replace").encode())
        return cls(raw)

    @cached_property
    def text(self) -> str:
        """The characters."""
        return self.data.decode()


type Place = tuple[int, str]
"""Where a secret stands, in bytes or characters, and the secret."""
type Search = Callable[[Searched], Iterator[Place]]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of secret. Only a notebook that holds one of `marks` is searched; places are `in_text` or in bytes."""

    kind: str
    marks: tuple[bytes, ...] = field(repr=False)
    search: Search = field(repr=False)
    in_text: bool = False


def _options(*, latin: bool = False) -> re2.Options:
    options = re2.Options()
    options.never_capture = True
    # RE2 writes to the standard error where its first method needs much memory, before it takes the other.
    options.log_errors = False
    if latin:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


def _linear(pattern: str) -> Search:
    """A shape of any length, which RE2 finds in time that is linear in the notebook."""
    expression = re2.compile(pattern, _options())

    def search(notebook: Searched) -> Iterator[Place]:
        return ((m.start(), m.group().decode()) for m in expression.finditer(notebook.data))

    return search


def _bounded(pattern: bytes) -> Search:
    """A shape of a few dozen bytes: whatever stands there, `re` ends after so many at each place."""
    expression = re.compile(pattern)

    def search(notebook: Searched) -> Iterator[Place]:
        return ((m.start(), m.group().decode()) for m in expression.finditer(notebook.data))

    return search


def _within(search: Search, part: Callable[[str], str]) -> Search:
    """The secret is a part of what is found."""

    def parts(notebook: Searched) -> Iterator[Place]:
        return ((start, part(found)) for start, found in search(notebook))

    return parts


def _word_before(notebook: Searched, start: int) -> bool:
    """Whether what ends here, of any language, is a letter, a digit or an underscore."""
    return bool(re.search(r"\w\Z", notebook.data[max(0, start - 4) : start].decode("utf-8", "ignore")))


def _word_after(notebook: Searched, end: int) -> bool:
    return bool(re.match(r"\w", notebook.data[end : end + 4].decode("utf-8", "ignore")))


def _databricks(notebook: Searched) -> Iterator[Place]:
    """A token stands alone; a number after it belongs to it where that ends as a word."""
    for start, found in _DATABRICKS(notebook):
        if _word_before(notebook, start):
            continue
        token, dash, _ = found.partition("-")
        if not _word_after(notebook, start + len(found.encode())):
            yield start, found
        elif dash:
            yield start, token


_DATABRICKS = _linear(rf"\bdapi[0-9a-f]{{32}}(?:-{_DIGITS}+)?")


def _azure_devops(notebook: Searched) -> Iterator[Place]:
    """84 characters with their mark in the 77th to 80th, which stand alone."""
    for start, found in _AZURE_DEVOPS(notebook):
        if not _word_before(notebook, start) and not _word_after(notebook, start + len(found)):
            yield start, found


_AZURE_DEVOPS = _linear(r"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b")

_QUOTED = re.compile(r"['\"](?=[0-9a-z/+]{40}['\"])", re.IGNORECASE)
_AWS = re.compile("aws", re.IGNORECASE)
_AWS_SECRET = re.compile(
    r"aws.{0,20}?(?:key|pwd|pw|password|pass|token).{0,20}?['\"]([0-9a-z/+]{40})['\"]", re.IGNORECASE
)
_BEFORE, _QUOTE = len("aws") + 20 + len("password") + 20, 42
"""Characters from the beginning of the shape to its quotes at most, and those of the quoted secret."""


def _aws_secret(notebook: Searched) -> Iterator[Place]:
    """Forty quoted characters soon after `aws` and a word for a secret: searched around such quotes alone."""
    done, checked = 0, 0
    for quoted in _QUOTED.finditer(notebook.text):
        start = max(done, quoted.start() - _BEFORE)
        if quoted.start() < done or not _AWS.search(notebook.text, start, quoted.start()):
            continue
        checked += 1
        if checked > MOST_CHECKED:
            raise TooManyPlaces(quoted.start())
        found = _AWS_SECRET.search(notebook.text, start, quoted.start() + _BEFORE + _QUOTE)
        # One that begins later is met, whole, at its own quotes.
        if found and found.start() < quoted.start():
            done = found.end()
            yield found.start(), found[1]


_JWT = _linear(r"eyJ[A-Za-z0-9\-_=]+\.[A-Za-z0-9\-_=]+\.?")
_MOST_JWT = 65_536
"""No server takes a longer one."""
_SIGNATURE = re.compile(rb"[A-Za-z0-9_-]*")


def _jwt(notebook: Searched) -> Iterator[Place]:
    """Header and claims must be JSON; the secret is the token with its signature."""
    for number, (start, found) in enumerate(_JWT(notebook)):
        if number == MOST_CHECKED:
            raise TooManyPlaces(start)
        if len(found) <= _MOST_JWT and all(map(_is_json, found.split(".")[:2])):
            signature = _SIGNATURE.match(notebook.data, start + len(found)) if found.endswith(".") else None
            yield start, found + (signature[0].decode() if signature else "")


def _is_json(part: str) -> bool:
    """Whether a part of a token is Base64 of JSON, with or without its padding."""
    try:
        json.loads(base64.urlsafe_b64decode(part + ("", "", "==", "===")[len(part) % 4]).decode())
    except (ValueError, RecursionError):
        return False
    return len(part) % 4 != 1


def _gitlab(head: bytes, fewest: int, most: int) -> Search:
    """So many characters after a head, as many as there are, and then no letter, digit or underscore."""
    begins = re.compile(rb"(?:%s)(?=[A-Za-z0-9_-]{%d})" % (head, fewest))
    rest = re.compile(rb"[A-Za-z0-9_-]{%d,%d}" % (fewest, most))

    def search(notebook: Searched) -> Iterator[Place]:
        done, failed, data = 0, 0, notebook.data
        for begin in begins.finditer(data):
            if begin.start() < done:
                continue
            found = rest.match(data, begin.end())
            end = found.end() if found else 0
            if _word_after(notebook, end):
                end = data.rfind(b"-", begin.end() + fewest, end)
            if end >= 0:
                done = end
                yield begin.start(), data[begin.start() : end].decode()
                continue
            failed += 1
            if failed > MOST_CHECKED:
                raise TooManyPlaces(begin.start())

    return search


def _npm_token(found: str) -> str:
    token = found.rpartition(":_authToken=")[2].lstrip()
    return token if token.startswith("npm_") else token[:36]


_GITLAB = (
    _gitlab(rb"glpat-|gldt-|glft-|glsoat-|glrt-", 20, 50),
    _gitlab(rb"GR1348941", 20, 50),
    _gitlab(rb"glcbt-(?=[0-9a-fA-F]{2}_)", 20, 53),
    _gitlab(rb"glcbt-(?![0-9a-fA-F]{2}_)", 20, 50),
    _gitlab(rb"glimt-", 25, 25),
    _gitlab(rb"glptt-", 40, 40),
    _gitlab(rb"glagent-", 50, 1024),
    _gitlab(rb"gloas-", 64, 64),
)
_PRIVATE = (
    rb"BEGIN (?:(?:DSA|EC|OPENSSH|RSA|SSH2 ENCRYPTED) )?PRIVATE KEY|BEGIN PGP PRIVATE KEY BLOCK|PuTTY-User-Key-File-2"
)
_USER = rf"[^{_RESERVED}\n{_BLANK}]+"
_WORD = rf"[a-z0-9_{_I}]+"
_WEBHOOK = rf"(?i)https://hooks\.slack\.com/serv[{_I}]ces/T{_WORD}/B{_WORD}/{_WORD}"

SHAPES: tuple[Shape, ...] = (
    Shape("Databricks token", (b"dapi",), _databricks),
    Shape("Azure DevOps token", (b"AZDO",), _azure_devops),
    Shape(
        "AWS Access Key",
        (b"A3T", b"ABIA", b"ACCA", b"AKIA", b"ASIA"),
        _bounded(rb"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}"),
    ),
    Shape("AWS Access Key", (b"'", b'"'), _aws_secret, in_text=True),
    Shape("Azure Storage Account access key", (b"AccountKey=",), _bounded(rb"AccountKey=[a-zA-Z0-9+/=]{88}")),
    Shape(
        "Basic Auth Credentials",
        (b"://",),
        _within(_linear(f"://{_USER}:{_USER}@"), lambda found: found.rpartition(":")[2].removesuffix("@")),
    ),
    Shape("GitHub Token", tuple(b"ghp_ gho_ ghu_ ghs_ ghr_".split()), _bounded(rb"gh[pousr]_[A-Za-z0-9_]{36}")),
    *(Shape("GitLab Token", (b"gl", b"GR1348941"), search) for search in _GITLAB),
    Shape("JSON Web Token", (b"eyJ",), _jwt),
    Shape(
        "NPM tokens",
        (b"/:_authToken=",),
        _within(_linear(rf"//.+/:_authToken=[{_BLANK}]*(?:npm_.+|[A-Fa-f0-9-]{{36}}).*"), _npm_token),
    ),
    Shape("OpenAI Token", (b"T3BlbkFJ",), _linear(r"sk-[A-Za-z0-9\-_]*[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}")),
    Shape("Private Key", (b"PRIVATE KEY", b"PuTTY"), _bounded(_PRIVATE)),
    Shape("PyPI Token", (b"pypi-AgEIcHlwaS5vcmc",), _linear(r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9\-_]{70,}")),
    Shape("PyPI Token", (b"pypi-AgENdGVzdC5weXBpLm9yZw",), _linear(r"pypi-AgENdGVzdC5weXBpLm9yZw[A-Za-z0-9\-_]{70,}")),
    Shape("SendGrid API Key", (b"SG.",), _bounded(rb"SG\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9_-]{43}")),
    Shape("Slack Token", (b"-",), _linear(rf"(?i)xox[abpors]-(?:{_DIGITS}+-)+[a-z0-9{_I}]+")),
    Shape("Slack Token", (b"://",), _linear(_WEBHOOK)),
    Shape("Stripe Access Key", (b"k_live_",), _bounded(rb"[rs]k_live_[0-9a-zA-Z]{24}")),
)

_HINT = re2.compile(
    rb"dapi[0-9a-f]{8}|AZDO|A3T[A-Z0-9]{8}|(?:ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{8}|AccountKey=|gh[pousr]_[A-Za-z0-9_]{8}"
    rb"|://[^:/?#\[\]@!$&'()*+,;=\s]+:[^:/?#\[\]@!$&'()*+,;=\s]+@|GR1348941"
    rb"|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-|PRIVATE KEY|PuTTY-User|eyJ|[rs]k_live_|SG\.[a-zA-Z0-9_-]{22}"
    rb"|:_authToken=|T3BlbkFJ|pypi-AgE|(?i:aw(?:s|\xc5)|xox[abpors\xc5]|://hoo)",
    _options(latin=True),
)
"""Part of each shape, by bytes: no state of this machine lasts for more than a few of them."""


def may_hold_any(raw: bytes) -> bool:
    """Whether anything in a notebook is worth a search of each shape: most hold nothing, and are passed in one look."""
    return _HINT.search(raw) is not None


def places(shape: Shape, notebook: Searched, most: int) -> Iterator[Place]:
    """At most so many places of a shape, in order."""
    return islice(shape.search(notebook), most) if any(m in notebook.data for m in shape.marks) else iter(())
