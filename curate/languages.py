"""Which language a file is in: by its name, and by its content where a name is shared.

The names are those of the paper's 89 languages (its appendix), in lower case. Which file names
belong to which is Pygments' table, with what it lacks, and what GitHub's linguist has otherwise,
beside it here. The paper goes by the extension alone (section 2.2.1); an extension that several
languages share is settled by words that only one of them has.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Final

# The paper's names, and what Pygments calls them where that differs; "" where it has none.
LANGUAGES: Final[Mapping[str, str]] = {
    "antlr": "", "ada": "ada", "agda": "agda", "alloy": "alloy", "applescript": "applescript",
    "assembly": "", "augeas": "augeas", "awk": "awk", "batchfile": "batch", "bluespec": "",
    "c": "c", "c#": "csharp", "c++": "cpp", "cmake": "cmake", "css": "css", "clojure": "clojure",
    "coffeescript": "coffeescript", "common lisp": "common-lisp", "cuda": "cuda", "dart": "dart",
    "dockerfile": "docker", "elixir": "elixir", "elm": "elm", "emacs lisp": "emacs-lisp",
    "erlang": "erlang", "f#": "fsharp", "fortran": "fortran", "glsl": "glsl", "go": "go",
    "groovy": "groovy", "html": "html", "haskell": "haskell", "idris": "idris",
    "isabelle": "isabelle", "json": "json", "java": "java", "java server pages": "jsp",
    "javascript": "javascript", "julia": "julia", "kotlin": "kotlin", "lean": "lean",
    "literate agda": "literate-agda", "literate coffeescript": "", "literate haskell":
    "literate-haskell", "lua": "lua", "makefile": "make", "maple": "maple", "markdown": "markdown",
    "mathematica": "mathematica", "matlab": "matlab", "ocaml": "ocaml", "php": "php",
    "pascal": "delphi", "perl": "perl", "powershell": "powershell", "prolog": "prolog",
    "protocol buffer": "protobuf", "python": "python", "r": "splus", "rmarkdown": "",
    "racket": "racket", "ruby": "ruby", "rust": "rust", "sas": "sas", "sparql": "sparql",
    "sql": "sql", "scala": "scala", "scheme": "scheme", "shell": "bash", "smalltalk": "smalltalk",
    "solidity": "solidity", "stan": "stan", "standard ml": "sml", "stata": "stata",
    "swift": "swift", "systemverilog": "systemverilog", "tcl": "tcl", "tcsh": "tcsh", "tex": "tex",
    "thrift": "thrift", "typescript": "typescript", "vhdl": "vhdl", "verilog": "verilog",
    "visual basic": "vbnet", "xslt": "xslt", "yaml": "yaml", "yacc": "", "zig": "zig",
    "restructuredtext": "restructuredtext",
}  # fmt: skip

# What Pygments lacks or gives to another (linguist's languages.yml has these).
_MORE: Final[Mapping[str, str]] = {
    "antlr": "*.g4", "assembly": "*.asm *.s *.nasm *.a51", "bluespec": "*.bsv", "c": "*.c *.h",
    "c#": "*.csx", "common lisp": "*.asd *.lsp", "emacs lisp": "*.el *.emacs",
    "fortran": "*.f *.for *.f77 *.f95 *.f08 *.F *.F95", "glsl": "*.glsl *.vs *.fs *.geom *.comp",
    "haskell": "*.hsc", "java server pages": "*.jsp *.jspx", "javascript": "*.jsx",
    "json": "*.geojson *.topojson *.webmanifest", "lean": "*.lean",
    "literate coffeescript": "*.litcoffee *.coffee.md", "markdown": "*.mdown *.mkd *.mdx",
    "mathematica": "*.m *.mt", "matlab": "*.m", "pascal": "*.pp *.lpr *.dpk *.inc",
    "perl": "*.al *.ph *.psgi", "powershell": "*.psd1", "prolog": "*.yap *.plt",
    "python": "*.wsgi *.gyp *.pyx *.pxd", "r": "*.r *.R *.rsx", "rmarkdown": "*.rmd *.Rmd *.qmd",
    "ruby": "*.ru *.podspec *.thor *.jbuilder Guardfile Podfile Capfile", "scala": "*.sbt *.sc",
    "shell": "*.bats *.command *.tmux", "smalltalk": "*.cs", "sql": "*.ddl *.dml *.psql *.pls",
    "stata": "*.mata *.sthlp", "tex": "*.sty *.cls *.bib *.ltx *.dtx", "typescript":
    "*.tsx *.mts *.cts", "verilog": "*.vh *.veo", "visual basic": "*.vb *.bas *.cls *.frm *.vbs",
    "yacc": "*.y *.yy *.yacc", "yaml": "*.yaml-tmlanguage .clang-format", "zig": "*.zon",
    "dockerfile": "Containerfile *.dockerfile Dockerfile.*", "erlang": "rebar.config *.app.src",
    "makefile": "*.make Kbuild", "tcl": "*.tm", "xslt": "*.xsl", "html": "*.html.hl *.xht",
}  # fmt: skip

# Names that several have: (a language, words that only it has), tried in order; the last is for
# the rest. Ours, after linguist's heuristics.yml.
_SHARED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    ".h": (("c++", r"^\s*(?:class\s+\w|template\s*<|namespace\s+\w|using\s+\w|public:|private:)|"
            r"\bstd::|#include <(?:c?[a-z]+)>"), ("c", "")),
    ".m": (("mathematica", r"^\s*\(\*|\[\[|:=|Begin(?:Package)?\["),
           ("", r"^\s*(?:@(?:interface|implementation|property|end)|#import)\b"), ("matlab", "")),
    ".pl": (("prolog", r"^\s*:-|^[a-z]\w*\(.*\)\s*:-|^[a-z]\w*\(.*\)\.\s*$"), ("perl", "")),
    ".pro": (("prolog", r"^\s*:-|:-"), ("", "")),
    ".t": (("perl", r"\buse\s+(?:strict|warnings|Test)|^\s*my\s+[$@%]|^\s*sub\s+\w"), ("", "")),
    ".fs": (("glsl", r"^\s*(?:#version|precision\s|uniform\s|varying\s|void\s+main\b)"),
            ("f#", "")),
    ".vs": (("glsl", ""),),
    ".cls": (("visual basic", r"^\s*(?:VERSION \d|Attribute VB_|Option Explicit)"),
             ("tex", r"\\(?:NeedsTeXFormat|ProvidesClass|def|newcommand)"), ("", "")),
    ".cs": (("smalltalk", r"![\w\s]+methodsFor: "), ("c#", "")),
    ".sc": (("scala", r"^\s*(?:import\s+\w+\.|object\s+\w|val\s+\w|def\s+\w|@main)"),
            ("", "")),
    ".inc": (("php", r"<\?php"), ("pascal", r"(?i)^\s*(?:procedure|function|unit|begin)\b"),
             ("", "")),
    ".pp": (("pascal", r"(?i)^\s*(?:unit|program|uses|procedure|begin)\b"), ("", "")),
    ".ts": (("", r"^<\?xml|<!DOCTYPE TS"), ("typescript", "")),
    ".s": (("assembly", ""),),
    ".es": (("erlang", r"^\s*(?:%%|-module|main\s*\()|->\s*$"), ("javascript", "")),
    ".do": (("stata", r"^\s*(?:use|gen|generate|replace|regress|capture|local|foreach)\s"),
            ("", "")),
    ".v": (("verilog", r"^\s*(?:module|`(?:timescale|define|include)|always|assign|endmodule)\b"),
           ("", "")),
    ".st": (("smalltalk", r"^\s*(?:Object\s+subclass:|!\w|\"[^\"]*\"|\w+\s*:=|\|[\w\s]+\|)"),
            ("", "")),
    ".sig": (("standard ml", r"^\s*(?:signature|sig|structure)\b"), ("", "")),
    ".fun": (("standard ml", r"^\s*(?:functor|structure|fun)\b"), ("", "")),
    ".thy": (("isabelle", r"^\s*(?:theory|imports|begin|header)\b"), ("", "")),
    ".mm": (("maple", r":=\s*proc|end\s+proc"), ("", "")),
    ".ma": (("mathematica", ""),),
    ".mi": (("maple", ""),),
    ".pm": (("perl", r"\b(?:package|use|sub|our|my)\b"), ("", "")),
    ".xslt": (("xslt", ""),), ".xsl": (("xslt", ""),), ".xpl": (("", ""),),
    ".S": (("assembly", ""),), ".aux": (("", ""),), ".toc": (("", ""),), ".xc": (("", ""),),
    ".module": (("", ""),), ".cp": (("", ""),), ".mly": (("yacc", ""),), ".mll": (("ocaml", ""),),
}  # fmt: skip

_INTERPRETERS: Final = (
    ("python", "python"), ("bash", "shell"), ("zsh", "shell"), ("ksh", "shell"), ("dash", "shell"),
    ("sh", "shell"), ("perl", "perl"), ("ruby", "ruby"), ("node", "javascript"), ("php", "php"),
    ("lua", "lua"), ("Rscript", "r"), ("tclsh", "tcl"), ("wish", "tcl"), ("tcsh", "tcsh"),
    ("csh", "tcsh"), ("awk", "awk"), ("gawk", "awk"), ("escript", "erlang"), ("groovy", "groovy"),
    ("julia", "julia"), ("racket", "racket"), ("elixir", "elixir"), ("make", "makefile"),
    ("swipl", "prolog"), ("pwsh", "powershell"), ("osascript", "applescript"),
)  # fmt: skip
_HASH_BANG: Final = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?(?:\S*/)?([A-Za-z]+)")
_HEAD_CHARS: Final = 20_000  # of a text, that its words are looked for in: ours


def language_of(path: str, text: str) -> str:
    """Return the language's name, "" where it is none of the 89."""
    name = PurePosixPath(path).name
    for suffix in _suffixes(name):
        if suffix in _SHARED:
            return _settled(suffix, text)
    suffixes, names, patterns = _table()
    if name in names:
        return names[name]
    for suffix in _suffixes(name):
        if suffix in suffixes:
            return suffixes[suffix]
    for pattern, language in patterns:
        if fnmatch.fnmatchcase(name, pattern):
            return language
    if "." not in name[1:] and (match := _HASH_BANG.match(text)):
        return dict(_INTERPRETERS).get(match[1], "")
    return ""


def _settled(suffix: str, text: str) -> str:
    head = text[:_HEAD_CHARS]
    for language, words in _SHARED[suffix]:
        if not words or re.search(words, head, re.MULTILINE):
            return language
    return ""


def _suffixes(name: str) -> list[str]:
    """Return a name's suffixes, the longest first, and each in lower case after itself."""
    _, *parts = name.split(".")
    found = ["." + ".".join(parts[at:]) for at in range(len(parts))]
    return list(dict.fromkeys(one for suffix in found for one in (suffix, suffix.lower())))


@cache
def _table() -> tuple[dict[str, str], dict[str, str], list[tuple[str, str]]]:
    """Return what belongs to each suffix, to each whole name, and to other patterns."""
    from pygments.lexers import get_all_lexers

    known = {alias: patterns for _, aliases, patterns, _ in get_all_lexers() for alias in aliases}
    suffixes: dict[str, str] = {}
    names: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    theirs = {language: known.get(alias, ()) for language, alias in LANGUAGES.items()}
    ours = {language: tuple(patterns.split()) for language, patterns in _MORE.items()}
    for source in (theirs, ours):
        for language, patterns in source.items():
            for pattern in patterns:
                if pattern.startswith("*.") and not set("*?[") & set(pattern[1:]):
                    suffixes[pattern[1:]] = language
                elif not set("*?[") & set(pattern):
                    names[pattern] = language
                else:
                    others.append((pattern, language))
    return suffixes, names, others
