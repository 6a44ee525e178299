"""TLS of our connections: contexts that follow their files, and what is wrong with a certificate, in a sentence.

Files of certificates and authorities are looked at before each handshake and read again where they changed: a new
certificate counts from the next connection on, without a restart. Connections that stand are left alone.
"""

import logging
import ssl
from pathlib import Path
from typing import Any, Final

from meter.runtime.errors import SettingsError, explain
from meter.runtime.stamps import Stamp, stamp

# Not structlog, which the client of the producers does without.
log = logging.getLogger(__name__)

# OpenSSL's X509_V_ERR_… of each kind of fault.
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
WRONG_HOST: Final = (62, 64)  # another host name, another IP address


class FollowingContext(ssl.SSLContext):
    """Hands each handshake to a context made from the files as they are now.

    Files that cannot be used (half written, or a key that is not the certificate's) leave the one before in force.
    """

    _files: tuple[str | None, str | None, str | None]
    _verify: bool
    _names: bool
    _protocols: tuple[str, ...]
    _inner: ssl.SSLContext
    _stamps: tuple[Stamp, ...]

    @classmethod
    def of(
        cls, cafile: str | None, certfile: str | None = None, keyfile: str | None = None, *, verify: bool = True
    ) -> "FollowingContext":
        """Raises SettingsError for files that are not there or not usable."""
        try:
            return cls.reading(cafile, certfile, keyfile, verify=verify)
        except OSError as error:  # ssl.SSLError is one
            named = ", ".join(filter(None, (cafile, certfile, keyfile)))
            raise SettingsError(
                f"certificates cannot be read from {named}: {explain(error)}. Check the settings that name these "
                "files (…_CAFILE, …_CERTFILE, …_KEYFILE)"
            ) from None

    @classmethod
    def reading(
        cls,
        cafile: str | None,
        certfile: str | None = None,
        keyfile: str | None = None,
        *,
        verify: bool = True,
        names: bool = True,
        protocols: tuple[str, ...] = (),
    ) -> "FollowingContext":
        """As `of`, for callers with words of their own: raises OSError. Without `names` a trusted certificate may be
        for another host; `protocols` are offered by ALPN."""
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made._files, made._verify, made._names, made._protocols = (cafile, certfile, keyfile), verify, names, protocols
        made._stamps = made._look()
        made._inner = made._read()
        # Libraries ask the context that they were given, for instance whether it checks host names.
        made.check_hostname, made.verify_mode = made._inner.check_hostname, made._inner.verify_mode
        return made

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        self._follow()
        return self._inner.wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        self._follow()
        return self._inner.wrap_socket(*arguments, **options)

    def _follow(self) -> None:
        stamps = self._look()
        if stamps == self._stamps:
            return
        try:
            self._inner = self._read()
        except OSError as error:
            log.warning("certificates_unreadable: %s; the ones before stay in force: %s", self._named, explain(error))
        else:
            self._stamps = stamps
            log.info("certificates_read_again: %s", self._named)

    @property
    def _named(self) -> str:
        return ", ".join(file for file in self._files if file)

    def _look(self) -> tuple[Stamp, ...]:
        return tuple(stamp(file) for file in self._files)

    def _read(self) -> ssl.SSLContext:
        cafile, certfile, keyfile = self._files
        for file in filter(None, self._files):
            Path(file).open("rb").close()  # the error of the TLS library does not say which file is not there
        context = ssl.create_default_context(cafile=cafile)
        if certfile is not None:
            context.load_cert_chain(certfile, keyfile)
        context.check_hostname = self._verify and self._names
        if not self._verify:
            context.verify_mode = ssl.CERT_NONE
        if self._protocols:
            context.set_alpn_protocols(list(self._protocols))
        return context


def explain_certificate(error: ssl.SSLCertVerificationError, cafile_variable: str) -> str:
    """What is wrong with the certificate that a server showed, and what to do; follows the server's name."""
    said, code = error.verify_message, error.verify_code
    if code == EXPIRED:
        return f"shows a certificate that has expired ({said}): give the server a new one"
    if code == NOT_YET_VALID:
        return f"shows a certificate that is not valid yet ({said}): look at the clocks of both machines"
    if code in WRONG_HOST:
        return (
            f"shows a certificate for another host name ({said}): use a name that stands in the certificate, or give "
            "the server one for this name"
        )
    return (
        f"shows a certificate that is not trusted ({said}): {cafile_variable} names the authorities to trust, by "
        "default the system's"
    )
