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

from evals.bench import Style
from evals.extract import extract
from evals.problem import Problem
from evals.prune import prune
from seedcoder.completion import Message, Request, Sampling

Dataset = Literal["humaneval", "mbpp"]

_EOS: Final = ("\nif __name__", "\ndef main(", "\nprint(")
_COMPLETION_STOPS: Final = {
    "humaneval": (*_EOS, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    "mbpp": (*_EOS, '\n"""', "\nassert"),
}
_CHAT_STOPS: Final = ("\n```\n", *_EOS)
_INSTRUCTION: Final = (
    "Please provide a self-contained Python script that solves the following problem in a "
    "markdown code block:"
)
_RESPONSE: Final = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:"
)
_MAX_TOKENS: Final = 768  # evalplus/provider/base.py


def asked(problem: Problem, style: Style) -> Request:
    """Return what the model is asked."""
    if style.protocol == "completion":
        return Request(key=problem.key, prompt=_head(problem, style))
    fence = "```" if style.prefill else "```python"
    question = f"{_INSTRUCTION}\n{fence}\n{problem.prompt.strip()}\n```"
    if not style.prefill:
        return Request(key=problem.key, prompt=(Message(role="user", content=question),))
    return Request(
        key=problem.key,
        prompt=(Message(role="user", content=question + "\n"),),
        prefill=f"{_RESPONSE}\n```python\n",
    )


def sampling(dataset: Dataset, style: Style) -> Sampling:
    """Return its sampling: greedy, its stop strings, its length."""
    stop: tuple[str, ...] = _COMPLETION_STOPS[dataset]
    if style.protocol == "chat":
        stop = _CHAT_STOPS if style.prefill else ()
    return Sampling(
        max_tokens=_MAX_TOKENS,
        stop=stop,
        stop_after_fence=style.protocol == "chat" and style.prefill,
    )


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
