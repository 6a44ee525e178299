"""Who asks: a token in the header, or the cookie that it was exchanged for. Tokens never stand in an address."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from meter.runtime.clock import Clock
from projections.console.settings import ConsoleSettings, is_loopback
from projections.console.tokens import ANYBODY, AccessError, Tokens, Viewer

# The prefix has browsers refuse the cookie unless it is Secure, of this host alone and of every path.
COOKIE: Final = "__Host-credit-console"
BEARER: Final = "bearer "


class Guard:
    def __init__(self, settings: ConsoleSettings, clock: Clock) -> None:
        self._tokens = Tokens(settings) if settings.has_keys else None
        self._clock = clock

    @property
    def has_keys(self) -> bool:
        return self._tokens is not None

    def read(self, token: str) -> Viewer:
        """Raises AccessError. Without keys every token will do, for everybody may look."""
        return ANYBODY if self._tokens is None else self._tokens.read(token, self._clock.now())

    def viewer(self, request: Request) -> Viewer:
        """Raises AccessError."""
        if self._tokens is None:
            check_local(request)
            return ANYBODY
        scheme = request.headers.get("authorization", "")
        if scheme[: len(BEARER)].lower() == BEARER:
            return self.read(scheme[len(BEARER) :].strip())
        if token := request.cookies.get(COOKIE):
            return self.read(token)
        raise AccessError(401, "token_missing", "Sign in with a token for this account.")

    def admit(self, request: Request, account_id: str) -> Viewer:
        """The viewer, where it may see this account. Raises AccessError."""
        viewer = self.viewer(request)
        if not viewer.may_see(account_id):
            raise AccessError(403, "other_account", "The token is for another account.")
        return viewer


def check_local(request: Request) -> None:
    """Without keys anybody on this machine may look, but no page of the web through a name that leads here."""
    if not is_loopback(host_of(request)):
        raise AccessError(403, "not_local", "Without keys the console answers under a loopback address only.")


def host_of(request: Request) -> str:
    return split_address(f"//{request.headers.get('host', '')}").hostname or ""


def split_address(text: str) -> SplitResult:
    """What a header names; without any part where it is no address."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def check_origin(request: Request) -> None:
    """What changes anything comes from a page of ours. Raises AccessError."""
    origin = request.headers.get("origin")
    if origin is not None and split_address(origin).netloc != request.headers.get("host"):
        raise AccessError(403, "other_origin", "This form was sent from another site.")
    if origin is None and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise AccessError(403, "other_origin", "This form was sent from another site.")


def set_session(response: Response, token: str, viewer: Viewer, clock: Clock) -> None:
    """The cookie ends with the token."""
    seconds = None if viewer.until is None else max(1, int((viewer.until - clock.now()).total_seconds()))
    response.set_cookie(COOKIE, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")


def end_session(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
