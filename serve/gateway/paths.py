"""From a request's method and path to its route."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from serve.fault import Fault
from serve.gateway.routes import Way

_NAMED = re.compile(r"\{(\w+)(:path)?\}")


class Paths:
    """The table of routes, made for looking up."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self._exact: dict[tuple[str, str], Way] = {
            (way.method, way.path): way for way in ways if "{" not in way.path
        }
        self._patterns = [(way.method, _pattern(way.path), way) for way in ways if "{" in way.path]
        self._methods: dict[str, list[str]] = {}
        for way in ways:
            self._methods.setdefault(way.path, []).append(way.method)

    def find(self, method: str, path: str) -> tuple[Way, dict[str, str]] | None:
        """Return the route and what stands for the names in its path; None for no route at all.

        Raises Fault 405 for a path that other methods have.
        """
        method = "GET" if method == "HEAD" else method  # the server leaves out the body
        way = self._exact.get((method, path))
        if way is not None:
            return way, {}
        others = list(self._methods.get(path, ()))
        for theirs, pattern, way in self._patterns:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if theirs == method:
                return way, {name: unquote(value) for name, value in match.groupdict().items()}
            others.append(theirs)
        if others:
            raise Fault(
                405, f"there is no {method[:16]} here; there is {', '.join(sorted(set(others)))}",
                code="method_not_allowed",
            )  # fmt: skip
        return None


def _pattern(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    for match in _NAMED.finditer(path):
        parts.append(re.escape(path[at : match.start()]))
        parts.append(f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})")
        at = match.end()
    parts.append(re.escape(path[at:]))
    return re.compile("".join(parts))
