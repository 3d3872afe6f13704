"""What follows the cursor, found where it is written once more: the model has passed the end."""

from __future__ import annotations

from typing import Final

_ECHO_LEAST: Final = 8  # ours
_ECHO_LONG: Final = 80  # ours: characters more


class Echo:
    """The beginning of what follows the cursor, looked for in what is written."""

    def __init__(self, after: str, characters: int) -> None:
        bare = after.lstrip()
        self._after = bare
        self._needs_line = "\n" in after[: len(after) - len(bare)]
        self._sought = _with_characters(bare, characters)
        # A file may end before that many characters; a bracket alone says nothing.
        self._is_short = len(solid(self._sought)) < min(characters, _ECHO_LEAST)
        self._from = 0

    def find(self, text: str) -> int | None:
        """Return where it stands, None if it does not."""
        if not self._sought or self._is_short:
            return None
        at = text.find(self._sought, self._from)
        while at >= 0 and not self._may_start(text, at):
            at = text.find(self._sought, at + 1)
        return at if at >= 0 else None

    def tail(self, text: str) -> int | None:
        """Return where the text ends with the beginning of it: the model stopped within it."""
        for at in range(max(self._from, len(text) - len(self._sought)), len(text)):
            tail = text[at:].rstrip()
            if len(solid(tail)) < min(4, len(solid(self._sought))):
                break
            if tail and self._sought.startswith(tail) and self._may_start(text, at):
                return at
        return None

    def is_long(self, text: str, at: int) -> bool | None:
        """Say whether so much is echoed that it is none by chance; None where more must come.

        For code whose brackets cannot be counted, as with macros.
        """
        said, meant = text[at:], self._after[: len(self._sought) + _ECHO_LONG]
        if len(said) < len(meant):
            return None if meant.startswith(said) else False
        return said.startswith(meant)

    def skip(self, at: int) -> None:
        """Look behind that place from now on."""
        self._from = at + 1

    def held_from(self, text: str) -> int:
        """Return from where the end of the text may be the beginning of it."""
        for at in range(max(self._from, len(text) - len(self._sought)), len(text)):
            if self._sought.startswith(text[at:]) and self._may_start(text, at):
                return at
        return len(text)

    def _may_start(self, text: str, at: int) -> bool:
        if not self._needs_line:
            return True
        line = text[text.rfind("\n", 0, at) + 1 : at]
        return not line.strip() and "\n" in text[:at]


def _with_characters(text: str, count: int) -> str:
    """Return the beginning of a text that has so many characters which are no white space."""
    seen = 0
    for at, character in enumerate(text):
        seen += not character.isspace()
        if seen == count:
            return text[: at + 1]
    return text.rstrip()


def solid(text: str) -> str:
    """Return a text without its white space."""
    return "".join(text.split())
