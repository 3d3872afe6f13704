"""`mini`: an agent that has a shell and nothing else.

One system message, the issue, then turns: the model writes one ```bash block, we run it in a
sandbox and show its exit code and output, until it submits or its steps are used up. The idea, one
shell action a turn with nothing kept but files, is mini-swe-agent's
(github.com/SWE-agent/mini-swe-agent); the prompts are ours.

What answers is the difference between the work copy and the project, whenever the episode ends: a
step limit or a full context submits what is there, as SWE-agent does. Lines of output beyond
`SHOWN_CHARS` are left out in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from evals.swe.diff import git_diff
from evals.swe.episodes import Ask, Do, Ending, Episode, Reply
from evals.swe.workplace import Workplace
from evals.think import split
from sandbox.project.shell import Change, Changes
from seedcoder.completion import Finish, Message

SHOWN_CHARS: Final = 8_000  # ours
COMMAND_S: Final = 60.0  # ours
_MALFORMED_MOST: Final = 5  # ours: in a row
_BLOCK: Final = re.compile(r"```(?:bash|sh|shell)[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_SYSTEM: Final = """\
You mend software. You work in a shell, one command at a time, on a copy of a project.

Each reply has a thought of a few lines, then exactly one block:

```bash
one command, or several joined by && or newlines
```

It is run by bash at the top of the project, without a network, for at most {seconds:.0f} seconds.
You then see its exit code and its output. Every command starts in a fresh shell: the next one sees
the project's files as it left them, and nothing else. Editors and pagers do not work; change files
with sed, python or a here-document.

When the issue is resolved, reply with this block alone:

```bash
submit
```

You have {steps} replies. Tests that you do not see will judge the project's files then; changes to
existing tests do not count."""
_TASK: Final = """\
The project is {repo}. This issue was reported:

{issue}

Find the cause, resolve it in the project's source, and check your change by running something.
Then submit."""
_MALFORMED: Final = (
    "Your reply had {count} bash blocks; exactly one is needed. Write the command like this:\n\n"
    "```bash\nls\n```\n\nor submit:\n\n```bash\nsubmit\n```"
)


def episode(place: Workplace, settings: Mapping[str, Any]) -> Episode:
    """Work on one instance. settings: "steps"."""
    steps = int(settings["steps"])
    messages = [
        Message(role="system", content=_SYSTEM.format(seconds=COMMAND_S, steps=steps)),
        Message(role="user", content=_TASK.format(repo=place.repo, issue=place.issue.strip())),
    ]
    changes: Changes = {}
    malformed = 0

    def ended(finish: Finish) -> Ending:
        return Ending(patch=git_diff(place.base, changes), finish=finish)

    for step in range(steps):
        replies: list[Reply] = yield Ask(messages=tuple(messages))
        reply = replies[0]
        if reply.finish == "overflow":
            return ended("overflow")
        said = split(reply.text).answer.strip()
        commands = commands_in(said)
        messages.append(Message(role="assistant", content=said or "(nothing)"))
        left = steps - step - 1
        if len(commands) != 1:
            malformed += 1
            if malformed >= _MALFORMED_MOST:
                return ended("stop")
            seen = _MALFORMED.format(count=len(commands))
            if reply.finish == "length":
                seen = f"Your reply was cut off: be brief. {seen}"
        elif commands[0].strip() in ("submit", "echo submit"):
            return ended("stop")
        else:
            malformed = 0
            told = yield _command(place, commands[0], changes)
            changes = {
                name: Change.from_json(change) if change else None
                for name, change in told["changes"].items()
            }
            seen = told["seen"]
        messages.append(Message(role="user", content=f"{seen}\n\n({left} replies left)"))
    return ended("length")


def commands_in(text: str) -> list[str]:
    """Return the commands of a reply's bash blocks."""
    return [block for block in _BLOCK.findall(text) if block.strip()]


def _command(place: Workplace, command: str, changes: Changes) -> Do:
    def work() -> dict[str, Any]:
        result = place.run(command, changes, timeout_s=COMMAND_S)
        lines = []
        if result.ended:
            lines.append(f"The command was ended, and its changes are lost: {result.ended}.")
        elif result.timed_out:
            lines.append(f"The command was ended after {COMMAND_S:.0f} seconds.")
        else:
            lines.append(f"exit code {result.exit_code}")
        if result.left_out:
            lines.append(f"Not kept, links or too large: {', '.join(result.left_out[:5])}")
        lines.append(shown(result.output) or "(no output)")
        return {
            "seen": "\n".join(lines),
            "changes": {
                name: change.to_json() if change else None
                for name, change in result.changes.items()
            },
        }

    return Do(work=work, about=f"{command}\n{git_diff(place.base, changes)}")


def shown(output: str) -> str:
    """Return an output as the model sees it: without its middle where it is long."""
    output = output.rstrip()
    half = SHOWN_CHARS // 2
    if len(output) <= SHOWN_CHARS:
        return output
    left_out = len(output) - SHOWN_CHARS
    return f"{output[:half]}\n... {left_out} characters left out ...\n{output[-half:]}"
