"""The SCRAM verifier, against the example that Postgres's own documents derive from (RFC 7677)."""

import base64
import hashlib
import hmac

from meter.roles import scram_verifier


def test_the_verifier_proves_the_client_of_rfc_7677() -> None:
    """The RFC's exchange: user "user", password "pencil". From the verifier alone the server checks its proof."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    method, iterations_and_salt, keys = scram_verifier("pencil", salt).split("$")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    assert (method, iterations_and_salt) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored_key, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    assert (
        base64.b64encode(hmac.digest(server_key, message, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )
