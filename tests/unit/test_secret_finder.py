"""Token shapes are found wherever they stand, nothing of them is kept, and the quick search misses none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import secret_finder
from shared.adapters.secret_finder import TokenShapes
from shared.domain.batches import Failure, Notice
from shared.services.backup.secret_screen import MOST_NAMED, SecretPolicy, SecretScreen

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


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_each_shape_is_found_on_its_line(name: str, ending: bytes) -> None:
    data = PLAIN + f"x = {TOKENS[name]}".encode() + ending
    found = TokenShapes().find(data)
    assert {s.line for s in found} == {3}
    assert all(re.fullmatch(r"[0-9a-f]{16}", s.fingerprint) for s in found)
    assert all(TOKENS[name] not in repr(s) for s in found)


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


@given(st.lists(st.sampled_from([*TOKENS.values(), "\n", " ", "x", "=", "é", "://a:", "@b"]), max_size=8))
def test_the_quick_search_misses_nothing_that_a_full_one_finds(parts: list[str]) -> None:
    text = "".join(parts)
    everywhere = {
        (number, secret)
        for number, line in enumerate(text.split("\n"), 1)
        for secret in secret_finder._in_line(number, line)
    }
    assert set(TokenShapes().find(text.encode())) == {secret for _, secret in everywhere}


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
