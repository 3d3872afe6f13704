"""SAFIM (Gong et al. 2024, arXiv 2403.04814): blocks of algorithms, control-flow expressions and
calls of an API to fill in, in Python, Java, C++ and C#.

Data and protocol: gonglinyuan/safim; "block_v2" is its newer set of blocks. Blocks and expressions
are judged by stdin and stdout of the whole program, calls by comparing them. How replies are cut
and compared: `evals.infilling.safim_cutting`.

How it is asked (prompt_utils.py there), greedy unless the recipe says its temperature of 0.2 and
top_p of 0.95; 128 tokens:
[fim]  both sides of the placeholder in the model's own order ("infilling"). Its
    "reverse_infilling", with the prefix behind the middle token, is not offered.
no [fim]  what stands before the placeholder ("left_to_right").
chat   the file with its placeholder, and its sentence ("instructed"); 512 tokens (ours).

Limits are ExecEval's 2 CPU seconds times its factor for a language, and 2 GiB. It runs Python in
PyPy; here it is CPython, and has 10 seconds (ours). A completion equal to the answer is run like
any other, where upstream passes it without.

The headline is pass@1 with the parts counting alike (ours: upstream prints each part by itself).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evals.bench import Bench, Style
from evals.data import DataFile, Hub, Source, digests
from evals.infilling.asking import Gap, ask, middle, stops
from evals.infilling.matching import MatchTests, mean_of_groups
from evals.infilling.safim_cutting import (
    GAP,
    PLACEHOLDER,
    ExecEvalOutput,
    call_marks,
    code_of_chat,
    cut_block,
    cut_call,
    cut_control,
)
from evals.infilling.syntax import PACKAGE, there
from evals.problem import Problem, Score
from evals.scores import pass_scores
from sandbox import Limits, Program, StdioCase, StdioTests, installed
from seedcoder.completion import Request, Sampling
from seedcoder.errors import MachineLacks, UsageError

if TYPE_CHECKING:
    from evals.tally import Answer

Part = Literal["block", "control", "api", "block_v2"]
Language = Literal["python", "java", "cpp", "csharp"]

_FILES: Final[Mapping[str, str]] = {
    "block": "block_completion.jsonl.gz",
    "control": "control_completion.jsonl.gz",
    "api": "api_completion.jsonl.gz",
    "block_v2": "block_completion_v2.jsonl.gz",
}
_COLUMNS: Final = ("task_id", "lang", "prompt", "eval_prompt", "ground_truth", "unit_tests")
_TITLES: Final = {"python": "Python", "java": "Java", "cpp": "C++", "csharp": "C#"}
_CPU_S: Final = {"cpp": 2.0, "java": 6.0, "csharp": 6.0, "python": 10.0}
_MEMORY_MB: Final = 2048
_MAX_TOKENS: Final = {"completion": 128, "chat": 512}
_WHAT: Final = {
    "block": "block",
    "block_v2": "block",
    "control": "control expression",
    "api": "API function call",
}
# prompt_utils.py: INSTRUCTION_TEMPLATE.
_INSTRUCTION: Final = (
    'Replace the "{placeholder}" in the code above with the appropriate {what}. Provide only the '
    "replaced {what}."
)
_WRONG: Final = {
    "python": "print('wrong')\n",
    "cpp": '#include <cstdio>\nint main() { puts("wrong"); }\n',
    "java": "public class Main {\n    public static void main(String[] args) {\n"
    '        System.out.println("wrong");\n    }\n}\n',
    "csharp": "class Program {\n    static void Main() {\n"
    '        System.Console.WriteLine("wrong");\n    }\n}\n',
}


class Safim(Bench):
    """The benchmark. See the module's words."""

    name = "safim"
    licence = "MIT"

    def __init__(
        self,
        *,
        files: Mapping[Part, DataFile],
        languages: Sequence[Language] = ("python", "java", "cpp", "csharp"),
    ) -> None:
        """Take the files by the part they hold, and of them the rows of these languages."""
        self._files = files
        self._languages = tuple(languages)

    @property
    def version(self) -> str:
        """The parts."""
        return f"safim 2024, {', '.join(self._files)}"

    @cached_property
    def _read(self) -> Mapping[str, DataFile]:
        out = self.left_out()
        read: dict[str, DataFile] = {
            part: file for part, file in self._files.items() if part not in out
        }
        if not read:
            raise MachineLacks(f"{self.name}: {'; '.join(out.values())}")
        return read

    @cached_property
    def _lacking(self) -> Mapping[str, str]:
        """Languages whose programs cannot be run here, with the tool that is missing."""
        lacking: dict[str, str] = {}
        for language in self._languages:
            try:
                installed.tools(language)
            except installed.Missing as error:
                lacking[language] = str(error)
        return lacking

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        found = []
        for part, file in self._read.items():
            for number, row in enumerate(file.rows(needs=_COLUMNS), start=1):
                problem = _problem(part, row, f"{self.name}: {file.path}, row {number}")
                language = problem.tests["language"]
                runs = problem.language != "text"
                if language in self._languages and not (runs and language in self._lacking):
                    found.append(problem)
        return tuple(found)

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digests of the files that are read."""
        return digests(*self._read.values())

    def problems(self) -> Sequence[Problem]:
        """Return the problems that can be judged here, a part after the other."""
        return self._problems

    def left_out(self) -> Mapping[str, str]:
        """Return blocks without syntax trees to cut them by, and languages without tools."""
        out = {
            f"{language}, in parts that run programs": f"there is no {tool}"
            for language, tool in self._lacking.items()
        }
        if not there():
            blocks = [part for part in self._files if part.startswith("block")]
            out |= dict.fromkeys(blocks, f"blocks are cut by syntax trees: pip install {PACKAGE}")
        return out

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked."""
        language = problem.tests["language"]
        placeholder = PLACEHOLDER[language]
        before, _, after = problem.prompt.partition(placeholder)
        instruction = _INSTRUCTION.format(
            placeholder=placeholder, what=_WHAT[problem.tests["part"]]
        )
        gap = Gap(before=before, after=after, language=(_TITLES[language], language))
        question = f"{problem.prompt}\n{instruction}\n\n"
        return ask(problem.key, gap, style, question=question)

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's sampling."""
        return Sampling(
            max_tokens=_MAX_TOKENS[style.protocol],
            temperature=0.2,
            top_p=0.95,
            stop=stops(style),
            stop_after_fence=style.protocol == "chat",
        )

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the file with the completion in its gap; of calls, the call."""
        language, part = problem.tests["language"], problem.tests["part"]
        if style.protocol == "chat":
            opened = "```\n" if style.prefill else ""
            text = code_of_chat(opened + text, language=language)
        else:
            text = middle(text, style)
        if part == "api":
            call = cut_call(text)
            return Program(language="text", source=call if call.strip() else "")
        if part == "control":
            return _filled(problem, cut_control(text, language=language))
        frame = problem.tests["frame"]
        return _filled(problem, cut_block(text, frame=frame, language=language))

    def tests(self, problem: Problem) -> StdioTests | MatchTests:
        """Return upstream's unit tests; of calls, the comparison."""
        if problem.tests["part"] == "api":
            language = problem.tests["language"]
            return MatchTests(grader=partial(call_marks, gold=problem.canonical, language=language))
        cases = tuple(
            StdioCase(stdin=test["input"], stdout=first, accepted=tuple(rest))
            for test in problem.tests["cases"]
            for first, *rest in (test["output"],)
        )
        return StdioTests(cases=cases, comparer=ExecEvalOutput())

    def canonical(self, problem: Problem) -> Program:
        """Return the file with upstream's answer in its gap; of calls, the answer."""
        if problem.language == "text":
            return Program(language="text", source=problem.canonical)
        return _filled(problem, problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return a program that prints another word; of calls, another word."""
        if problem.language == "text":
            return Program(language="text", source="wrong")
        return Program(language=problem.language, source=_WRONG[problem.language])

    def limits(self, problem: Problem) -> Limits:
        """Return ExecEval's limits."""
        return Limits(cpu_s=_CPU_S[problem.tests["language"]], memory_mb=_MEMORY_MB)

    def scores(self, answers: Sequence[Answer], ks: Sequence[int], *, seed: int = 0) -> list[Score]:
        """Return pass@1 with the parts counting alike, then pass@k over all problems."""
        parts = {problem.key: problem.tests["part"] for problem in self._problems}
        mean = mean_of_groups(
            "pass@1, mean of parts",
            answers,
            lambda answer: float(bool(answer.verdict and answer.verdict.ok)),
            lambda answer: parts[answer.problem],
            seed=seed,
        )
        return [*([mean] if mean else []), *pass_scores(answers, ks, seed=seed)]


def safim(
    *,
    path: Path | None = None,
    parts: tuple[Part, ...] = ("block", "control", "api"),
    languages: tuple[Language, ...] = ("python", "java", "cpp", "csharp"),
) -> Safim:
    """Return the benchmark. path: the folder of upstream's files (block_completion.jsonl.gz...)."""
    files: dict[Part, DataFile] = {}
    for part in parts:
        file = _FILES[part]
        source = Source(
            bench="safim",
            folder="safim",
            file=file,
            hub=Hub(repo="gonglinyuan/safim", split="test", config=part),
            get=f"pip install datasets and let it fetch gonglinyuan/safim, or fetch {file} of it",
        )
        files[part] = DataFile(source, path / file if path else None)
    return Safim(files=files, languages=languages)


def _filled(problem: Problem, completion: str) -> Program:
    frame: str = problem.tests["frame"]
    return Program(language=problem.language, source=frame.replace(GAP, completion))


def _problem(part: str, row: Mapping[str, Any], where: str) -> Problem:
    language = row["lang"]
    if language not in PLACEHOLDER:
        raise UsageError(f"{where}: lang must be one of {', '.join(PLACEHOLDER)}, not {language!r}")
    if row["prompt"].count(PLACEHOLDER[language]) != 1 or row["eval_prompt"].count(GAP) != 1:
        raise UsageError(f"{where}: the gap must be marked once, in prompt and in eval_prompt")
    cases = row["unit_tests"]
    try:
        cases = json.loads(cases) if isinstance(cases, str) else cases
    except ValueError as error:
        raise UsageError(f"{where}: unit_tests are no JSON: {error}") from error
    if part != "api" and not (
        isinstance(cases, list)
        and cases
        and all(isinstance(case, dict) and case.get("output") and "input" in case for case in cases)
    ):
        raise UsageError(f"{where}: unit_tests must each have input and output")
    return Problem(
        key=f"{part}/{row['task_id']}",
        prompt=row["prompt"],
        entry_point="",
        tests={
            "part": part,
            "language": language,
            "frame": row["eval_prompt"],
            "cases": cases or [],
        },
        canonical=row["ground_truth"],
        tags=(f"part:{part}", f"language:{language}"),
        language="text" if part == "api" else language,
    )
