"""Languages of file names, licences of texts, and what its owners took out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytest.importorskip("pygments")
pytest.importorskip("pyarrow")

import pyarrow as pa

from curate.languages import LANGUAGES, language_of
from curate.licences import is_licence_file, is_permissive, licence, licence_of
from curate.optout import optout
from seedcoder.errors import UsageError

# A name and a text of each of the 89.
FILES = {
    "antlr": ("a.g4", ""), "ada": ("a.adb", ""), "agda": ("a.agda", ""), "alloy": ("a.als", ""),
    "applescript": ("a.applescript", ""), "assembly": ("a.asm", ""), "augeas": ("a.aug", ""),
    "awk": ("a.awk", ""), "batchfile": ("a.bat", ""), "bluespec": ("a.bsv", ""),
    "c": ("a.c", ""), "c#": ("a.cs", "class A {}"), "c++": ("a.cc", ""),
    "cmake": ("CMakeLists.txt", ""), "css": ("a.css", ""), "clojure": ("a.clj", ""),
    "coffeescript": ("a.coffee", ""), "common lisp": ("a.lisp", ""), "cuda": ("a.cu", ""),
    "dart": ("a.dart", ""), "dockerfile": ("Dockerfile", ""), "elixir": ("a.ex", ""),
    "elm": ("a.elm", ""), "emacs lisp": ("a.el", ""), "erlang": ("a.erl", ""),
    "f#": ("a.fs", "let x = 1"), "fortran": ("a.f90", ""), "glsl": ("a.glsl", ""),
    "go": ("a.go", ""), "groovy": ("a.groovy", ""), "html": ("a.html", ""),
    "haskell": ("a.hs", ""), "idris": ("a.idr", ""), "isabelle": ("A.thy", "theory A\nimports B"),
    "json": ("a.json", ""), "java": ("a.java", ""), "java server pages": ("a.jsp", ""),
    "javascript": ("a.js", ""), "julia": ("a.jl", ""), "kotlin": ("a.kt", ""),
    "lean": ("a.lean", ""), "literate agda": ("a.lagda", ""),
    "literate coffeescript": ("a.litcoffee", ""), "literate haskell": ("a.lhs", ""),
    "lua": ("a.lua", ""), "makefile": ("Makefile", ""), "maple": ("a.mpl", ""),
    "markdown": ("a.md", ""), "mathematica": ("a.wl", ""), "matlab": ("a.m", "x = zeros(3);"),
    "ocaml": ("a.ml", ""), "php": ("a.php", ""), "pascal": ("a.pas", ""), "perl": ("a.pl", ""),
    "powershell": ("a.ps1", ""), "prolog": ("a.pl", ":- module(a).\nf(X) :- g(X).\n"),
    "protocol buffer": ("a.proto", ""), "python": ("a.py", ""), "r": ("a.R", ""),
    "rmarkdown": ("a.Rmd", ""), "racket": ("a.rkt", ""), "ruby": ("a.rb", ""),
    "rust": ("a.rs", ""), "sas": ("a.sas", ""), "sparql": ("a.rq", ""), "sql": ("a.sql", ""),
    "scala": ("a.scala", ""), "scheme": ("a.scm", ""), "shell": ("a.sh", ""),
    "smalltalk": ("a.st", "Object subclass: #A\n"), "solidity": ("a.sol", ""),
    "stan": ("a.stan", ""), "standard ml": ("a.sml", ""), "stata": ("a.do", "use data\ngen x = 1"),
    "swift": ("a.swift", ""), "systemverilog": ("a.sv", ""), "tcl": ("a.tcl", ""),
    "tcsh": ("a.csh", ""), "tex": ("a.tex", ""), "thrift": ("a.thrift", ""),
    "typescript": ("a.ts", "const x: number = 1"), "vhdl": ("a.vhd", ""),
    "verilog": ("a.v", "module m;\nendmodule"), "visual basic": ("a.vb", ""),
    "xslt": ("a.xsl", ""), "yaml": ("a.yml", ""), "yacc": ("a.y", ""), "zig": ("a.zig", ""),
    "restructuredtext": ("a.rst", ""),
}  # fmt: skip


def test_there_are_the_paper_s_89_languages_each_with_a_file() -> None:
    assert len(LANGUAGES) == 89 and set(FILES) == set(LANGUAGES)


@pytest.mark.parametrize("language", sorted(FILES))
def test_a_file_is_in_its_language(language: str) -> None:
    name, text = FILES[language]
    assert language_of(f"deep/er/{name}", text) == language


SHARED = {
    ("a.h", "int f(void);"): "c",
    ("a.h", "#pragma once\nnamespace a {\n"): "c++",
    ("a.m", "@interface A : NSObject"): "",
    ("a.m", "(* Mathematica *)\nf[x_] := x"): "mathematica",
    ("a.ts", '<?xml version="1.0"?>'): "",
    ("a.fs", "#version 330\nvoid main() {}"): "glsl",
    ("a.cls", "\\NeedsTeXFormat{LaTeX2e}"): "tex",
    ("a.cls", "VERSION 1.0 CLASS"): "visual basic",
    ("A.PY", ""): "python",
    ("a.S", "mov eax, 1"): "assembly",
    ("run", "#!/bin/sh\nls"): "shell",
    ("run", "#! /usr/bin/env python3\n"): "python",
    ("run.txt", "#!/bin/sh"): "",
    ("README", "text"): "",
    ("Dockerfile.test", ""): "dockerfile",
    (".bashrc", ""): "shell",
    ("a.tar.gz", ""): "",
    ("", ""): "",
}


@pytest.mark.parametrize("file", SHARED)
def test_shared_names_are_settled_by_their_text(file: tuple[str, str]) -> None:
    assert language_of(*file) == SHARED[file]


TEXTS = {
    "# SPDX-License-Identifier: Apache-2.0 OR MIT\nx": "Apache-2.0 OR MIT",
    "/* SPDX-License-Identifier: GPL-2.0 WITH GCC-note */": "GPL-2.0 WITH GCC-note",
    "// Licensed under the Apache License, Version 2.0 (the \"License\");\n": "Apache-2.0",
    "# Permission is hereby granted, free of charge, to any person obtaining\n# a copy of this"
    " software and associated documentation files (the": "MIT",
    "   GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007": "GPL-3.0-only",
    " * GNU General Public License as published by\n * the Free Software Foundation; either version"
    " 2 of": "GPL-2.0-or-later",
    "Neither the name of the copyright holder": "",
    "Redistribution and use ... Neither the name of the": "BSD-3-Clause",
    "x = 1": "",
    "# no licence is named": "",
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_names_its_licence(text: str) -> None:
    assert licence_of(text) == TEXTS[text]


def test_licences_are_permissive_or_not() -> None:
    for expression in ("MIT", "MIT AND ISC", "GPL-3.0-only OR MIT", "(MIT OR GPL-2.0-only)"):
        assert is_permissive(expression), expression
    for expression in ("", "GPL-3.0-only", "MIT AND GPL-3.0-only", "Proprietary"):
        assert not is_permissive(expression), expression
    assert is_licence_file("a/LICENSE-MIT") and is_licence_file("COPYING.txt")
    assert not is_licence_file("license_checker.py") and not is_licence_file("src/a.py")


def test_the_step_prefers_a_text_s_own_licence() -> None:
    table = pa.table(
        {
            "text": ["# SPDX-License-Identifier: MIT", "x", "x", "x"],
            "licence": ["GPL-3.0-only", "GPL-3.0-only", "Apache-2.0", ""],
        }
    )
    rows = licence().compute(table).to_pylist()
    assert [row["reason"] for row in rows] == ["", "licence GPL-3.0-only", "", "no licence found"]
    assert [row["spdx"] for row in rows] == ["MIT", "GPL-3.0-only", "Apache-2.0", ""]
    rows = licence(allow=("GPL-3.0-only",), unknown=True).compute(table).to_pylist()
    assert all(row["keep"] for row in rows)


def test_what_owners_took_out_is_dropped(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"text").digest()
    listed = tmp_path / "out.txt"
    listed.write_text(f"# asked\nOne/Repo\ntwo/*\nthree/r/docs/*\nsha256:{digest.hex()}\n")
    rows = [
        ("one/repo", "a.py", b"1" * 32, True), ("one/repository", "a.py", b"1" * 32, False),
        ("two/any", "a.py", b"1" * 32, True), ("three/r", "docs/a.md", b"1" * 32, True),
        ("three/r", "src/a.py", b"1" * 32, False), ("four/r", "a.py", digest, True),
    ]  # fmt: skip
    table = pa.table(
        {name: [row[n] for row in rows] for n, name in enumerate(("repo", "path", "sha256"))}
    )
    found = optout(file=listed).compute(table).to_pylist()
    assert [not row["keep"] for row in found] == [row[3] for row in rows]
    listed.write_text("nonsense\n")
    with pytest.raises(UsageError, match=r"out\.txt:1"):
        optout(file=listed)
