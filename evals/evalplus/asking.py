"""How EvalPlus 0.3.1 asks, and what it makes of a reply.

Wording and form are those of evalplus/codegen.py (the two sentences; a prompt without the white
space around it), evalplus/provider/utility.py (`make_raw_chat_prompt`, `EOS`,
`extra_eos_for_direct_completion`), evalplus/provider/hf.py (the closing fence as a stop, tabs as
four spaces) and evalplus/provider/openai.py (a server's chat: no reply begun, no stops). Stops that
are special tokens are left to the engine, which ends there anyway.

As for `humaneval`: a completion is asked without the newline that EvalPlus puts at the end of the
prompt (`strip_prompt = false` asks with it); where EvalPlus's sanitizer takes the longest run of
lines that parses, we take the block that defines the function (`evals.extract`), and of it what the
function needs (`evals.prune`).
"""

from __future__ import annotations

import ast
from typing import Final, Literal

from evals.begun import EOS, begun, greedy
from evals.bench import Style
from evals.extract import extract
from evals.problem import Problem
from evals.prune import prune
from seedcoder.completion import Request, Sampling

Dataset = Literal["humaneval", "mbpp"]

_COMPLETION_STOPS: Final = {
    "humaneval": (*EOS, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    "mbpp": (*EOS, '\n"""', "\nassert"),
}
_MAX_TOKENS: Final = 768  # evalplus/provider/base.py


def asked(problem: Problem, style: Style) -> Request:
    """Return what the model is asked."""
    if style.protocol == "completion":
        return Request(key=problem.key, prompt=_head(problem, style))
    fence = "```" if style.prefill else "```python"
    return begun(problem.key, f"{fence}\n{problem.prompt.strip()}\n```", style)


def sampling(dataset: Dataset, style: Style) -> Sampling:
    """Return its sampling: greedy, its stop strings, its length."""
    return greedy(style, _COMPLETION_STOPS[dataset], _MAX_TOKENS)


def source(dataset: Dataset, problem: Problem, text: str, style: Style) -> str:
    """Return the program in a reply, "" where it holds none.

    Replies are cut at the stop strings here too: not every server holds to them.
    """
    for stop in sampling(dataset, style).stop:
        text = text.partition(stop)[0]
    text = text.replace("\t", "    ")
    name = problem.entry_point
    if style.protocol == "completion":
        whole = _head(problem, style) + text
        if not text.strip():
            return ""
        if not _parses(whole):  # cut off in the middle of a statement, mostly
            whole = extract(whole, name) or whole
        return prune(whole, name)
    code = extract(text, name, prompt=problem.prompt, fence_open=style.prefill)
    if not code:
        return ""
    # A reply with a __future__ import, which must come first, brings its own imports.
    if style.prelude and "from __future__" not in code:
        code = _prelude(problem) + code
    return prune(code, name)


def _head(problem: Problem, style: Style) -> str:
    return problem.prompt.strip() + ("" if style.strip_prompt else "\n")


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _prelude(problem: Problem) -> str:
    """Return what the prompt has before its function: imports, and helpers of some problems."""
    for node in ast.parse(problem.prompt).body:
        if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point:
            lines = problem.prompt.split("\n")[: node.lineno - 1]
            return "\n".join([*lines, ""]).lstrip("\n")
    return ""
