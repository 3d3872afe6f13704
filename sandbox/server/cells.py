"""`/v1/sessions`: notebooks over HTTP. A session's id is all that is needed to use it: keep it.

A cell blocks a thread of its own; its client may go away, the cell goes on to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sandbox.errors import SandboxError
from sandbox.server.bodies import CellBody, OpenSessionBody, checked, limits_of
from sandbox.server.exchange import Exchange, parsed
from sandbox.server.house import House
from sandbox.server.native import body_of
from sandbox.server.refusal import Refusal, Reply, full, invalid, reply_json
from sandbox.session.many import SessionsFull, UnknownSession
from sandbox.session.result import SessionOver

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def open_session(house: House, exchange: Exchange) -> Reply:
    """Open a session; answer with its id."""
    body = checked(OpenSessionBody, parsed(await body_of(house, exchange)))
    if body.language not in ("python", "python3"):
        raise invalid("language: sessions are of python only", ("language",))
    limits = limits_of(body.limits, house.config) if body.limits else None
    sessions = house.sessions()
    name = await asked(house, sessions.open, limits, body.cell_s, body.cell_wall_s)
    return reply_json({"id": name})


async def run_cell(house: House, exchange: Exchange) -> Reply:
    """Run a cell; answer with what it did."""
    body = checked(CellBody, parsed(await body_of(house, exchange)))
    result = await asked(house, house.sessions().run, exchange.parameters["id"], body.source)
    return reply_json(result.to_json(), note=result.kind.value)


async def close_session(house: House, exchange: Exchange) -> Reply:
    """End a session."""
    await asked(house, house.sessions().close, exchange.parameters["id"])
    return Reply(b"", 204)


async def asked(house: House, work: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
    """Do something with sessions in a thread. Raises Refusal, SandboxError."""
    try:
        return await house.in_thread(work, *args, **words)
    except SessionsFull as error:
        raise full(str(error), 10) from None
    except UnknownSession:
        raise Refusal(404, "UnknownSession", "no session has that id") from None
    except SessionOver as error:
        raise Refusal(410, "SessionOver", str(error)) from None
    except SandboxError:
        raise
    except ValueError as error:
        raise invalid(str(error)) from None
