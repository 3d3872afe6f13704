"""The sandbox over HTTP: native routes, and those of SandboxFusion and Piston.

Importing this package loads no web framework; `create_app` does when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.server.config import ServerConfig

if TYPE_CHECKING:
    from sandbox.server.app import create_app

__all__ = ["ServerConfig", "create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from sandbox.server.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
