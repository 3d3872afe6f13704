"""Put the page below a gateway's application, or on a server of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from serve.config import SandboxTable
from serve.fault import Fault
from serve.playground.asking import Refused
from serve.playground.page import build
from serve.playground.rights import EVERYONE, LOOKERS, Rights

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve.gateway.house import House
    from serve.keys import KeyHolder, KeyStore

PATH: Final = "/playground"


def mount(app: FastAPI, house: House, *, path: str = PATH) -> None:
    """Put the page at `path` of a gateway; it asks that gateway in this process, door and all.

    Where the gateway has keys, the page asks the visitor for his: it is sent with what he asks,
    code runs only for a key that may run code, and runs are shown only to a key that is known.
    Without keys everyone on this machine may do all of it; where the gateway is open to others,
    nobody may have code run, as on the gateway's own routes.
    """
    from serve.playground.in_process import InProcess

    page = build(
        # The gateway's door looks at the name that it is called by.
        "http://127.0.0.1",
        runs_dir=house.config.runs_dir,
        sandbox=house.recipe.sandbox,
        transport=InProcess(app),
        rights=_rights(house),
    )
    _mount(app, page, path, is_local=False)


def alone(
    base_url: str,
    *,
    key: str | None = None,
    runs_dir: Path | None = None,
    sandbox: SandboxTable,
    is_local: bool = True,
) -> FastAPI:
    """Return an application with the page at its root, for a gateway elsewhere.

    is_local: it listens on loopback only, so that pages of other sites are turned away.
    """
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = build(base_url, key=key, runs_dir=runs_dir, sandbox=sandbox)
    _mount(app, page, "/", is_local=is_local)
    return app


def _rights(house: House) -> Rights:
    if house.keys is None:
        return LOOKERS if house.config.is_open else EVERYONE
    keys: KeyStore = house.keys

    def holder(secret: str) -> KeyHolder | None:
        try:
            return keys.find(secret) if secret else None
        except Fault as fault:
            raise Refused(fault.message) from fault

    async def is_known(secret: str) -> bool:
        return holder(secret) is not None

    async def may_run(secret: str) -> bool:
        found = holder(secret)
        return found is not None and found.may_run_code

    return Rights(is_known=is_known, may_run=may_run)


def _mount(app: FastAPI, page: Any, path: str, *, is_local: bool) -> None:
    import gradio as gr
    from starlette.middleware import Middleware

    from serve.playground.look import look
    from serve.playground.narrow import Narrow

    gr.mount_gradio_app(
        app,
        page,
        path=path,
        app_kwargs={"middleware": [Middleware(Narrow, is_local=is_local)]},
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        **look(),
    )
