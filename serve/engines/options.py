"""Read the `[models.options]` table of an engine that knows its own options.

Each complaint is one line: whose option, which, what would be right.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from seedcoder.errors import UsageError


class Options:
    """The options of one engine."""

    def __init__(
        self, values: Mapping[str, Any], *, of: str, known: Sequence[str] | None = None
    ) -> None:
        """Take the table. known: all there are; None lets any through.

        Raises UsageError for one that is not known, with the nearest that is.
        """
        self._values = values
        self._of = of
        for name in values if known is not None else ():
            assert known is not None
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise self.wrong(name, f"there is no such option; {hint}")

    def wrong(self, name: str, why: str) -> UsageError:
        """Return the error that says so of an option."""
        return UsageError(f"{self._of}: options.{name}: {why}")

    def text(self, name: str) -> str | None:
        """Return a string, or None where it is not said."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(name, f"it must be a text, not {value!r}")
        return value

    def number(self, name: str) -> float | None:
        """Return a positive number, or None where it is not said."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.wrong(name, f"it must be a positive number, not {value!r}")
        return float(value)

    def words(self, name: str) -> tuple[str, ...] | None:
        """Return a list of strings, or None where it is not said."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.wrong(name, f"it must be a list of texts, not {value!r}")
        return tuple(value)

    def table(self, name: str) -> Mapping[str, str]:
        """Return a table of strings; empty where it is not said."""
        value = self._values.get(name, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(one, str) for one in value.values()
        ):
            raise self.wrong(name, f"it must be a table of texts, not {value!r}")
        return value
