"""Addresses of outside systems as settings may hold them: TLS, no credentials, no host that only a server reaches."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, parse_qs, urlsplit

LOOPBACK_NAMES = frozenset({"localhost"})
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.azure.internal", "instance-data"})
METADATA_ADDRESSES = frozenset(
    map(ip_address, ("168.63.129.16", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "192.0.0.192"))
)
"""Where clouds answer the machines that they run, with credentials: 168.63.129.16 is Azure's own."""
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NAT64 = IPv6Network("64:ff9b::/96")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its very name or address."""
    plain = host.strip("[]").lower().rstrip(".")
    if plain in LOOPBACK_NAMES:
        return True
    found = _address(plain)
    return found is not None and found.is_loopback


def checked_url(url: str, *, schemes: tuple[str, ...] = ("https",), plain: tuple[str, ...] = ("http",)) -> str:
    """An address to call: one of `schemes`, or one of `plain`, without TLS, on this machine alone.

    Raises `ValueError`, which does not quote the address: it may hold credentials.
    """
    parts = _split(url)
    if parts.scheme not in (*schemes, *plain):
        raise ValueError(f"must begin with {schemes[0]}://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no name and no password before the host: leave out what stands before the @")
    host = check_host(parts.hostname or "")
    if parts.scheme in plain and not is_loopback(host):
        raise ValueError(f"must begin with {schemes[0]}://, but for a server on this machine")
    return url


def check_connection_string(text: str) -> None:
    """Each address in `Name=Value;Name=Value`, of storage or telemetry, is one to call. Raises `ValueError`."""
    parts = dict(part.partition("=")[::2] for part in text.split(";") if part.strip())
    named = {name.strip().lower(): value.strip() for name, value in parts.items()}
    for name, value in named.items():
        if name.endswith(("endpoint", "uri", "audience")) and "://" in value:
            checked_url(value)
    explicit = any(name.endswith("endpoint") for name in named)
    if named.get("defaultendpointsprotocol", "https").lower() != "https" and not explicit:
        raise ValueError("DefaultEndpointsProtocol must be https")


def check_smtp_url(url: str) -> None:
    """A mail server that is reached by TLS, or is on this machine. Raises `ValueError`."""
    parts = _split(url)
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("must be smtp://host:port or smtps://host:port")
    host = check_host(parts.hostname or "")
    if "off" in parse_qs(parts.query).get("starttls", ()) and parts.scheme == "smtp" and not is_loopback(host):
        raise ValueError("must not have starttls=off, but for a server on this machine")


def check_host(host: str) -> str:
    """A host that may be called. Raises `ValueError`."""
    plain = host.lower().rstrip(".")
    found = _address(plain)
    if found is not None:
        _check_address(found)
    elif plain in METADATA_NAMES:
        raise ValueError("must not be the metadata service of a cloud")
    elif not _NAME.fullmatch(plain) or _NUMERIC.fullmatch(plain.rpartition(".")[2]):
        # `2852039166`, `0xa9fea9fe` and `169.254.43518` are addresses, too, for those who resolve them.
        raise ValueError("must name a host, such as adb-1.azuredatabricks.net")
    return host


def _check_address(found: IPv4Address | IPv6Address) -> None:
    if found in METADATA_ADDRESSES or found.is_link_local:
        raise ValueError("must not be a link-local address, nor the metadata service of a cloud")
    if found.is_multicast or found.is_unspecified or found == ip_address("255.255.255.255"):
        raise ValueError("must be the address of one host")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, an IPv4 one where IPv6 only wraps it; None for a name."""
    try:
        found = ip_address(host)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return IPv6Address("fe80::1")
        wrapped = found.ipv4_mapped or found.sixtofour
        nat64 = IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None
        return wrapped or nat64 or found
    return found


def _split(url: str) -> SplitResult:
    if any(c.isspace() or not c.isprintable() for c in url) or "\\" in url:
        raise ValueError("must hold no blank, backslash or control character")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("must be an address, such as https://adb-1.azuredatabricks.net") from None
    return parts
