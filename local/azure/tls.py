"""A certificate for this machine's own HTTPS servers, and a bundle in which it is trusted."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = 365
_REMADE_BEFORE = timedelta(days=7)


class OwnCertificate:
    """`certificate.pem` and `key.pem` in a folder, and `bundle.pem` with the public authorities and this one."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.bundle = folder / "bundle.pem"

    def make(self, others: str = "") -> None:
        """Make it where it is missing, or near its end; `others` is a bundle to trust instead of the public one."""
        if not self._is_good():
            self._make()
        trusted = Path(others) if others and Path(others).is_file() else Path(certifi.where())
        self.bundle.write_text(f"{trusted.read_text()}\n{self.certificate.read_text()}")

    def _make(self) -> None:
        self.certificate.parent.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8
        self.key.touch(mode=0o600)
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        self.certificate.write_bytes(_certificate(key).public_bytes(serialization.Encoding.PEM))

    def _is_good(self) -> bool:
        if not (self.certificate.exists() and self.key.exists()):
            return False
        found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return found.not_valid_after_utc > datetime.now(UTC) + _REMADE_BEFORE


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """For 127.0.0.1 and localhost, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "notebook backup on this machine")])
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=DAYS))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return made.add_extension(x509.SubjectAlternativeName(hosts), critical=False).sign(key, hashes.SHA256())
