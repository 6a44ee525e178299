"""The console as an ASGI application."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from projections.console.api import Api, Console
from projections.console.limits import RateLimit
from projections.console.pages import Pages
from projections.console.refusals import Caught, Refusals
from projections.console.rendering import make_templates
from projections.console.shell import Limited, SecurityHeaders
from projections.console.static_files import static_route
from projections.console.tokens import AccessError


def make_app(console: Console) -> Starlette:
    templates = make_templates()
    refusals = Refusals(templates)
    handlers: dict[Any, Any] = {AccessError: refusals.refuse, HTTPException: refusals.miss}
    made = Starlette(
        routes=[*Api(console).routes(), *Pages(console, templates).routes(), static_route()],
        middleware=[
            Middleware(SecurityHeaders),
            # Around what refuses: a page of another origin reads why, too.
            Middleware(
                CORSMiddleware,
                allow_origins=list(console.settings.console_origins),
                allow_methods=["GET"],
                allow_headers=["Authorization"],
                expose_headers=["Retry-After"],
                max_age=600,
            ),
            Middleware(
                Limited, limit=RateLimit(console.settings.console_requests), clock=console.clock, refusals=refusals
            ),
            Middleware(Caught, refusals=refusals),
        ],
        exception_handlers=handlers,
    )
    # It would lead to whatever host the request names.
    made.router.redirect_slashes = False
    return made
