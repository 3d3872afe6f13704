"""What the README and the other pages say is true: snippets run, commands work, places exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from evals.recipe import EvalRecipe
from evals.suite import is_suite, load_suite
from seedcoder.recipe import load_recipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in _BLOCK.finditer(README)]
SNIPPETS = [
    (text, BLOCKS[at + 1][1] if BLOCKS[at + 1 : at + 2] and BLOCKS[at + 1][0] == "text" else "")
    for at, (language, text) in enumerate(BLOCKS)
    if language == "python"
]
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
# A model, a server or an installation stands behind these: they are only read.
_NOT_RUN = (
    "model=hf:", "model=openai:", "recipes/eval/demo.toml", "sandbox serve", "sandbox fleet",
    "--shard part-", "serve up recipes/serve/demo.toml", "serve up recipes/serve/smollm2.toml",
    "serve playground", "curl http", "pip install", "curate run recipes/curate/code.toml",
    "curate score ask", "curate score train", "eval problems all",
)  # fmt: skip


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{scripts}:{os.environ.get('PATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("source", "printed"), SNIPPETS)
def test_a_snippet_runs_in_any_folder_and_prints_what_stands_below_it(
    source: str, printed: str, tmp_path: Path
) -> None:
    assert printed, "a snippet without its output cannot be checked"
    (tmp_path / "snippet.py").write_text(source, encoding="utf-8")
    done = _run([sys.executable, "snippet.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


@pytest.mark.slow
def test_the_commands_work_as_they_are_copied(tmp_path: Path) -> None:
    for name in ("recipes", "sandbox", "seedcoder"):
        (tmp_path / name).symlink_to(ROOT / name)
    ran = 0
    for line in COMMANDS:
        if line.startswith("make ") or any(word in line for word in _NOT_RUN):
            continue
        done = _run(["bash", "-c", line], tmp_path)
        # `doctor` ends with 3 where the default box cannot run: that is its answer.
        assert done.returncode in ((0, 3) if line.endswith("doctor") else (0,)), (line, done)
        ran += 1
    assert ran >= 7
    assert list(tmp_path.glob("runs/eval-humaneval-smoke-*/report.html"))


def test_commands_that_are_not_run_name_recipes_and_keys_that_exist() -> None:
    seen = 0
    for line in COMMANDS:
        words = shlex.split(line)
        if words[:2] != ["seedcoder", "eval"] or not words[2].endswith(".toml"):
            continue
        changes = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
        path = ROOT / words[2]
        _ = load_suite(path, changes) if is_suite(path) else load_recipe(path, EvalRecipe, changes)
        seen += 1
    assert seen >= 5


def test_make_knows_the_targets_that_are_named() -> None:
    named = {name for page in PAGES for name in re.findall(r"`make (\w+)`", page.read_text())}
    named |= {line.split()[1] for line in COMMANDS if line.startswith("make ")}
    assert {"demo", "test", "check", "bench"} <= named
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named <= set(rules)


def test_extras_that_are_named_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in PAGES:
        for extras in re.findall(r"-e '\.\[([\w,-]+)\]'", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys(), page


@pytest.mark.slow
def test_rooms_that_are_not_built_say_so() -> None:
    for room in ("curate", "train", "serve"):
        done = _run([sys.executable, "-m", "seedcoder", room], ROOT)
        built = (ROOT / room / "cli.py").exists()
        assert built or done.returncode == 3, f"the README says that {room} is not built"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:sandbox|seedcoder|evals|tests|bench|recipes)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_every_module_stands_in_the_annotated_tree() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.partition("```text\n")[2].partition("```")[0]
    standing: dict[int, str] = {}
    named = set()
    for line in tree.splitlines():
        words = line.split()
        if not words or not re.fullmatch(r"[\w./-]+", words[0]):
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        standing[depth] = words[0]
        named.add("".join(standing[level] for level in range(depth + 1)))
    for name in named:
        assert (ROOT / name).exists(), f"{name} is in the tree and not in the checkout"
    for room in ("sandbox", "seedcoder", "evals", "serve", "curate"):
        for path in (ROOT / room).rglob("*.py"):
            if path.name != "__init__.py" and "__pycache__" not in path.parts:
                place = str(path.relative_to(ROOT))
                assert place in named, f"{place} is not in the tree of ARCHITECTURE.md"
