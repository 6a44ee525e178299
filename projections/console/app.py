"""The console as an ASGI application."""

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from projections.console.api import Api, Console
from projections.console.limits import RateLimit
from projections.console.pages import Pages
from projections.console.shell import Limited, SecurityHeaders
from projections.console.static_files import static_route
from projections.console.tokens import AccessError


def make_app(console: Console) -> Starlette:
    pages = Pages(console)
    handlers: dict[Any, Any] = {AccessError: pages.refuse}
    return Starlette(
        routes=[*Api(console).routes(), *pages.routes(), static_route()],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Limited, limit=RateLimit(console.settings.console_requests), clock=console.clock),
            Middleware(
                CORSMiddleware,
                allow_origins=list(console.settings.console_origins),
                allow_methods=["GET"],
                allow_headers=["Authorization"],
                max_age=600,
            ),
        ],
        exception_handlers=handlers,
    )
