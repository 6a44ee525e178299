"""The console as an ASGI application."""

from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from projections.console.api import Api, Console
from projections.console.limits import RateLimit
from projections.console.pages import Pages
from projections.console.shell import Limited, SecurityHeaders
from projections.console.tokens import AccessError


def make_app(console: Console) -> Starlette:
    pages = Pages(console)
    static = str(resources.files("projections.console").joinpath("static"))
    handlers: dict[Any, Any] = {AccessError: pages.refuse}
    return Starlette(
        routes=[*Api(console).routes(), *pages.routes(), Mount("/static", StaticFiles(directory=static))],
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
