"""The languages that programs may be written in: how each is compiled and run, and what that takes.

One row a language; `sandbox.language` says what its fields mean.

Interpreted languages have a compiler too where one is cheap: it only checks, once a program, so
that what cannot be parsed is COMPILE_ERROR and not a crash in every test. R, Julia and SQL have no
check worth a start of their interpreter: there it is a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from sandbox.language import Found, Language
from sandbox.naming import java, javascript, scala

_JVM = "-XX:+UseSerialGC -XX:-UsePerfData -Xshare:auto"
# The compilers are short-lived: their code is not worth optimising.
_JAVAC = f"{' '.join('-J' + word for word in _JVM.split())} -J-XX:TieredStopAtLevel=1"
_UTF8 = "-Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -Dstderr.encoding=UTF-8"
_JAVA = f"java {_JVM} -Xss{{stack_mb}}m -Xmx{{heap_mb}}m {_UTF8}"
_JAVA_MEMORY = ("java.lang.OutOfMemoryError", "insufficient memory for the Java Runtime")
_NODE_MEMORY = ("JavaScript heap out of memory", "Array buffer allocation failed")
_NODE_QUIET = {"OPENSSL_CONF": "/dev/null"}  # it ends at once where it may not read that file
_JAVA_FILES = ("/etc/java-*",)

LANGUAGES: Mapping[str, Language] = {
    # Runs in its own engine, forked from an interpreter that is there already (inside/drive.py).
    "python": Language(
        title="Python",
        source="main.py",
        suffixes=(".py",),
        version="python --version",
        install="it runs this program",
        image="python:3.11-slim",
    ),
    "c": Language(
        title="C",
        source="main.c",
        suffixes=(".c",),
        compile="cc -O2 -std=gnu17 -o main main.c -lm -pthread",
        binary="main",
        tools={"cc": ("gcc", "clang", "cc")},
        version="cc --version",
        install="gcc libc6-dev",
        image="gcc:14",
    ),
    "cpp": Language(
        title="C++",
        source="main.cpp",
        suffixes=(".cpp", ".cc", ".cxx", ".c++"),
        compile="c++ -O2 -std=gnu++17 -o main main.cpp -pthread",
        binary="main",
        tools={"c++": ("g++", "clang++", "c++")},
        memory_words=("std::bad_alloc",),
        version="c++ --version",
        install="g++",
        image="gcc:14",
    ),
    "java": Language(
        title="Java",
        source="Main.java",
        suffixes=(".java",),
        compile=f"javac {_JAVAC} -encoding UTF-8 -proc:none -nowarn -d . {{source}}",
        keeps="*.class",
        run=f"{_JAVA} -cp . {{main}}",
        naming=java,
        configuration=_JAVA_FILES,
        address_space=True,
        threads=32,
        memory_words=_JAVA_MEMORY,
        version="java -version",
        install="default-jdk-headless",
        image="eclipse-temurin:21-jdk",
    ),
    "javascript": Language(
        title="JavaScript",
        source="main.js",
        suffixes=(".js", ".mjs", ".cjs"),
        compile="node --check {source}",
        run="node --max-old-space-size={heap_mb} {source}",
        naming=javascript,
        environment=_NODE_QUIET,
        address_space=True,
        threads=16,
        memory_words=_NODE_MEMORY,
        version="node --version",
        install="nodejs",
        image="node:22-bookworm-slim",
    ),
    # The types are checked: what tsc refuses does not compile. `tsx` and its like only strip them.
    "typescript": Language(
        title="TypeScript",
        source="main.ts",
        suffixes=(".ts", ".mts"),
        compile="node {modules}/typescript/lib/tsc.js --target es2022 --module commonjs"
        " --moduleResolution node10 --esModuleInterop --skipLibCheck --noEmitOnError"
        " --typeRoots {modules}/@types --types node --outDir . {source}",
        keeps="*.js",
        run="node --max-old-space-size={heap_mb} main.js",
        modules=("typescript", "@types/node", "undici-types"),
        environment=_NODE_QUIET,
        address_space=True,
        threads=16,
        memory_words=_NODE_MEMORY,
        version="node {modules}/typescript/lib/tsc.js --version",
        install="nodejs npm, then: npm install -g typescript @types/node",
        image="node:22-bookworm-slim",
    ),
    "go": Language(
        title="Go",
        source="main.go",
        suffixes=(".go",),
        compile="go build -o main main.go",
        binary="main",
        environment={
            "GO111MODULE": "off",
            "GOPATH": "/nonexistent",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOTELEMETRY": "off",
            "GOFLAGS": "-buildvcs=false",
        },
        address_space=True,
        threads=16,
        # From Go 1.20 on the standard library is not shipped compiled.
        compile_cpu_s=90.0,
        compile_disk_mb=256,
        memory_words=("runtime: out of memory", "runtime: cannot allocate memory"),
        version="go version",
        install="golang-go",
        image="golang:1.24-bookworm",
    ),
    "rust": Language(
        title="Rust",
        source="main.rs",
        suffixes=(".rs",),
        compile="rustc -O --edition 2021 -A warnings -o main main.rs",
        binary="main",
        tools={"cc": ("gcc", "clang", "cc")},
        memory_words=("memory allocation of",),
        version="rustc --version",
        install="rustc, or rustup",
        image="rust:1-slim-bookworm",
    ),
    "bash": Language(
        title="Bash",
        source="main.sh",
        suffixes=(".sh", ".bash"),
        compile="bash -n main.sh",
        run="bash main.sh",
        memory_words=("cannot allocate",),
        version="bash --version",
        install="bash",
        image="bash:5.2",
    ),
    "csharp": Language(
        title="C#",
        source="main.cs",
        suffixes=(".cs",),
        compile="mcs -optimize+ -codepage:utf8 -r:System.Numerics.dll -r:System.Core.dll"
        " -out:main.exe main.cs",
        keeps="main.exe",
        run="mono main.exe",
        reads_proc=True,
        configuration=("/etc/mono",),
        environment={"MONO_REGISTRY_PATH": "/nonexistent", "MONO_LOG_DEST": "/dev/null"},
        address_space=True,
        threads=16,
        memory_words=("System.OutOfMemoryException", "Out of memory"),
        version="mono --version",
        install="mono-mcs",
        image="mono:6.12",
    ),
    "php": Language(
        title="PHP",
        source="main.php",
        suffixes=(".php",),
        compile="php -d display_errors=stderr -d log_errors=0 -l main.php",
        run="php -d display_errors=stderr -d log_errors=0 -d memory_limit={heap_mb}M main.php",
        configuration=("/etc/php",),
        memory_words=("Allowed memory size of",),
        version="php --version",
        install="php-cli",
        image="php:8.4-cli",
    ),
    "perl": Language(
        title="Perl",
        source="main.pl",
        suffixes=(".pl",),
        compile="perl -c main.pl",
        run="perl main.pl",
        configuration=("/etc/perl",),
        memory_words=("Out of memory!", "Out of memory in perl"),
        version="perl -V:version",
        install="perl",
        image="perl:5.40-slim",
    ),
    "ruby": Language(
        title="Ruby",
        source="main.rb",
        suffixes=(".rb",),
        compile="ruby -c main.rb",
        run="ruby main.rb",
        address_space=True,
        threads=4,
        memory_words=("NoMemoryError", "failed to allocate memory"),
        version="ruby --version",
        install="ruby",
        image="ruby:3.4-slim",
    ),
    "lua": Language(
        title="Lua",
        source="main.lua",
        suffixes=(".lua",),
        compile="luac -p main.lua",
        run="lua main.lua",
        tools={"lua": ("lua5.4", "lua"), "luac": ("luac5.4", "luac")},
        memory_words=("not enough memory",),
        version="lua -v",
        install="lua5.4",
        image="nickblah/lua:5.4",
    ),
    "r": Language(
        title="R",
        source="main.R",
        suffixes=(".R", ".r"),
        run="Rscript --vanilla main.R",
        configuration=("/etc/R",),
        environment={"R_LIBS_USER": "/nonexistent", "R_ENVIRON_USER": "/nonexistent"},
        address_space=True,
        threads=8,
        memory_words=("cannot allocate vector of size", "cannot allocate memory block"),
        version="Rscript --version",
        install="r-base-core",
        image="r-base:4.4.2",
    ),
    "scala": Language(
        title="Scala",
        source="main.scala",
        suffixes=(".scala", ".sc"),
        compile="scalac -encoding UTF-8 -d . main.scala",
        keeps="*.class *.tasty",
        run="scala -cp . {main}",
        naming=scala,
        configuration=_JAVA_FILES,
        environment={"JAVA_OPTS": f"{_JVM} {_UTF8}"},
        address_space=True,
        threads=32,
        compile_cpu_s=60.0,
        compile_memory_mb=2048,
        memory_words=_JAVA_MEMORY,
        version="scala -version",
        install="scala",
        image="sbtscala/scala-sbt:eclipse-temurin-21.0.5_11_1.10.7_3.6.3",
    ),
    "kotlin": Language(
        title="Kotlin",
        source="main.kt",
        suffixes=(".kt", ".kts"),
        compile="kotlinc -nowarn -include-runtime -d main.jar main.kt",
        keeps="main.jar",
        run=f"{_JAVA} -jar main.jar",
        configuration=(*_JAVA_FILES, "/etc/kotlin"),
        environment={"JAVA_OPTS": f"{_JVM} -Xmx1g"},
        address_space=True,
        threads=32,
        compile_cpu_s=90.0,
        compile_memory_mb=2048,
        memory_words=_JAVA_MEMORY,
        version="kotlinc -version",
        install="kotlin",
        image="zenika/kotlin:2.1",
    ),
    "swift": Language(
        title="Swift",
        source="main.swift",
        suffixes=(".swift",),
        compile="swiftc -O -suppress-warnings -o main main.swift",
        binary="main",
        threads=8,
        compile_cpu_s=60.0,
        version="swiftc --version",
        install="swiftlang (Debian 13), or swiftly",
        image="swift:6.0",
    ),
    "julia": Language(
        title="Julia",
        source="main.jl",
        suffixes=(".jl",),
        run="julia --startup-file=no --history-file=no --compiled-modules=no main.jl",
        environment={"JULIA_DEPOT_PATH": "/nonexistent"},
        address_space=True,
        threads=16,
        memory_words=("OutOfMemoryError",),
        version="julia --version",
        install="juliaup",
        image="julia:1.11",
    ),
    # Template Haskell runs code of the program while it compiles: in the box, like all compilers.
    "haskell": Language(
        title="Haskell",
        source="main.hs",
        suffixes=(".hs",),
        compile="ghc -O1 -v0 -o main main.hs",
        binary="main",
        configuration=("/var/lib/ghc",),
        address_space=True,
        threads=8,
        compile_cpu_s=60.0,
        memory_words=("heap overflow", "Heap exhausted", "out of memory"),
        version="ghc --version",
        install="ghc",
        image="haskell:9.10-slim",
    ),
    "d": Language(
        title="D",
        source="main.d",
        suffixes=(".d",),
        compile="gdc -O2 -o main main.d",
        binary="main",
        threads=8,
        memory_words=("OutOfMemoryError", "Memory allocation failed"),
        version="gdc --version",
        install="gdc",
        image="gcc:12",
    ),
    # Its macros run code of the program while it compiles.
    "racket": Language(
        title="Racket",
        source="main.rkt",
        suffixes=(".rkt",),
        compile="raco make main.rkt",
        keeps="*.zo *.dep",
        run="racket main.rkt",
        configuration=("/etc/racket",),
        environment={"PLTADDONDIR": "/nonexistent"},
        address_space=True,
        threads=8,
        memory_words=("out of memory",),
        version="racket --version",
        install="racket",
        image="racket/racket:8.15-full",
    ),
    "sql": Language(
        title="SQL",
        source="main.sql",
        suffixes=(".sql",),
        run="sqlite3 -batch -bail :memory: '.read main.sql'",
        memory_words=("out of memory",),
        version="sqlite3 --version",
        install="sqlite3",
        image="keinos/sqlite3",
    ),
}

# What else a language is called: by SandboxFusion, by Piston, by people.
ALIASES: Mapping[str, str] = {
    "py": "python", "python3": "python",
    "gcc": "c", "c++": "cpp", "g++": "cpp", "cxx": "cpp", "cc": "cpp", "c++17": "cpp",
    "js": "javascript", "node": "javascript", "nodejs": "javascript", "node-js": "javascript",
    "node-javascript": "javascript", "ts": "typescript", "tsc": "typescript",
    "golang": "go", "rs": "rust", "sh": "bash", "shell": "bash",
    "c#": "csharp", "cs": "csharp", "mono": "csharp", "csharp.net": "csharp",
    "pl": "perl", "rb": "ruby", "lua5.4": "lua", "rscript": "r", "sc": "scala",
    "kotlin_script": "kotlin", "kt": "kotlin", "jl": "julia", "hs": "haskell", "ghc": "haskell",
    "d_ut": "d", "dlang": "d", "gdc": "d", "rkt": "racket", "sqlite": "sql", "sqlite3": "sql",
}  # fmt: skip


def canonical(name: str) -> str:
    """Return our name of a language. Raises ValueError, with the names there are."""
    lower = name.strip().lower()
    found = ALIASES.get(lower, lower)
    if found not in LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {name!r}")
    return found


def guess(path: PurePath) -> str:
    """Return the language that a file's suffix tells. Raises ValueError where it tells none."""
    for name, language in LANGUAGES.items():
        if path.suffix in language.suffixes:
            return name
    raise ValueError(f"{path.name!r} does not tell its language: one of {', '.join(LANGUAGES)}")


def found() -> tuple[Found, ...]:
    """Return every language, with its version where its tools are on this machine."""
    # Here, as most who name a language never ask what is installed.
    from sandbox import installed

    return tuple(
        Found(language=name, version=version, there=there, install=LANGUAGES[name].install)
        for name, (there, version) in installed.versions().items()
    )
