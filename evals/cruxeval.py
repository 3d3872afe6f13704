"""CRUXEval (Gu et al. 2024, arXiv 2401.03065): 800 short functions to execute in one's head.

`cruxeval-o` asks what `f` returns for an input, `cruxeval-i` for any input with which `f` returns
an output. Data, prompts, stops, extraction and rules are those of facebookresearch/cruxeval: data/
cruxeval.jsonl, prompts.py, inference/tasks/{input,output}_prediction.py, openai/openai_prompt.py,
openai/openai_run.py, evaluation/utils_general.py, evaluation/utils_execute.py.

Prompts    Few-shot, the same for completion and chat; chat models are told a system message first.
           Option `cot`: step by step (one example), or at once (two). Prompts end in a newline, as
           upstream's do: `strip_prompt`, `prefill` and `prelude` have no say here.
Sampling   temperature 0.2, top_p 0.95 (chat: 1.0), stop "[/ANSWER]". Upstream draws 10 samples and
           tells pass@1 and pass@5; Qwen2.5-Coder's suite, which the Seed-Coder paper ran, draws
           one. Its reply may have 1024 tokens (its `--max_length_generation`; upstream counts the
           prompt in). Chat: 100 tokens, with `cot` 1000 (openai_run.py).
Answer     The text after "[ANSWER]" (with `cot`), of that what is right (output) or left (input)
           of the first "==", without "assert". Upstream has two readings for a `cot` reply without
           "[ANSWER]": of a completion the whole text, of a chat its last line; both are kept.
Rules      An output answer that repeats the very call `f(<input>)`, and an input answer without
           "f(", are false without being run. All else is right when, after the function,
           `assert <output> == <answer>` passes within 3 seconds.

How the same verdict comes about here: the assertion is parsed, never run. What stands right of its
`==` is evaluated in the box after the function, and the value comes out and is compared with the
expected one outside, by Python's `==`. Statements after the assertion are run there too, as
upstream runs them: an error in them fails the answer.

Differs from upstream, to the model's loss, on purpose: an answer that turns the assertion into
another one (`17 or True`), an input answer that has "f(" in a comment or a string only
(`17 # f(`), and values of types that are not plain data (an object that equals everything). None
of Code Llama's 8000 published answers is of that kind.
Does not stop: an output answer that computes its value (`f( 1)`, `f((1))`): upstream counts it.

`skip_ill_formed` is the rule of Qwen2.5-Coder's copy of the grader (qwencoder-eval/instruct/
cruxeval/evaluation/utils_general.py): answers that are not run do not count among a problem's
samples, if any other of them passes. With one sample a problem it changes nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.cruxeval_prompts import SYSTEM, input_prompt, output_prompt
from evals.data import DataFile, Hub, Source, digests
from evals.problem import Problem, Score
from evals.scores import pass_scores
from evals.spoil import spoilt
from sandbox import Call, CallTests, Kind, Limits, Program
from sandbox.compare import EQUAL
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Mode = Literal["input", "output"]

SOURCE: Final = Source(
    bench="cruxeval",
    folder="cruxeval",
    file="cruxeval.jsonl",
    hub=Hub(repo="cruxeval-org/cruxeval", split="test"),
    get=(
        "data/cruxeval.jsonl of github.com/facebookresearch/cruxeval (MIT), JSON lines with code, "
        "input, output and id"
    ),
)
# Of the rows and not of the file: the hub's export may be spelt otherwise.
ROWS_SHA256: Final = "5156b069ebd59bcd4ae65a844227d1e9877f01e7c8a8a8755264fc7983f8867f"
_COLUMNS: Final = ("id", "code", "input", "output")

_STOP: Final = "[/ANSWER]"
_TEMPERATURE: Final = 0.2
_TOP_P: Final = 0.95  # inference/generation_arguments.py; openai_run.py leaves it at 1
_COMPLETION_TOKENS: Final = 1024
_CHAT_TOKENS: Final = {True: 1000, False: 100}  # by `cot`
_CPU_S: Final = 3.0  # evaluation/utils_general.py, there of wall time

_ENTRY: Final = "predicted"
_EXPRESSION: Final = "ANSWER = "


class CruxEval(Bench):
    """The benchmark, in one of its two modes. See the module's words."""

    version = "2024-01, 800 functions"
    licence = "MIT"

    def __init__(
        self, mode: Mode, *, path: Path | None = None, cot: bool = False, skip: bool = False
    ) -> None:
        """Take the published data, or a file of the same form at `path`."""
        self._mode: Mode = mode
        self._cot = cot
        self._skip = skip
        self._published = path is None
        self._data = DataFile(SOURCE, path)

    @property
    def name(self) -> str:
        """The name that recipes use."""
        return "cruxeval-i" if self._mode == "input" else "cruxeval-o"

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        rows = list(self._data.rows(needs=_COLUMNS))
        if self._published and rows_sha256(rows) != ROWS_SHA256:
            raise MachineLacks(
                f"cruxeval: {self._data.path} does not hold the 800 rows that were published; "
                f"{SOURCE.get}"
            )
        return tuple(self._problem(row, number) for number, row in enumerate(rows, start=1))

    def _problem(self, row: Mapping[str, Any], number: int) -> Problem:
        where = f"cruxeval: {self._data.path}, row {number}"
        for name in _COLUMNS:
            if not isinstance(row[name], str):
                raise UsageError(f"{where}: {name} must be a string")
        try:
            ast.literal_eval(row["output"])
        except (ValueError, SyntaxError) as error:
            raise UsageError(f"{where}: output is not a literal: {row['output']!r:.60}") from error
        code, given, output = row["code"], row["input"], row["output"]
        prompt = (
            input_prompt(code, output, cot=self._cot)
            if self._mode == "input"
            else output_prompt(code, given, cot=self._cot)
        )
        return Problem(
            key=row["id"],
            prompt=prompt,
            entry_point="f",
            tests={"code": code, "input": given, "output": output},
            canonical=f"f({given})" if self._mode == "input" else output,
            date="2024-01-05",  # the paper's first version
        )

    @cached_property
    def _tests(self) -> Mapping[str, CallTests]:
        return {problem.key: _tests(problem) for problem in self._problems}

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of the file."""
        return digests(self._data)

    def problems(self) -> Sequence[Problem]:
        """Return the 800 functions. MachineLacks: no data, or other data than the published."""
        return self._problems

    def request(self, problem: Problem, style: Style) -> Request:
        """Return upstream's prompt, the newline at its end included."""
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=problem.prompt)
        told = (
            Message(role="system", content=SYSTEM),
            Message(role="user", content=problem.prompt),
        )
        return Request(key=problem.key, prompt=told)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling."""
        chat = style.protocol == "chat"
        return Sampling(
            max_tokens=_CHAT_TOKENS[self._cot] if chat else _COMPLETION_TOKENS,
            temperature=_TEMPERATURE,
            top_p=1.0 if chat else _TOP_P,
            stop=(_STOP,),
        )

    def limits(self, problem: Problem) -> Limits:
        """Return upstream's 3 seconds."""
        return Limits(cpu_s=_CPU_S, memory_mb=512)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the function and the answer's expression; "" for an answer upstream never runs."""
        return self.solution(problem, self.extracted(text, chat=style.protocol == "chat"))

    def extracted(self, text: str, *, chat: bool) -> str:
        """Return the answer in a reply, as upstream takes it out."""
        text = text.partition(_STOP)[0]
        if self._cot and "[ANSWER]" in text:
            text = text.split("[ANSWER]")[1].strip()
        elif self._cot and chat:
            return text.split("\n")[-1].strip()
        if "==" in text:
            text = text.split("==")[0 if self._mode == "input" else 1].strip()
        if self._mode == "input" and "assert" in text:
            text = text.split("assert")[1].strip()
        return text.strip()

    def solution(self, problem: Problem, source: str) -> Program:
        """Return the program that judges an answer taken out of a reply (upstream's `generations`).

        Its source is "" where upstream does not run the answer, and one that cannot be compiled
        where upstream's assertion cannot, or where the answer makes another assertion of it.
        """
        code, answer = problem.tests["code"], source
        if self._mode == "input" and "f(" not in answer:
            return Program.python("")
        if self._mode == "output" and f"f({problem.tests['input']})" in answer:
            return Program.python("")
        claim = _claim(answer)
        if claim is None or (self._mode == "input" and not claim.calls_f):
            # As upstream's would, this does not compile; the expected value is not in it.
            return Program.python(f"{code}\nassert ?? == {answer}\n")
        return Program.python(_source(code, claim))

    def tests(self, problem: Problem) -> CallTests:
        """Return the call that must give the expected value."""
        return self._tests[problem.key]

    def canonical(self, problem: Problem) -> Program:
        """Return the published answer: the output, or a call with the input."""
        return self.solution(problem, problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return the published answer with its value off by one, negated or longer."""
        return Program.python(spoilt(self.canonical(problem).source, _ENTRY))

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@k over all samples, or by the rule of `skip_ill_formed`."""
        return pass_scores(_without_ill_formed(answers) if self._skip else answers, ks, seed=seed)

    def ballot(self, answer: Answer) -> str | None:
        """Return the value that an answer says, or its expression where it is no literal."""
        last = answer.program.rstrip("\n").rpartition("\n")[2]
        if not last.startswith(_EXPRESSION):
            return None
        expression = str(ast.literal_eval(last.removeprefix(_EXPRESSION)))
        try:
            return repr(ast.literal_eval(expression))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ast.unparse(ast.parse(expression, mode="eval"))


def cruxeval_input(
    *, path: Path | None = None, cot: bool = False, skip_ill_formed: bool = False
) -> CruxEval:
    """Return CRUXEval-I. path: of the data, in place of the published file."""
    return CruxEval("input", path=path, cot=cot, skip=skip_ill_formed)


def cruxeval_output(
    *, path: Path | None = None, cot: bool = False, skip_ill_formed: bool = False
) -> CruxEval:
    """Return CRUXEval-O. path: of the data, in place of the published file."""
    return CruxEval("output", path=path, cot=cot, skip=skip_ill_formed)


def rows_sha256(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the digest of the rows, however their file spells them."""
    plain = [[row[name] for name in _COLUMNS] for row in rows]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """An answer read as the right side of `assert <output> == `.

    expression: its source, in brackets. then: source of the statements after the assertion.
    calls_f: whether the expression calls `f`.
    """

    expression: str
    then: str
    calls_f: bool


def _claim(answer: str) -> _Claim | None:
    """Return what the answer says; None where it is no right side of that assertion."""
    # A name in place of the expected value: parsed alike, and the value stays out.
    source = f"assert expected == {answer}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in an answer is not our business
            return _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _parsed(source: str) -> _Claim | None:
    first, *rest = ast.parse(source).body
    match first:
        case ast.Assert(test=ast.Compare(ops=[ast.Eq()], comparators=[value])):
            pass
        case _:
            return None
    # The brackets let an expression run over several lines, as its own may have.
    expression = f"({ast.get_source_segment(source, value)}\n)"
    ast.parse(expression, mode="eval")
    then = ast.unparse(ast.Module(body=rest, type_ignores=[])) if rest else ""
    calls_f = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "f"
        for node in ast.walk(value)
    )
    return _Claim(expression=expression, then=then, calls_f=calls_f)


def _source(code: str, claim: _Claim) -> str:
    # Evaluated among the module's names, as an assertion there would be.
    then = f"    exec({claim.then!r}, globals())\n" if claim.then else ""
    return (
        f"{code}\n\n\n"
        f"def {_ENTRY}():\n"
        f"    value = eval(ANSWER, globals())\n"
        f"{then}"
        f"    return value\n\n\n"
        f"{_EXPRESSION}{claim.expression!r}\n"
    )


def _tests(problem: Problem) -> CallTests:
    expected = ast.literal_eval(problem.tests["output"])
    return CallTests(entry_point=_ENTRY, calls=(Call(expected=expected),), comparer=EQUAL)


def _without_ill_formed(answers: Sequence[Answer]) -> list[Answer]:
    passed = {answer.problem for answer in answers if answer.verdict and answer.verdict.ok}
    return [
        answer
        for answer in answers
        if answer.problem not in passed
        or answer.verdict is None
        or answer.verdict.kind is not Kind.NO_CODE
    ]
