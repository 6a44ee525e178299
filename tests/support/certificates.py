"""Certificates for tests: an authority, good and bad servers, clients, as files."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

NAME = "localhost"


class Certificates:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = trustme.CA()
        self.cafile = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.cafile)
        self.other_cafile = str(folder / "other.pem")
        trustme.CA().cert_pem.write_to_path(self.other_cafile)

    def server(self) -> trustme.LeafCert:
        return self.authority.issue_cert(NAME)

    def other_name(self) -> trustme.LeafCert:
        return self.authority.issue_cert("elsewhere.example.com")

    def expired(self) -> trustme.LeafCert:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        return self.authority.issue_cert(NAME, not_before=yesterday - timedelta(days=1), not_after=yesterday)

    def client(self, name: str, authority: trustme.CA | None = None) -> tuple[str, str]:
        """Files of the certificate and the key of a user; asked again, they are renewed in their place."""
        made = (authority or self.authority).issue_cert(f"{name}.example.com", common_name=name)
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(files[1]))
        return str(files[0]), str(files[1])


def server_context(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """`clients`: only who shows a certificate of this authority may come."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context
