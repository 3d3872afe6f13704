"""Every benchmark by name: where it is made, and what it is in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One benchmark. place: "module:function"; the function takes the recipe's `[options]`, and its
    annotations say their types.

    about: a line for `eval list`. protocols: those it can be asked in.
    """

    place: str
    about: str
    protocols: tuple[str, ...] = ("completion", "chat")


BENCHES: Final[Mapping[str, Entry]] = {
    "humaneval": Entry(
        place="evals.humaneval:humaneval", about="164 Python functions from their docstrings"
    ),
    "humaneval+": Entry(
        place="evals.evalplus.plus:humaneval_plus",
        about="HumanEval with 80 times the inputs, graded as EvalPlus does",
    ),
    "mbpp+": Entry(
        place="evals.evalplus.plus:mbpp_plus",
        about="378 short Python functions with many inputs, graded as EvalPlus does",
    ),
    "mbpp": Entry(
        place="evals.evalplus.mbpp:mbpp", about="427 short Python functions, checked by hand"
    ),
    "mbpp-full": Entry(
        place="evals.evalplus.mbpp:mbpp_full", about="500 short Python functions, as published"
    ),
    "needle": Entry(
        place="evals.needle:needle",
        about="a function to find in 1K to 32K tokens of code, at 11 depths",
    ),
    "cruxeval-i": Entry(
        place="evals.cruxeval:cruxeval_input",
        about="800 Python functions: an input that gives an output",
    ),
    "cruxeval-o": Entry(
        place="evals.cruxeval:cruxeval_output",
        about="800 Python functions: the output that an input gives",
    ),
    "swe-mini": Entry(
        place="evals.swe.benchmark:swe_mini",
        about="9 bug fixes of small Python projects, judged by their tests, without docker",
        protocols=("chat",),
    ),
    "swe-bench-verified": Entry(
        place="evals.swe.benchmark:swe_bench_verified",
        about="500 issues of Python projects, each in its docker image",
        protocols=("chat",),
    ),
    "swe-bench-lite": Entry(
        place="evals.swe.benchmark:swe_bench_lite",
        about="300 issues of Python projects, each in its docker image",
        protocols=("chat",),
    ),
    "multi-swe-bench": Entry(
        place="evals.swe.benchmark:multi_swe_bench",
        about="issues of projects in other languages, each in its docker image",
        protocols=("chat",),
    ),
    "livecodebench": Entry(
        place="evals.contests.livecodebench:livecodebench",
        about="contest problems by release and date, in Python, from stdin or as a method",
    ),
    "humaneval-infilling": Entry(
        place="evals.infilling.humaneval_infilling:humaneval_infilling",
        about="HumanEval's solutions with a line, lines or a span to fill in",
    ),
    "codeforces": Entry(
        place="evals.contests.codeforces:codeforces",
        about="contest problems of Codeforces; a rating by CodeElo's method, given the standings",
        protocols=("chat",),
    ),
    "ioi": Entry(
        place="evals.contests.ioi:ioi",
        about="subtasks of IOI'2024 in C++, in points, by Open-R1's protocol",
        protocols=("chat",),
    ),
    "bigcodebench": Entry(
        place="evals.bigcodebench:bigcodebench",
        about="1,140 functions that call many libraries, judged by unittest classes",
    ),
    "aider-edit": Entry(
        place="evals.aider.benchmark:aider_edit",
        about="133 Python exercises solved by editing whole files, with a second try",
        protocols=("chat",),
    ),
    "aider-polyglot": Entry(
        place="evals.aider.benchmark:aider_polyglot",
        about="225 hard exercises, of which those in Python are judged here",
        protocols=("chat",),
    ),
    "santacoder-fim": Entry(
        place="evals.infilling.santacoder:santacoder_fim",
        about="single lines of Python, Java and JavaScript to fill in, exactly",
    ),
    "crosscodeeval": Entry(
        place="evals.infilling.crosscodeeval:crosscodeeval",
        about="lines that need a repository's other files, in four languages",
    ),
    "repoeval": Entry(
        place="evals.infilling.repoeval:repoeval",
        about="lines, API calls and function bodies of Python repositories to fill in",
    ),
    "codeeditorbench": Entry(
        place="evals.contests.codeeditorbench:codeeditorbench",
        about="C++, Java and Python to debug, translate, switch or polish",
    ),
    "fullstackbench": Entry(
        place="evals.fullstack.benchmark:fullstackbench",
        about="3,374 problems of 11 domains in 16 languages, with test code beside the answer",
        protocols=("chat",),
    ),
    "safim": Entry(
        place="evals.infilling.safim:safim",
        about="blocks, control-flow expressions and API calls to fill in, in four languages",
    ),
    "canitedit": Entry(
        place="evals.canitedit:canitedit",
        about="105 Python programs to edit, each by a descriptive and a lazy instruction",
    ),
    "naturalcodebench": Entry(
        place="evals.naturalcodebench:naturalcodebench",
        about="402 problems of users in English and Chinese; those in Python are judged here",
        protocols=("chat",),
    ),
    "mhpp": Entry(
        place="evals.mhpp:mhpp",
        about="210 hard Python functions, judged by their examples; files for the authors' server",
    ),
    "multilingual-humaneval": Entry(
        place="evals.polyglot.mxeval:multilingual_humaneval",
        about="HumanEval in 12 languages, tests in each language (mxeval)",
    ),
    "mbxp": Entry(
        place="evals.polyglot.mxeval:mbxp",
        about="MBPP in 13 languages, tests in each language (mxeval)",
    ),
    "multipl-e": Entry(
        place="evals.polyglot.multipl_e:multipl_e",
        about="HumanEval or MBPP translated to 7 languages and Python, completed",
        protocols=("completion",),
    ),
}
