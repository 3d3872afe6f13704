"""Repositories as texts: small ones of each language, and real ones."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.longcontext import go_imports, js_imports, python_imports, rust_imports
from curate.longcontext.graph import Imports, components, ordered
from curate.longcontext.repository import File, Ordered, graph_of, in_circles, texts_of

PACKAGES = Path(json.__file__).parents[1] / "site-packages"
GO = Path("/usr/lib/go/src")
NPM = Path("/usr/lib/node_modules/npm")


def _files(texts: dict[str, str], language: str = "") -> list[File]:
    return [
        File(key=path, text=text, language=language, path=path, repo="r")
        for path, text in texts.items()
    ]


def _order(texts: dict[str, str], language: str = "") -> list[str]:
    (found,) = texts_of(_files(texts, language), 10**9, lambda file: len(file.path)).texts
    return [file.path for file in found]


def _imports(texts: dict[str, str]) -> dict[str, set[str]]:
    files = _files(texts)
    return {
        file.path: {files[to].path for to in found.all}
        for file, found in zip(files, graph_of(files), strict=True)
    }


def _read(root: Path, under: str, *endings: str) -> list[File]:
    found = []
    for path in sorted((root / under).rglob("*"), key=str):
        if path.is_file() and path.name.endswith(endings) and "testdata" not in path.parts:
            text = path.read_bytes().decode("utf-8", "replace")
            name = path.relative_to(root).as_posix()
            found.append(File(key=name, text=text, language="", path=name, repo="r"))
    return sorted(found, key=lambda file: (file.path, file.key))


def _late_outside_circles(files: list[File], made: Ordered) -> int:
    """Count imports that stand after their file although the two are in no circle."""
    graph = graph_of(files)
    circle = {one: at for at, found in enumerate(in_circles(graph)) for one in found}
    (text,) = made.texts
    place = {file.key: at for at, file in enumerate(text)}
    assert len(place) == len(files)
    return sum(
        place[files[to].key] > place[files[one].key] and circle.get(one, -1) != circle.get(to, -2)
        for one, found in enumerate(graph)
        for to in found.all
    )


@given(
    edges=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14), st.booleans()), max_size=60)
)
@settings(max_examples=150, deadline=None)
def test_every_file_comes_after_what_it_imports_unless_in_a_circle(
    edges: list[tuple[int, int, bool]],
) -> None:
    graph = [
        Imports(
            now=frozenset(b for a, b, late in edges if a == one and not late),
            late=frozenset(b for a, b, late in edges if a == one and late),
        )
        for one in range(15)
    ]
    found = ordered(graph)
    assert sorted(found) == list(range(15))
    place = {one: at for at, one in enumerate(found)}
    circle = {
        one: at
        for at, part in enumerate(components({one: set(graph[one].all) for one in range(15)}))
        for one in part
    }
    for one in range(15):
        for to in graph[one].all:
            assert place[to] <= place[one] or circle[to] == circle[one]
    now = {one: set(graph[one].now) for one in range(15)}
    tight = {one: at for at, part in enumerate(components(now)) for one in part}
    for one in range(15):
        for to in graph[one].now:
            assert place[to] <= place[one] or tight[to] == tight[one]


def test_python_modules_packages_and_names_are_found() -> None:
    found = _imports(
        {
            "src/app/__init__.py": "from .core import run\n",
            "src/app/core.py": "import types\nfrom app.inner import (\n  one, # first\n  two)\n",
            "src/app/types.py": "",
            "src/app/inner/__init__.py": "",
            "src/app/inner/one.py": 'TEXT = """\nimport app.core\n"""\n',
            "src/app/inner/two.py": "from .. import types as t\nfrom ..core import *\n",
            "tests/test_app.py": "import os\nimport app.core, app\nfrom helper import x\n",
            "tests/helper.py": "def f():\n    import app.types\n",
        }
    )
    assert found["src/app/__init__.py"] == {"src/app/core.py"}
    assert found["src/app/core.py"] == {"src/app/inner/one.py", "src/app/inner/two.py"}
    assert found["src/app/inner/one.py"] == set()
    assert found["src/app/inner/two.py"] == {"src/app/types.py", "src/app/core.py"}
    inside = {"src/app/core.py", "src/app/__init__.py", "tests/helper.py"}
    assert found["tests/test_app.py"] == inside
    assert found["tests/helper.py"] == {"src/app/types.py"}


def test_java_imports_classes_of_the_package_and_whole_packages_are_found() -> None:
    found = _imports(
        {
            "a/src/x/Main.java": "package x;\nimport y.Tool;\nimport static y.Fast.go;\n"
            'import z.*;\nclass Main { Near n; Deep d; /* Far */ String s = "Far"; }',
            "a/src/x/Near.java": "package x; class Near {}",
            "a/src/x/Far.java": "package x; class Far {}",
            "b/y/Tool.java": "package y; class Tool {}",
            "b/y/Fast.java": "package y; class Fast {}",
            "b/z/Deep.java": "package z; class Deep {}",
            "b/z/Other.java": "package z; class Other {}",
        }
    )
    names = {"a/src/x/Near.java", "b/y/Tool.java", "b/y/Fast.java", "b/z/Deep.java"}
    assert found["a/src/x/Main.java"] == names


def test_c_includes_are_found_beside_under_roots_and_by_their_end() -> None:
    found = _imports(
        {
            "src/main.c": '#include "main.h"\n#include <lib/a.h>\n# include "deep/b.h"\n'
            '#include <string.h>\n/*\n#include "no.h"\n*/\n',
            "src/main.h": "",
            "src/no.h": "",
            "include/lib/a.h": "",
            "third/deep/b.h": "",
            "third/string.h": "",
        }
    )
    assert found["src/main.c"] == {"src/main.h", "include/lib/a.h", "third/deep/b.h"}


def test_go_packages_are_found_by_module_and_by_the_end_of_a_path() -> None:
    texts = {
        "go.mod": "module example.com/app // of it\n",
        "main.go": 'package main\nimport (\n\t"fmt"\n\tx "example.com/app/inner" // "no"\n)\n',
        "inner/a.go": "package inner\n",
        "inner/gen.go": "//go:build ignore\n\npackage main\n",
        "inner/a_test.go": 'package inner_test\nimport "example.com/app"\n',
        "fmt/fmt.go": "package fmt\n",
    }
    assert _imports(texts)["main.go"] == {"inner/a.go"}
    assert _imports(texts)["inner/a_test.go"] == {"inner/a.go", "main.go"}
    del texts["go.mod"]
    assert _imports(texts)["main.go"] == {"inner/a.go"}


def test_javascript_and_typescript_files_are_found() -> None:
    found = _imports(
        {
            "src/app.ts": "import a, { b } from './a.js';\nimport type { C } from '@/c';\n"
            "import './side';\nexport * from \"./dir\";\nconst x = require('lib/more');\n"
            "// import z from './z'\nfunction f() {\n  return import('./late');\n}\n",
            "src/a.ts": "",
            "src/c.tsx": "",
            "src/side.js": "",
            "src/z.ts": "",
            "src/late.mjs": "",
            "src/dir/index.ts": "",
            "packages/lib/package.json": '{"name": "lib"}',
            "packages/lib/src/more.ts": "",
        }
    )
    names = ("a.ts", "c.tsx", "side.js", "dir/index.ts", "late.mjs")
    assert found["src/app.ts"] == {*(f"src/{name}" for name in names), "packages/lib/src/more.ts"}


def test_rust_modules_are_found_across_crates_and_children_come_after_their_parent() -> None:
    texts = {
        "core/Cargo.toml": '[package]\nname = "my-core"\n',
        "core/src/lib.rs": "pub mod error;\nmod parse;\n",
        "core/src/error.rs": "pub struct Error;\n",
        "core/src/parse/mod.rs": "mod inner;\nuse crate::error::Error;\n",
        "core/src/parse/inner.rs": "use super::{Parser, super::error as e};\n",
        "cli/Cargo.toml": '[package]\nname = "cli"\n',
        "cli/src/main.rs": "use my_core::{parse::{self, inner::X}, error::Error};\n",
    }
    found = _imports(texts)
    assert found["core/src/parse/mod.rs"] == {"core/src/error.rs", "core/src/parse/inner.rs"}
    inner = {"core/src/parse/mod.rs", "core/src/error.rs"}
    assert found["core/src/parse/inner.rs"] == inner
    names = {"core/src/parse/mod.rs", "core/src/parse/inner.rs", "core/src/error.rs"}
    assert found["cli/src/main.rs"] == names
    order = _order(texts)
    assert order.index("core/src/parse/mod.rs") < order.index("core/src/parse/inner.rs")


def test_use_trees_are_spread() -> None:
    text = "pub use a::{b::{C, D as E}, f::*}; // use x::y;\nlet v = crate::g::h();\n"
    assert set(rust_imports.uses(text)) == {
        ("a", "b", "C"), ("a", "b", "D"), ("a", "f"), ("crate", "g", "h"),
    }  # fmt: skip


def test_files_without_imports_come_first_in_another_order_for_another_lot() -> None:
    texts = {f"{at}.html": "" for at in range(9)} | {f"{at}.sql": "" for at in range(9)}
    files = _files({**texts, "b.py": "import a\n", "a.py": ""})
    orders = []
    for seed in (1, 2):
        (text,) = texts_of(files, 10**9, lambda file, seed=seed: hash((seed, file.key))).texts
        orders.append([file.path for file in text])
        assert orders[-1][-2:] == ["a.py", "b.py"]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_matlab_is_no_c() -> None:
    assert graph_of(_files({"a.m": '#include "b.h"', "b.h": ""}, "matlab"))[0].all == set()


@pytest.mark.parametrize("limit_bytes", [2_000, 40_000, 200_000])
def test_a_huge_repository_is_split_into_texts_in_order(limit_bytes: int) -> None:
    files = _read(Path(__file__).parents[3], "seedcoder", ".py")
    made = texts_of(files, limit_bytes, lambda _: 0)
    graph = graph_of(files)
    number = {file.key: at for at, file in enumerate(files)}
    circle = {one: at for at, found in enumerate(in_circles(graph)) for one in found}
    assert sorted(file.key for text in made.texts for file in text) == sorted(number)
    for text in made.texts:
        size = sum(len(file.text.encode()) for file in text)
        assert size <= limit_bytes or len(text) == 1
        place = {number[file.key]: at for at, file in enumerate(text)}
        for one, at in place.items():
            for to in graph[one].all & place.keys():
                assert place[to] < at or circle.get(to, -1) == circle.get(one, -2)
    assert made.cut_edges <= made.edges


def test_sub_graphs_that_know_nothing_of_each_other_are_not_cut() -> None:
    texts = {
        f"{name}/n{at}.py": (f"from . import n{at - 1}\n" if at else "") + "#" * 900
        for name in "abcd"
        for at in range(5)
    }
    made = texts_of(_files(texts), 5_000, lambda _: 0)
    assert [{file.path[0] for file in text} for text in made.texts] == [{"a"}, {"b"}, {"c"}, {"d"}]
    assert made.cut_edges == 0 and made.edges == 16


@pytest.mark.parametrize("package", ["typer", "rich", "pydantic", "hypothesis", "jsonschema"])
def test_real_python_packages_are_read_as_python_reads_them(package: str) -> None:
    site = next((Path(p) for p in sys.path if (Path(p) / package).is_dir()), None)
    if site is None:
        pytest.skip(f"{package} is not installed")
    files = _read(site, package, ".py")
    for file in files:
        wanted: set[tuple[str, tuple[str, ...]]] = set()
        for node in ast.walk(ast.parse(file.text)):
            if isinstance(node, ast.Import):
                wanted |= {(alias.name, ()) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = tuple(alias.name for alias in node.names)
                wanted.add(("." * node.level + (node.module or ""), names))
        assert {(name, names) for _, name, names in python_imports.named(file.text)} == wanted
    graph = graph_of(files)
    there = {file.path for file in files}
    for file, found in zip(files, graph, strict=True):
        for _, name, names in python_imports.named(file.text):
            if name.startswith("."):
                folder = file.path.split("/")[: -(len(name) - len(name.lstrip(".")))]
                place = "/".join([*folder, *filter(None, name.lstrip(".").split("."))])
            else:
                place = name.replace(".", "/")
            ends = (".py", "/__init__.py")
            targets = {f"{place}/{taken}{end}" for taken in names for end in ends} & there
            if not targets:
                targets = {f"{place}.py", f"{place}/__init__.py"} & there - {file.path}
            targets -= {file.path}
            assert targets <= {files[to].path for to in found.all}, (file.path, name, names)
    made = texts_of(files, 10**9, lambda _: 0)
    assert made.edges >= 50
    assert _late_outside_circles(files, made) == 0


@pytest.mark.slow
def test_gos_own_source_is_read_as_go_reads_it() -> None:
    if not GO.is_dir() or shutil.which("go") is None:
        pytest.skip("Go and its source are not installed")
    files = _read(GO.parent, "src", ".go")
    graph = graph_of(files)
    numbers = {file.path: at for at, file in enumerate(files)}
    fields = "-json=Dir,GoFiles,CgoFiles,Imports"
    done = subprocess.run(["go", "list", fields, "std"], capture_output=True, text=True, cwd=GO)
    assert done.returncode == 0, done.stderr
    text, missed, seen = done.stdout, [], 0
    while text.strip():
        facts, end = json.JSONDecoder().raw_decode(text.lstrip())
        text = text.lstrip()[end:]
        folder = "src/" + Path(facts["Dir"]).resolve().as_posix().partition("/src/")[2]
        found = {
            files[to].path.rpartition("/")[0]
            for name in [*facts.get("GoFiles", []), *facts.get("CgoFiles", [])]
            for to in graph[numbers[f"{folder}/{name}"]].all
        }
        for name in facts.get("Imports", []):
            if name not in ("unsafe", "C"):
                seen += 1
                if not found & {f"src/{name}", f"src/vendor/{name.removeprefix('vendor/')}"}:
                    missed.append((folder, name))
    assert seen > 1000
    assert missed == []
    assert in_circles(graph) == []
    assert _late_outside_circles(files, texts_of(files, 10**9, lambda _: 0)) == 0


@pytest.mark.slow
def test_a_real_tree_of_javascript_is_ordered() -> None:
    if not NPM.is_dir():
        pytest.skip("npm is not installed")
    files = _read(NPM, "", ".js", "package.json")
    made = texts_of(files, 10**9, lambda _: 0)
    assert made.edges > 1000
    assert _late_outside_circles(files, made) == 0


@pytest.mark.slow
def test_real_headers_of_c_are_ordered() -> None:
    root = Path("/usr/include")
    if not (root / "linux").is_dir():
        pytest.skip("no C headers are installed")
    files = [*_read(root, "linux", ".h"), *_read(root, "asm-generic", ".h")]
    files.sort(key=lambda file: (file.path, file.key))
    made = texts_of(files, 10**9, lambda _: 0)
    assert made.edges > 500
    assert _late_outside_circles(files, made) == 0


def test_words_in_strings_and_comments_are_no_imports() -> None:
    python = "x = \"a\" # import b\n'''\nfrom c import d\n'''\nimport e; import f\n"
    assert [name for _, name, _ in python_imports.named(python)] == ["e"]
    assert go_imports.named('package a\n/*\nimport "b"\n*/\nimport "c"\nfunc f() {}') == ["c"]
    script = "/* import a from 'a' */ import b from 'b' // require('c')\n"
    assert [name for _, name in js_imports.named(script)] == ["b"]
