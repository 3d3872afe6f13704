"""How LiveCodeBench asks: its prompts, word for word.

LiveCodeBench/LiveCodeBench lcb_runner/prompts/code_generation.py, as it has been since releases
v5 and v6. Its styles are prompts already put into a model's chat template; here they are
messages, and the model's own template does that:

generic  `LMStyle.OpenAIChat`, what instruct models are asked by.
r1       `LMStyle.DeepSeekR1`, what many reasoning models are compared by.
qwq      `LMStyle.QwQ`.
codeqwen `LMStyle.CodeQwenInstruct`.
base     `LMStyle.GenericBase`: one solved example before the question (`shots`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from seedcoder.completion import Message

Wording = Literal["generic", "r1", "qwq", "codeqwen"]

_TASK: Final = (
    "You will be given a question (problem specification) and will generate a correct Python "
    "program that matches the specification and passes all tests."
)
_SYSTEM: Final[dict[Wording, str]] = {
    "generic": f"You are an expert Python programmer. {_TASK}",
    "r1": (
        "A conversation between User and Assistant. The user asks a question, and the Assistant "
        "solves it. The assistant first thinks about the reasoning process in the mind and then "
        "provides the user with the answer. The reasoning process and answer are enclosed within "
        "<think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning "
        "process here </think> <answer> answer here </answer>."
    ),
    "qwq": (
        "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. You should "
        "think step-by-step."
    ),
    "codeqwen": "You are a helpful assistant.",
}
_FORMAT_STARTER: Final = (
    "You will use the following starter code to write the solution to the problem and enclose "
    "your code within delimiters."
)
_FORMAT_STDIN: Final = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly "
    "test on the sample inputs). Enclose your code within delimiters as follows. Ensure that when "
    "the python program runs, it reads the inputs, runs the algorithm and writes output to STDOUT."
)
_BLANK: Final = "# YOUR CODE HERE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One solved example: upstream's `func.json` and `stdin.json` hold a list of them."""

    question: str
    sample_code: str
    answer: str


def chat(wording: Wording, question: str, starter: str) -> tuple[Message, ...]:
    """Return the messages of a question. starter: "" for problems that read stdin."""
    form = _FORMAT_STARTER if starter else _FORMAT_STDIN
    fenced = f"```python\n{starter or _BLANK}\n```\n\n"
    if wording == "generic":
        user = (
            f"### Question:\n{question}\n\n### Format: {form}\n{fenced}"
            "### Answer: (use the provided format with backticks)\n\n"
        )
    else:
        only = " You will NOT return anything except for the program."
        task = f"{_TASK}{only}" if wording == "codeqwen" else _TASK
        user = f"{task}\n\nQuestion: {question}\n\n{form}\n{fenced}"
    return Message(role="system", content=_SYSTEM[wording]), Message(role="user", content=user)


def completion(question: str, starter: str, shot: Shot | None) -> str:
    """Return what a base model continues: the example, where there is one, then the question."""
    head = ""
    if shot is not None:
        head = _block(shot.question, shot.sample_code if starter else "") + f"{shot.answer}\n\n"
    return head + _block(question, starter)


def _block(question: str, starter: str) -> str:
    code = f"### Starter Code\n{starter}\n\n" if starter else ""
    return f"### Question\n{question}\n\n{code}### Answer\n\n"
