"""The application: FastAPI's, behind the door."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI

from serve.config import ServeRecipe
from serve.gateway.door import Door
from serve.gateway.exchange import Receive, Scope, Send
from serve.gateway.house import House, make_house
from serve.gateway.routes import WAYS


def create_app(recipe: ServeRecipe, *, runtime_dir: Path, beside: Path | None = None) -> FastAPI:
    """Return the application of a service; its engines start with it. See `app.state.house`.

    runtime_dir: for sockets and the engines' logs. beside: the recipe's folder.
    Raises UsageError for a recipe that cannot be served, MachineLacks for what an engine needs.
    """
    return app_of(make_house(recipe, runtime_dir=runtime_dir, beside=beside))


def app_of(house: House) -> FastAPI:
    """Return the application of a house that is there already."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await house.open()
        try:
            yield
        finally:
            await house.close()

    # FastAPI's pages for people would load scripts from elsewhere.
    app = _App(
        title="seedcoder serve", version=house.version, docs_url=None, redoc_url=None,
        openapi_url=None, lifespan=lifespan,
    )  # fmt: skip
    app.state.house = house
    mounted: list[str] = []
    if house.config.playground:
        from serve.playground.mount import PATH, mount

        mount(app, house)
        mounted.append(PATH)
    app.door = Door(super(_App, app).__call__, house, WAYS, mounted)
    return app


class _App(FastAPI):
    """FastAPI's application behind the door."""

    door: Door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.door(scope, receive, send)
