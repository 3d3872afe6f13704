"""The application: a FastAPI app whose routes are plain ASGI, behind the door."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route as Routed

from sandbox.server.config import ServerConfig
from sandbox.server.door import Door, Route
from sandbox.server.exchange import Receive, Scope, Send
from sandbox.server.house import House
from sandbox.server.routes import WAYS, openapi

_KINDS = {404: "NotFound", 405: "MethodNotAllowed"}


def create_app(config: ServerConfig) -> FastAPI:
    """Return the application of a server, its boxes already started: see `app.state.house`.

    Raises SandboxUnavailable where no box starts, ValueError for bad keys or data sets.
    """
    house = House(config)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        house.open()
        try:
            yield
        finally:
            app.state.ended = await house.close()

    # Its pages for people would load scripts from elsewhere.
    app = _App(
        title="seedcoder sandbox", version=house.version, docs_url=None, redoc_url=None,
        lifespan=lifespan,
    )  # fmt: skip
    routes = [
        Route(house, way.method, way.path, way.act, way.family, way.open_to_all, way.counts)
        for way in WAYS
    ]
    for route in routes:
        app.router.routes.append(
            Routed(route.path, route, methods=[route.method], include_in_schema=False)
        )
    document = openapi(house.version)
    app.openapi = lambda: document  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(Exception, _fault)
    app.door = Door(super(_App, app).__call__, house, routes)
    app.state.house = house
    app.state.ended = True
    return app


class _App(FastAPI):
    """FastAPI's application behind the door."""

    door: Door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.door(scope, receive, send)


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"there is no {request.method} here" if status == 405 else "there is nothing here"
    error_data = {"type": _KINDS.get(status, "Error"), "message": message}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"error": error_data}, status, headers=headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    """Answer where our code failed; the framework then raises the error for the log."""
    data = {"type": "InternalError", "message": f"the server failed: {type(error).__name__}"}
    return JSONResponse({"error": data}, 500)
