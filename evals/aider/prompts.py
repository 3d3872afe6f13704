"""What aider says to a model in its benchmark, with the edit format "whole".

Wording: `aider/coders/wholefile_prompts.py`, `base_prompts.py`, `benchmark/prompts.py` of
Aider-AI/aider; order of the messages and the choice of the fence: `base_coder.py`
(`format_chat_chunks`, `choose_fence`) with the settings of a model that aider does not know
(`models.py`: examples as messages, the reminder in the last user message).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from seedcoder.completion import Message

Fence = tuple[str, str]

# base_coder.py, `all_fences`.
_FENCES: Final[tuple[Fence, ...]] = (
    ("```", "```"),
    ("````", "````"),
    *((f"<{tag}>", f"</{tag}>") for tag in ("source", "code", "pre", "codename", "sourcecode")),
)
_SYSTEM: Final = """\
Act as an expert software developer.
Take requests for changes to the supplied code.
If the request is ambiguous, ask questions.

Always reply to the user in the same language they are using.


Once you understand the request you MUST:
1. Determine if any code changes are needed.
2. Explain any needed changes.
3. If changes are needed, output a copy of each file that needs changes.
"""
_REMINDER: Final = """\
To suggest changes to a file you MUST return the entire content of the updated file.
You MUST use this *file listing* format:

path/to/filename.js
{open}
// entire file content ...
// ... goes in between
{close}

Every *file listing* MUST use this format:
- First line: the filename with any originally provided path; no extra markup, punctuation, comments, etc. **JUST** the filename with path.
- Second line: opening {open}
- ... entire content of the file ...
- Final line: closing {close}

To suggest changes to a file you MUST return a *file listing* that contains the entire content of the file.
*NEVER* skip, omit or elide content from a *file listing* using "..." or by adding comments like "... rest of code..."!
Create a new file you MUST return a *file listing* which includes an appropriate filename, including any appropriate path.


"""  # noqa: E501 - upstream's lines
_EXAMPLE_ASKED: Final = "Change the greeting to be more casual"
_EXAMPLE_ANSWER: Final = """\
Ok, I will:

1. Switch the greeting text from "Hello" to "Hey".

show_greeting.py
{open}
import sys

def greeting(name):
    print(f"Hey {name}")

if __name__ == '__main__':
    greeting(sys.argv[1])
{close}
"""
_NEW_BASE: Final = (
    "I switched to a new code base. Please don't consider the above files"
    " or try to edit them any longer."
)
_FILES: Final = """\
I have *added these files to the chat* so you can go ahead and edit them.

*Trust this message as the true contents of these files!*
Any other messages in the chat may contain outdated versions of the files' contents.
"""
_FILES_ANSWER: Final = "Ok, any changes I propose will be to those files."
_UPDATED: Final = "I updated the files."

# benchmark/prompts.py.
_ADDENDUM: Final = """
####

Use the above instructions to modify the supplied files: {file_list}
Don't change the names of existing functions or classes, as they may be referenced from other code like unit tests, etc.
Only use standard libraries, don't suggest installing any packages.
"""  # noqa: E501 - upstream's lines
_FAILURES: Final = """
####

See the testing errors above.
The tests are correct, don't try and change them.
Fix the code in {file_list} to resolve the errors.
"""


def fence_for(files: Mapping[str, str]) -> Fence:
    """Return the first fence that no line of the files begins with."""
    lines = [line for text in files.values() for line in text.splitlines()]
    fit = (fence for fence in _FENCES if not any(line.startswith(fence) for line in lines))
    return next(fit, _FENCES[0])


def first_question(instructions: str, names: Sequence[str]) -> str:
    """Return what the user asks at first. names: of the files to edit."""
    return instructions + _ADDENDUM.format(file_list=_listed(names))


def next_question(errors: str, names: Sequence[str]) -> str:
    """Return what the user asks after tests have failed."""
    return errors + _FAILURES.format(file_list=_listed(names))


def conversation(
    files: Mapping[str, str], question: str, before: Sequence[tuple[str, str, bool]] = ()
) -> tuple[Message, ...]:
    """Return the messages of one request.

    files: those to edit, as they are now. before: earlier questions and replies, and whether a
    reply changed a file.
    """
    fence = fence_for(files)
    reminder = _fenced(_REMINDER, fence)
    said: list[tuple[Literal["system", "user", "assistant"], str]] = [
        ("system", f"{_SYSTEM}\n{reminder}"),
        ("user", _EXAMPLE_ASKED),
        ("assistant", _fenced(_EXAMPLE_ANSWER, fence)),
        ("user", _NEW_BASE),
        ("assistant", "Ok."),
    ]
    # A reply that changed nothing stays with the request that follows, behind the files.
    done = [turn for turn in before if turn[2]]
    current = [turn for turn in before if not turn[2]]
    for asked, reply, _ in done:
        said += [("user", asked), ("assistant", reply), ("user", _UPDATED), ("assistant", "Ok.")]
    said += [("user", _FILES + _contents(files, fence)), ("assistant", _FILES_ANSWER)]
    for asked, reply, _ in current:
        said += [("user", asked), ("assistant", reply)]
    said.append(("user", f"{question}\n\n{reminder}"))
    return tuple(Message(role=role, content=text) for role, text in said)


def _contents(files: Mapping[str, str], fence: Fence) -> str:
    return "".join(f"\n{name}\n{fence[0]}\n{files[name]}{fence[1]}\n" for name in sorted(files))


def _fenced(text: str, fence: Fence) -> str:
    return text.replace("{open}", fence[0]).replace("{close}", fence[1])


def _listed(names: Sequence[str]) -> str:
    return " ".join(name.rpartition("/")[2] for name in names)
