"""One C++ file out of a submission and the files that an IOI task puts beside it.

huggingface/ioi run_tests/custom_setup/compile compiles the submission with `grader.cpp` or
`stub.cpp` (-DEVAL -std=gnu++17 -O2). The sandbox compiles one file, so the texts are put into one:
the header, the grader, then the submission, each `#include "..."` of a file of the task replaced
by its text, once. The grader comes first, so that no macro of the submission reaches it.

Does not cover: a submission that gives a name of its own to what the grader keeps to its file
(`static`): upstream links the two, here it does not compile.

As in upstream, the grader runs in the submission's process. It holds no expected output; what it
prints is looked at outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from evals.contests.checkers import ioi_checker, ioi_manager, with_named_pipes
from sandbox import Program

_INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"[^\n]*$', re.MULTILINE)
_CONFIG: Final = "graders/grader_config.json"
_COMMUNICATION: Final = "task_type_parameters_Communication_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The files of one IOI task: name ("graders/nile.h") to text."""

    id: str
    files: Mapping[str, str]

    @classmethod
    def of(cls, id: str, grader_files: Sequence[Sequence[str]]) -> Task:
        """Return the task of a row. Raises ValueError for files that are none."""
        try:
            files = {str(name): text for name, text in grader_files if text}
        except (TypeError, ValueError) as error:
            raise ValueError("grader_files: pairs of a name and a text were expected") from error
        return cls(id=id, files=files)

    @property
    def unfit(self) -> str:
        """Why the sandbox cannot judge it; "" when it can."""
        config = self._config()
        if not self.communicates:
            kind = config.get("task_type", "Batch")
            return "" if kind == "Batch" else f"its type is {kind!r}"
        processes = int(config.get(f"{_COMMUNICATION}num_processes") or 1)
        if processes != 1:
            return f"its manager speaks to {processes} processes, and the sandbox to one"
        if config.get(f"{_COMMUNICATION}manager_args"):
            return "its manager wants arguments of its own"
        if "graders/manager.cpp" not in self.files:
            return "it has no manager"
        return "" if self.checker is None else "what its manager says goes to a checker"

    @property
    def communicates(self) -> bool:
        """Whether a manager talks to the program."""
        return self._config().get("task_type") == "Communication"

    @property
    def checker(self) -> Program | None:
        """The checker; None where outputs are compared."""
        source = self.files.get("checker/checker.cpp")
        return None if source is None else ioi_checker(self._whole(source, "checker"))

    @property
    def manager(self) -> Program:
        """The manager of a task that communicates."""
        return ioi_manager(self._whole(self.files["graders/manager.cpp"], "graders"))

    def program(self, submission: str) -> Program:
        """Return what is compiled and judged of a submission; no source for an empty one."""
        if not submission.strip():
            return Program(language="cpp", source="")
        seen: set[str] = set()
        texts = [self._header(seen)]
        for name in ("grader.cpp", "stub.cpp"):
            if text := self.files.get(f"graders/{name}"):
                texts.append(self._whole(text, "graders", seen))
        texts.append(self._whole(_with_includes(submission, self.id), "graders", seen))
        source = "#define EVAL\n" + "\n".join(texts)
        if self.communicates and self._config().get(f"{_COMMUNICATION}user_io") == "fifo_io":
            source = with_named_pipes(source)
        return Program(language="cpp", source=source)

    def _header(self, seen: set[str]) -> str:
        return self._whole(f'#include "{self.id}.h"', "graders", seen)

    def _whole(self, text: str, folder: str, seen: set[str] | None = None) -> str:
        """Return a text with the task's files that it includes written into it, each once."""
        done = set() if seen is None else seen

        def instead(found: re.Match[str]) -> str:
            name = PurePosixPath(found[1]).name
            for place in (folder, "graders", "checker"):
                path = f"{place}/{name}"
                if path in self.files:
                    if path in done:
                        return ""
                    done.add(path)
                    return self._whole(self.files[path], place, done)
            return found[0]

        return _INCLUDE.sub(instead, text)

    def _config(self) -> Mapping[str, Any]:
        try:
            config = json.loads(self.files.get(_CONFIG, "{}"))
        except ValueError as error:
            raise ValueError(f"{_CONFIG} is not JSON: {error}") from error
        return config if isinstance(config, dict) else {}


def _with_includes(code: str, id: str) -> str:
    """Return a submission with what models leave out.

    huggingface/open-r1 src/open_r1/utils/competitive_programming/ioi_utils.py (`add_includes`).
    """
    head = "#include <bits/stdc++.h>\n"
    if f'#include "{id}.h"' not in code:
        head += f'#include "{id}.h"\n'
    if "using namespace std;" not in code:
        head += "\nusing namespace std;\n\n"
    return head + code
