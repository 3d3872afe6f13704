"""One growing text, told apart into thought and answer by the tags of a card.

    splitter = Splitter(words)
    thought, answer = splitter.feed("<think>two and t")   # "two and t", ""
    thought, answer = splitter.feed("wo</think>\\n\\n4")    # "wo", "4"
    thought, answer = splitter.end()                      # "", ""

What comes out, joined, does not depend on how the text was cut. The rules, all of them ours:

- A thought begins with the opening tag, where nothing but white space stands before it; or at once
  where the template has opened it (`is_opened`). A tag that opens it again at its beginning is
  dropped. Anywhere else in a thought an opening tag is text: a thought may speak of tags.
- The first closing tag ends the thought, nested or not. (To count tags would lose a whole answer
  for one opening tag that the thought only spoke of.) Another thought may follow at once.
- From the first word of the answer on, tags are text: an answer may be a program that parses them.
- A reply that does not open a thought is an answer from its first word, for it is sent on at once.
  Where a closing tag comes all the same, before any opening one, it alone is left out.
- A thought that is never closed is a thought to its end.
- Line breaks next to a tag are dropped, and so is white space that is all there is of an answer
  after a thought.

Does not guard against a thought that names the closing tag: there it ends.
"""

from __future__ import annotations

from typing import Literal

from serve.card import ThinkingWords

_State = Literal["before", "opened", "thought", "after", "unopened", "answer"]
_BREAKS = "\r\n"


class Splitter:
    """The state between two pieces of one text.

    text: what came before the first piece (a reply that a client began), which is not given back.
    Raises ValueError for tags that are empty or of which one holds the other.
    """

    def __init__(self, words: ThinkingWords, *, text: str = "") -> None:
        self._open, self._close = words.open, words.close
        if not self._open or not self._close:
            raise ValueError("the tags of a thought must not be empty")
        if self._open in self._close or self._close in self._open:
            raise ValueError(f"of the tags {self._open!r}, {self._close!r} one holds the other")
        self._state: _State = "opened" if words.is_opened else "before"
        self._held = ""
        self._has_thought = False
        self.is_closed_once = False
        if text:
            self.feed(text)

    @property
    def is_thinking(self) -> bool:
        """Whether the next piece, as far as is known, is thought."""
        return self._state in ("opened", "thought")

    @property
    def is_undecided(self) -> bool:
        """Whether nothing but white space, or a part of a tag, has come yet."""
        return self._state in ("before", "after")

    @property
    def held(self) -> str:
        """The end of the text that is held back until more has come."""
        return self._held

    def feed(self, piece: str) -> tuple[str, str]:
        """Take the next piece; return what is certain now: of the thought, and of the answer."""
        if self._state == "answer" and not self._held:
            return "", piece
        self._held += piece
        thought: list[str] = []
        answer: list[str] = []
        while self._held and self._step(thought, answer):
            pass
        return "".join(thought), "".join(answer)

    def stand_aside(self) -> None:
        """Take what comes for the answer: someone else tells it apart from the thought."""
        self._state = "answer"

    def end(self) -> tuple[str, str]:
        """Return what was held back; feed nothing after that."""
        held, self._held = self._held, ""
        if self._state in ("opened", "thought"):
            return held.lstrip(_BREAKS) if self._state == "opened" else held, ""
        if self._state == "after" and not held.strip():
            return "", ""
        return "", held.lstrip(_BREAKS) if self._state == "after" else held

    def _step(self, thought: list[str], answer: list[str]) -> bool:
        """Take one step; return whether there may be another."""
        match self._state:
            case "before" | "after":
                return self._begin(thought)
            case "opened":
                return self._begin_thought()
            case "thought":
                return self._think(thought)
            case "unopened":
                return self._look(answer)
            case _:
                answer.append(self._held)
                self._held = ""
                return False

    def _begin(self, thought: list[str]) -> bool:
        """Nothing but white space so far: does a thought begin?"""
        rest = self._held.lstrip()
        if rest.startswith(self._open):
            self._held = rest[len(self._open) :]
            if self._has_thought:
                thought.append("\n\n")
            self._state, self._has_thought = "opened", False
            return True
        if self._open.startswith(rest):
            return False
        if self._state == "after":
            self._held = self._held.lstrip(_BREAKS)
            self._state = "answer"
        else:
            self._state = "unopened"
        return True

    def _begin_thought(self) -> bool:
        """A thought has begun and has no words yet."""
        rest = self._held.lstrip()
        if rest.startswith(self._open):
            self._held = rest[len(self._open) :]
            return True
        if self._open.startswith(rest) or (rest != self._close and self._close.startswith(rest)):
            return False
        if not rest.startswith(self._close):
            self._held = self._held.lstrip(_BREAKS)
        self._state = "thought"
        return True

    def _think(self, thought: list[str]) -> bool:
        at = self._held.find(self._close)
        if at >= 0:
            words = self._held[:at].rstrip(_BREAKS)
            self._held = self._held[at + len(self._close) :]
            if words.strip() or self._has_thought:
                thought.append(words)
                self._has_thought = True
            self._state, self.is_closed_once = "after", True
            return True
        sure = len(self._held) - _begun(self._held, self._close)
        words = self._held[:sure].rstrip(_BREAKS)
        if words.strip() or self._has_thought:
            thought.append(words)
            self._has_thought = True
            self._held = self._held[len(words) :]
        return False

    def _look(self, answer: list[str]) -> bool:
        """An answer that no thought came before: is there a closing tag without an opening one?"""
        opened, closed = self._held.find(self._open), self._held.find(self._close)
        if opened >= 0 and (closed < 0 or opened < closed):
            self._state = "answer"
            return True
        if closed >= 0:
            answer.append(self._held[:closed])
            self._held = self._held[closed + len(self._close) :]
            self._state = "answer"
            return True
        kept = max(_begun(self._held, self._open), _begun(self._held, self._close))
        answer.append(self._held[: len(self._held) - kept])
        self._held = self._held[len(self._held) - kept :]
        return False


def _begun(text: str, tag: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of `tag`."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
