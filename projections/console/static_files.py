"""The console's own scripts, styles and icon, sent from memory: an answer that is not read then holds no open file."""

import hashlib
import mimetypes
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = "static"


class StaticFile(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def static_route() -> Route:
    """`/static/{name}`, of the files that are there now."""
    files = {found.name: read(found.name, found.read_bytes()) for found in folder().iterdir() if found.is_file()}

    async def send(request: Request) -> Response:
        if (file := files.get(request.path_params["name"])) is None:
            raise HTTPException(404)
        headers = {"etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)

    return Route(f"/{FOLDER}/{{name}}", send, methods=["GET"])


def folder() -> Traversable:
    return resources.files("projections.console").joinpath(FOLDER)


def read(name: str, body: bytes) -> StaticFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StaticFile(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
