"""Token shapes are found wherever they stand, as detect-secrets finds them, and nothing of them is kept."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.stripe import StripeDetector
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.secret_finder import TokenShapes
from shared.adapters.token_shapes import MOST_CHECKED, SHAPES, Searched, places
from shared.domain.batches import Failure, Notice
from shared.protocols import MOST_FOUND_SECRETS
from shared.services.backup.secret_screen import MOST_NAMED, SecretPolicy, SecretScreen
from tests.hostile import run_guarded

# Put together here, so that no scanner takes this file for a leak.
TOKENS = {
    "Databricks token": "dapi" + "0123456789abcdef" * 2,
    "Databricks token with a suffix": "dapi" + "0123456789abcdef" * 2 + "-2",
    "Azure DevOps token": "A1b2" * 19 + "AZDO" + "x9Y8",
    "AWS Access Key": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS secret": "aws_secret_key = '" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" + "'",
    "Azure Storage Account access key": "AccountKey=" + "a" * 86 + "==",
    "Basic Auth Credentials": "jdbc:postgresql://reader:" + "hunter2@db.example.com/sales",
    "GitHub Token": "ghp_" + "a1B2" * 9,
    "GitLab Token": "glpat-" + "a1B2c3" * 4,
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0." + "c2lnbmF0dXJl",
    "NPM tokens": "//registry.example.com/:_authToken=" + "npm_abcdef",
    "OpenAI Token": "sk-" + "a" * 20 + "T3BlbkFJ" + "b" * 20,
    "Private Key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "PyPI Token": "pypi-AgEIcHlwaS5vcmc" + "a" * 75,
    "SendGrid API Key": "SG." + "a" * 22 + "." + "b" * 43,
    "Slack Token": "xoxb-" + "123-456-" + "abcdef",
    "Stripe Access Key": "sk_live_" + "a" * 24,
}
PLAIN = b"# Databricks notebook source\nkeys = spark.table('token_counts')  # key, token, secret\n"


CHOSEN = {"Basic Auth Credentials", "NPM tokens", "Slack Token", "Private Key"}
"""Here the tokens of NPM and Slack are short."""


class _DatabricksToken(RegexBasedDetector):
    secret_type = "Databricks token"
    denylist = (re.compile(r"\bdapi[0-9a-f]{32}(?:-\d+)?\b"),)


class _AzureDevOpsToken(RegexBasedDetector):
    secret_type = "Azure DevOps token"
    denylist = (re.compile(r"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b"),)


DETECTORS: tuple[RegexBasedDetector, ...] = (
    _DatabricksToken(),
    _AzureDevOpsToken(),
    AWSKeyDetector(),
    AzureStorageKeyDetector(),
    BasicAuthDetector(),
    GitHubTokenDetector(),
    GitLabTokenDetector(),
    JwtTokenDetector(),
    NpmDetector(),
    OpenAIDetector(),
    PrivateKeyDetector(),
    PypiTokenDetector(),
    SendGridDetector(),
    SlackDetector(),
    StripeDetector(),
)
FRAGMENTS = (
    *TOKENS.values(),
    *[
        "\n",
        "\r",
        "\x0b",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2003",
        "x",
        "=",
        "é",
        "ß",
        "ſ",
        "K",
        "İ",
        "ı",
        "٣",
        "-",
        "-3",
        "_",
        ".",
        "..",
        "'",
        '"',
        "/",
        "//",
        ":",
        "@",
        "+",
        "==",
    ],
    " ",
    "://",
    "://a:",
    "@b",
    "aws",
    "AWſ",
    "key",
    "pw",
    "Token",
    "'" + "s" * 40 + "'",
    "'" + "ſKİı" * 10 + "'",
    "awspw" + "i" * 35,
    "a" * 20,
    "A1" * 10,
    "glpat-",
    "GR1348941",
    "glcbt-",
    "glcbt-0f_",
    "glimt-",
    "glptt-",
    "glagent-",
    "gloas-",
    "b" * 25,
    "c" * 64,
    "d" * 1024,
    "dapi",
    "0123456789abcdef",
    "AZDO",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJ",
    ".bnVsbA",
    ".YQ",
    "/:_authToken=",
    "npm_x",
    "0f" * 18,
    "sk-",
    "T3BlbkFJ",
    "pypi-AgENdGVzdC5weXBpLm9yZw",
    "XOXP-",
    "1-",
    "https://hooks." + "slack.com/services/",
    "https://HooKſ." + "slack.com/servıces/",
    "T0/B1/",
    "rk_live_",
    "BEGIN PGP PRIVATE KEY BLOCK",
    "BEGIN SSH2 ENCRYPTED PRIVATE KEY",
    "PuTTY-User-Key-File-2",
)


def _by_detectors(text: str) -> Counter[tuple[str, int]]:
    """How often each kind is found on each line by the detectors' own expressions."""
    return Counter(
        (detector.secret_type, number)
        for number, line in enumerate(text.split("\n"), 1)
        for detector in DETECTORS
        for match in (m for expression in detector.denylist for m in expression.finditer(line))
        if not isinstance(detector, JwtTokenDetector) or detector.is_formally_valid(match[0])
    )


def _by_shapes(text: str) -> Counter[tuple[str, int]]:
    notebook = Searched.of(text.encode())
    return Counter(
        (shape.kind, (notebook.text if shape.in_text else notebook.data.decode("latin-1")).count("\n", 0, start) + 1)
        for shape in SHAPES
        for start, _ in places(shape, notebook, MOST_FOUND_SECRETS)
    )


@settings(max_examples=300)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
@example(["aws", "key", "'" + "awspw" + "i" * 35 + "'" + "s" * 40 + "'"])
@example(["glpat-", "b" * 25, "-", "a" * 20, "é"])
@example(["glagent-", "d" * 1024, "d" * 1024])
@example(["glcbt-0f_", "a" * 20, "-", "c" * 64, "é"])
@example(["é", TOKENS["Databricks token"]])
@example(["://", "a\x1c", ":b@"])
def test_shapes_find_what_the_detectors_find(parts: list[str]) -> None:
    text = "".join(parts)
    assert _by_shapes(text) == _by_detectors(text)
    assert {(s.kind, s.line) for s in TokenShapes().find(text.encode())} == set(_by_detectors(text))


@pytest.mark.parametrize("template", ["//a:b%s@", "://a%s:b@", "aws%skey '" + "k" * 40 + "'", "x%sxb-1-a", "xoxb-%s-a"])
def test_every_character_is_taken_for_what_the_detectors_take_it_for(template: str) -> None:
    text = "\n".join(template % chr(code) for code in range(1, 0x3100) if code != ord("\n"))
    differing = [line for line in text.split("\n") if _by_shapes(line) != _by_detectors(line)]
    assert not differing


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_each_shape_is_found_on_its_line(name: str, ending: bytes) -> None:
    data = PLAIN + f"x = {TOKENS[name]}".encode() + ending
    found = TokenShapes().find(data)
    assert {s.line for s in found} == {3}
    assert all(TOKENS[name] not in repr(s) for s in found)
    if name in CHOSEN:
        assert {s.fingerprint for s in found} == {None}
    else:
        assert all(re.fullmatch(r"[0-9a-f]{16}", s.fingerprint or "") for s in found)


def test_nobody_can_try_passwords_against_what_is_told_of_one() -> None:
    """What is told of two passwords at the same place is the same."""
    texts = [
        f"url = 'https://reader:{password}@db.example.com'" for password in ("hunter2", "correct horse battery"[:7])
    ]
    long = f"url = 'https://reader:{'Summer2026' * 9}@db.example.com'"
    told = [SecretScreen(TokenShapes(), SecretPolicy.REPORT).look_at("/n", t.encode()) for t in (*texts, long)]
    assert told[0] is not None
    assert told[0] == told[1] == told[2]
    assert "fingerprint" not in told[0].reason


def test_a_web_tokens_fingerprint_is_over_its_signature_too() -> None:
    """The claims alone could be guessed."""
    unsigned = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0."
    one, other = (TokenShapes().find((unsigned + letter * 43).encode())[0].fingerprint for letter in "xy")
    assert one != other


def test_github_tokens_are_told_apart() -> None:
    first, second = TokenShapes().find(("ghp_" + "a1B2" * 9 + "\n" + "ghp_" + "c3D4" * 9).encode())
    assert first.fingerprint != second.fingerprint


def test_the_same_secret_has_one_fingerprint_and_another_another() -> None:
    one, two = (TOKENS["Databricks token"], "dapi" + "fedcba9876543210" * 2)
    data = f"{one}\n{one}\n{two}\n".encode()
    first, again, other = TokenShapes().find(data)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert [first.line, again.line, other.line] == [1, 2, 3]


def test_a_notebook_without_secrets_gives_nothing() -> None:
    assert TokenShapes().find(PLAIN * 500) == []
    assert TokenShapes().find(b"") == []
    assert TokenShapes().find(bytes(range(256)) * 20) == []


def test_bytes_that_are_no_text_hide_nothing() -> None:
    data = b"\xff\xfe " + TOKENS["Databricks token"].encode() + b"\xff\n://a\xff:b\xff@\n\xe2\x82"
    assert [(s.kind, s.line) for s in TokenShapes().find(data)] == [
        ("Databricks token", 1),
        ("Basic Auth Credentials", 2),
    ]


def test_a_search_ends_soon_whatever_a_notebook_holds() -> None:
    """A few kilobytes would take minutes where an expression goes back; forty megabytes are searched here."""
    code = (
        "from shared.adapters.secret_finder import TokenShapes\n"
        "from tests.hostile import secret_like\n"
        "print(max(len(TokenShapes().find(text.encode())) for text in secret_like(1_000_000)))"
    )
    assert int(run_guarded(code)) <= MOST_FOUND_SECRETS


def test_findings_of_one_notebook_are_bounded_and_the_first_are_told() -> None:
    data = "".join(f"dapi{number:032x}\n" for number in range(MOST_FOUND_SECRETS * 3)).encode()
    found = TokenShapes().find(data)
    assert [s.line for s in found] == list(range(1, MOST_FOUND_SECRETS + 1))
    notice = SecretScreen(TokenShapes(), SecretPolicy.REPORT).look_at("/n", data)
    assert notice is not None
    assert f"at least {MOST_FOUND_SECRETS - MOST_NAMED} more" in notice.reason


@pytest.mark.parametrize(
    ("decoy", "kind"),
    [
        ("eyJa.a ", "JSON Web Token"),
        ("glrt-" + "a" * 21 + "é ", "GitLab Token"),
        ("aws '" + "s" * 40 + "' ", "AWS Access Key"),
    ],
)
def test_where_too_much_looks_like_a_secret_that_is_told(decoy: str, kind: str) -> None:
    """A notebook is not passed as clean that was not looked at to its end."""
    few, many = ((decoy + "\n") * count for count in (100, MOST_CHECKED + 1))
    assert TokenShapes().find(few.encode()) == []
    (told,) = TokenShapes().find(many.encode())
    assert (told.kind, told.line) == (f"{kind}, or too much like it to look at all", MOST_CHECKED + 1)
    held = SecretScreen(TokenShapes(), SecretPolicy.HOLD).look_at("/n", many.encode())
    assert isinstance(held, Failure)


def test_a_very_long_line_is_searched_where_it_matters() -> None:
    data = b"x" * 3_000_000 + b" " + TOKENS["Databricks token"].encode() + b" " + b"y" * 3_000_000
    assert [s.kind for s in TokenShapes().find(data)] == ["Databricks token"]


@pytest.mark.parametrize(
    ("policy", "outcome"), [(SecretPolicy.REPORT, Notice), (SecretPolicy.HOLD, Failure), (SecretPolicy.IGNORE, None)]
)
def test_the_policy_decides_and_the_secret_is_not_repeated(policy: SecretPolicy, outcome: type | None) -> None:
    secret = TOKENS["Databricks token"]
    found = SecretScreen(TokenShapes(), policy).look_at("/Clients/n", (secret + "\n").encode() * 9)
    assert (type(found) if found else None) == outcome
    if found:
        assert secret not in found.reason
        assert found.reason.count("fingerprint") == MOST_NAMED
        assert "4 more" in found.reason
