"""Links to the repository's own site."""

from __future__ import annotations

import hashlib

import pytest

from shared.domain.repository_links import RepositoryLinks

COMMIT, FILE = "3f2a9c1d" * 5, "a b/100%25 é#?.py"
SHA256, SHA1 = (hashlib.new(name, FILE.encode()).hexdigest() for name in ("sha256", "sha1"))
IN_ADDRESS = "a%20b/100%2525%20%C3%A9%23%3F.py"


@pytest.mark.parametrize(
    ("remote", "commit", "difference"),
    [
        (
            "https://dev.azure.com/o/a%20p/_git/r",
            "https://dev.azure.com/o/a%20p/_git/r/commit/",
            f"?path=/{IN_ADDRESS}",
        ),
        (
            "https://dev.azure.com/o/p/_git/r.git/",
            "https://dev.azure.com/o/p/_git/r.git/commit/",
            f"?path=/{IN_ADDRESS}",
        ),
        ("https://o.visualstudio.com/p/_git/r", "https://o.visualstudio.com/p/_git/r/commit/", f"?path=/{IN_ADDRESS}"),
        ("https://github.com/o/r.git", "https://github.com/o/r/commit/", f"#diff-{SHA256}"),
        ("https://github.example.com/o/r", "https://github.example.com/o/r/commit/", f"#diff-{SHA256}"),
        ("https://gitlab.com/g/s/r.git", "https://gitlab.com/g/s/r/-/commit/", f"#{SHA1}"),
        ("http://gitlab.example.com:8080/g/r", "http://gitlab.example.com:8080/g/r/-/commit/", f"#{SHA1}"),
    ],
)
def test_links_follow_the_site_of_the_remote(remote: str, commit: str, difference: str) -> None:
    links = RepositoryLinks.of(remote)
    assert links.commit(COMMIT) == commit + COMMIT
    assert links.difference(COMMIT, FILE) == commit + COMMIT + difference
    assert links.difference(COMMIT, None) is None


@pytest.mark.parametrize("site", ["dev.azure.com/o/p/_git/r", "github.com/o/r", "gitlab.com/o/r"])
@pytest.mark.parametrize("userinfo", ["user:s3cret@", "s3cret@", ":s3cret@"])
def test_a_link_never_holds_credentials(site: str, userinfo: str) -> None:
    links = RepositoryLinks.of(f"https://{userinfo}{site}?token=s3cret#s3cret")
    assert links.commit(COMMIT) is not None
    assert "s3cret" not in f"{links.commit(COMMIT)} {links.difference(COMMIT, FILE)} {links!r}"


@pytest.mark.parametrize(
    "remote",
    [
        "http://127.0.0.1:4711/backup.git",
        "https://git.example.com/r.git",
        "https://notgithub.com/o/r",
        "https://dev.azure.com/o/p",
        "https://evil.example/dev.azure.com/_git/r",
        "javascript://github.com/o/r",
        "ssh://git@github.com/o/r.git",
        "git@github.com:o/r.git",
        "https://[broken",
        "https://github.com:x/o/r",
        "",
    ],
)
def test_an_unknown_host_has_no_links(remote: str) -> None:
    links = RepositoryLinks.of(remote)
    assert (links.commit(COMMIT), links.difference(COMMIT, FILE)) == (None, None)
