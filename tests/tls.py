"""A certificate authority of our own, and a server's certificate from it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: what clients trust, what a server on 127.0.0.1 shows, and its key."""

    authority: Path
    certificate: Path
    key: Path


def make_tls(folder: Path) -> Tls:
    """A new authority and one certificate, for a day."""
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _builder("An authority of tests", "An authority of tests", signer.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    served = _builder("127.0.0.1", "An authority of tests", key.public_key())
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    served = served.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    made = Tls(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    made.authority.write_bytes(authority.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(served.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return made


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().public_key(key).serial_number(x509.random_serial_number())
    made = made.subject_name(_name(subject)).issuer_name(_name(issuer))
    return made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
