#!/usr/bin/python3
"""A mail catcher: keeps what it is sent, lists it at /api/v1/messages, shows one at /api/v1/message/ID/raw.

`mailpit readyz` asks a running one whether it answers. MP_SMTP_TLS_CERT and MP_SMTP_TLS_KEY turn STARTTLS on.
"""

import email
import email.policy
import http.client
import json
import os
import ssl
import sys
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

SMTP_PORT, HTTP_PORT = 1025, 8025
kept: list[Envelope] = []


class Keep:
    async def handle_DATA(  # noqa: N802  # aiosmtpd finds it by this name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        kept.append(envelope)
        return "250 2.0.0 kept"


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        if path == ["readyz"]:
            self.answer(b"ok")
        elif path == ["api", "v1", "messages"]:
            newest_first = [describe(n, envelope) for n, envelope in enumerate(kept)][::-1]
            self.answer(json.dumps({"total": len(kept), "messages": newest_first}).encode())
        elif path[:3] == ["api", "v1", "message"] and path[4:] == ["raw"] and path[3].isdecimal():
            self.answer(kept[int(path[3])].original_content or b"")
        else:
            self.send_error(404)

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def describe(number: int, envelope: Envelope) -> dict[str, Any]:
    message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return {
        "ID": str(number),
        "MessageID": str(message["Message-ID"]).strip("<>"),
        "From": {"Address": envelope.mail_from},
        "To": [{"Address": recipient} for recipient in envelope.rcpt_tos],
        "Subject": str(message["Subject"]),
    }


def tls() -> ssl.SSLContext | None:
    if not (certificate := os.environ.get("MP_SMTP_TLS_CERT")):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, os.environ["MP_SMTP_TLS_KEY"])
    return context


def ask() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=4)
    connection.request("GET", "/readyz")
    return int(connection.getresponse().status != 200)


def main() -> int:
    if sys.argv[1:] == ["readyz"]:
        return ask()
    Controller(Keep(), hostname="0.0.0.0", port=SMTP_PORT, tls_context=tls()).start()
    ThreadingHTTPServer(("0.0.0.0", HTTP_PORT), Api).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
