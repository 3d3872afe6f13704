"""What models are asked, in our words. Each says the form in which the reply is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from curate.instruct.styles import Style
from seedcoder.completion import Message

_INSTRUCTION: Final = """\
Below is an excerpt taken from real work. Let it inspire one self-contained programming task.

Rules:
- The task must be solvable by somebody who has never seen the excerpt: do not mention it, quote it
  or refer to files or names that only it defines.
- It asks for working code{language} and has an answer that can be checked.
- It is realistic and takes some thought, but fits in one reply.
- Write it as {style}.

Reply with the task only, between a line <task> and a line </task>.

<excerpt>
{excerpt}
</excerpt>
"""

_BLEND: Final = "a blend of two styles, a new one that has something of both: (1) {0}; (2) {1}"

_RESPONSE: Final = """\
{task}

Answer completely and correctly. Put code in fenced blocks that name their language.
"""

_CORRECTNESS: Final = """\
Judge whether a reply to a programming task is correct. Correctness is all that counts: not style,
length or tone. Work through the task's requirements and edge cases, then give a whole number from
0 (wrong) to 10 (surely correct in every case).

<task>
{task}
</task>

<reply>
{reply}
</reply>

End with one line of the form:
correctness: N
"""

_DIFFICULTY: Final = """\
Describe a programming task. Name the one to five topics that it is about (a few words each, such
as "dynamic programming" or "http clients"), then say how difficult it is among tasks of these
topics: a whole number from 0 (anybody can do it at once) to 10 (few experts can).

<task>
{task}
</task>

End with two lines of the form:
topics: first, second
difficulty: N
"""

_SOLVE: Final = """\
Solve this task with one Python function, and write unit tests for it.

<task>
{task}
</task>

Reply with two fenced blocks and nothing after them. The first, ```python, holds the solution: the
function with all that it needs. The second, ```python, holds the tests: at least {asserts} lines at
the top level, each one assert that calls the function with literal arguments and compares what it
returns, such as: assert name(2, [1, 3]) == 5
Tests cover ordinary and edge cases. They print nothing and use no helper functions.
"""

_REVISE: Final = """\
The solution below fails a test. The tests stay as they are. Find the mistake and write the solution
again, for every input and not for this one.

<task>
{task}
</task>

```python
{source}
```

What went wrong: {why}

Reply with one fenced block, ```python, that holds the whole corrected solution.
"""

_PROBLEM: Final = """\
{task}

Write a Python function with the signature `{signature}`. Reply with one fenced block, ```python,
that holds the whole solution.
"""

_LONGCOT: Final = """\
{task}

First think step by step, at length: explore, check, go back where a path fails. Put all of this
between {open} and {close}. After that give the final answer, with the whole program in one fenced
block.
"""


def _user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def instruction(excerpt: str, language: str, styles: Sequence[Style]) -> tuple[Message, ...]:
    """Ask for a task; one style, or two to be blended. The reply: <task>...</task>."""
    style = styles[0].words if len(styles) == 1 else _BLEND.format(*(x.words for x in styles))
    named = f" in {language}" if language else ""
    return _user(_INSTRUCTION.format(language=named, style=style, excerpt=excerpt))


def response(task: str) -> tuple[Message, ...]:
    """Ask for the answer to a task. The reply is it."""
    return _user(_RESPONSE.format(task=task))


def correctness(task: str, reply: str) -> tuple[Message, ...]:
    """Ask for a score of 10. The reply's last "correctness: N"."""
    return _user(_CORRECTNESS.format(task=task, reply=reply))


def difficulty(task: str) -> tuple[Message, ...]:
    """Ask for topics and a score of 10. The reply's last "topics: ..." and "difficulty: N"."""
    return _user(_DIFFICULTY.format(task=task))


def solve(task: str, asserts: int) -> tuple[Message, ...]:
    """Ask for a solution and tests. The reply: two fenced blocks."""
    return _user(_SOLVE.format(task=task, asserts=asserts))


def revise(task: str, source: str, why: str) -> tuple[Message, ...]:
    """Ask for a corrected solution. The reply: one fenced block."""
    return _user(_REVISE.format(task=task, source=source, why=why))


def problem(task: str, signature: str) -> str:
    """Return a task with the name and parameters that its tests call."""
    return _PROBLEM.format(task=task.rstrip(), signature=signature)


def longcot(task: str, open_tag: str, close_tag: str) -> tuple[Message, ...]:
    """Ask for a long thought and an answer."""
    return _user(_LONGCOT.format(task=task.rstrip(), open=open_tag, close=close_tag))
