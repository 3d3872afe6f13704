"""What one cell of a session did, and why a session is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.outcome import Kind


class SessionOver(RuntimeError):
    """The session has ended: its message says why. `Session.restart` begins anew, without state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellError:
    """What a cell raised. traceback: text for a person; it begins in the cell, `Cell [n], line m`.

    name: the exception's type; "SessionOver" where the cell ended its process.
    """

    name: str
    message: str
    traceback: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """One cell, as its process tells it; only what is said to be measured is told from outside.

    kind: PASSED, nothing was raised. CRASHED, it raised or ended its process. TIMEOUT, MEMORY,
        OUTPUT, it went over a limit. COMPILE_ERROR, it is no Python. FORBIDDEN, a system call was.
    value: repr of the last expression; None where that is no expression, or its value None.
    displays: what the cell showed, in order: from form to content, as text ("text/plain",
        "text/html", "image/svg+xml") or base64 ("image/png"). The value is among them where it has
        more forms than its repr.
    stdout, stderr: what descriptors 1 and 2 were written, by whomever; measured.
    truncated: stdout, stderr, value or traceback was cut.
    cpu_s, wall_s: measured. cpu_s is that of the whole box: of earlier cells' threads too.
    number: of the cell, from 1; as in its traceback.
    over: why the session ended with this cell; "" while it goes on.
    """

    kind: Kind
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    value: str | None = None
    error: CellError | None = None
    displays: tuple[Mapping[str, str], ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    number: int = 0
    over: str = ""

    @property
    def ok(self) -> bool:
        """True when the cell passed."""
        return self.kind is Kind.PASSED

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        data["kind"] = self.kind.value
        data["error"] = self.error and self.error.to_json()
        data["displays"] = [dict(display) for display in self.displays]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellResult:
        """Return the result that `to_json` wrote."""
        error = data["error"]
        return cls(
            **{
                **data,
                "kind": Kind(data["kind"]),
                "error": CellError(**error) if error else None,
                "displays": tuple(dict(display) for display in data["displays"]),
            }
        )
