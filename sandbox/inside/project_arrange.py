"""Bring a project to what is judged: the base, the candidate's patch, the instance's own tests.

Sent into boxes and images as text: Python 3.6 and the standard library will do for it.
Nothing of the candidate's is executed here. git and patch(1) read its patch, in the box.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
import sys
from typing import Any

from sandbox.inside import project_patch
from sandbox.inside.project_tree import Stop, Tree, strip_history

_WORDS_MOST = 4000  # characters of what a tool said
_TOOL_S = 120
# Unified only: an ed script would be run by ed. Fuzz as SWE-bench's own harness allows it.
_PATCH = ["patch", "-p1", "-u", "--batch", "--forward", "--fuzz=5", "--no-backup-if-mismatch",
          "--reject-file=-"]  # fmt: skip


def apply(patch: str, tree: Tree, env: dict[str, str]) -> str:
    """Apply a patch and return by which means; raise ValueError with the tool's words."""
    raw = patch.encode("utf-8", "surrogateescape")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    tries = [raw]
    if b"\r\n" in raw:  # made on another system, for files that have no such line ends
        tries.append(raw.replace(b"\r\n", b"\n"))
    project_patch.check(tries[-1])
    ways = (
        ("git", [["git", "apply", "--whitespace=nowarn", "-"]]),
        ("patch", [[*_PATCH, "--dry-run"], _PATCH]),
    )
    said = []
    for name, commands in ways:
        if shutil.which(name, path=env["PATH"]) is None:
            continue
        for content in tries:
            for command in commands:
                code, words = tool(command, content, tree, env)
                if code:
                    break
            else:
                return name
            said.append(words)
    if not said:
        for content in tries:
            try:
                project_patch.apply(content, tree.root)
                return "strict"
            except project_patch.PatchError as error:
                said.append(str(error))
    raise ValueError(said[0] or "it does not apply")


def tool(command: list[str], given: bytes, tree: Tree, env: dict[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=tree.root, env=env, timeout=_TOOL_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, f"{command[0]} did not end in {_TOOL_S} s"
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()[:_WORDS_MOST]


def shadows(tree: Tree, base: Any, added: set[str], job: dict[str, Any]) -> list[str]:
    """Return what the patch added over modules of Python or of the environment."""
    taken = set(getattr(sys, "stdlib_module_names", ())) | set(sys.builtin_module_names)
    taken |= {"pytest", "_pytest", "pluggy"}
    for folder in job["packages"]:
        taken |= {name.split(".")[0] for name in os.listdir(folder)}
    own = {(name.rpartition("/")[0], _stem(name)) for name in base}
    found = []
    for name in added:
        folder = name.rpartition("/")[0]
        if (folder or ".") not in job["import_roots"] or folder + "/__init__.py" in base:
            continue
        if _stem(name) in taken and (folder, _stem(name)) not in own and not tree.frees(name):
            found.append(name)
    return found


def _stem(name: str) -> str:
    return name.rpartition("/")[2].split(".")[0]


def named_in(patch: str) -> set[str]:
    """Return the files that the headers of a patch of the instance name."""
    found = set()
    for line in patch.splitlines():
        for start in ("--- a/", "+++ b/", "rename from ", "rename to "):
            if line.startswith(start):
                found.add(line[len(start) :].split("\t")[0].strip())
    return found


def tests_of(
    job: dict[str, Any], tree: Tree, env: dict[str, str], kept: dict[str, tuple[int, bytes]]
) -> dict[str, tuple[int, bytes] | None]:
    """Return what the instance's tests make of the base: contents by name, None for removed.

    Made on the untouched tree, which is then as before: no candidate's patch can hinder it.
    """
    base = tree.facts()
    kept.update(tree.keep(name for name in named_in(job["test_patch"]) if name in base))
    made: dict[str, tuple[int, bytes] | None] = {}
    if job["test_patch"].strip():
        try:
            apply(job["test_patch"], tree, env)
        except ValueError as error:
            raise Stop("test_patch", str(error)) from None
        after = tree.facts()
        changed = {name for name in set(base) | set(after) if base.get(name) != after.get(name)}
        new = tree.keep(name for name in changed if name in after)
        for name in sorted(changed, reverse=True):
            if not stat.S_ISDIR((after.get(name) or base[name])[0]):
                made[name] = new.get(name)
                if name in base and name not in kept:
                    raise Stop("test_patch", f"no header of it names {name}")
            if name in kept:
                tree.put(name, *kept[name])
            else:
                tree.remove(name)
    for name, content in job["test_files"].items():
        made[name] = (stat.S_IFREG | 0o644, base64.b64decode(content))
    return made


def arrange(job: dict[str, Any], tree: Tree, env: dict[str, str], report: dict[str, Any]) -> None:
    """Bring the tree to what is judged: base, candidate's patch, the instance's own tests."""
    kept = tree.keep(name for name in tree.facts() if tree.protects(name))
    made = tests_of(job, tree, env, kept)
    tree.rules["files"] += sorted(made)
    base = tree.facts()
    if job["patch"].strip():
        try:
            report["applied"] = apply(job["patch"], tree, env)
        except ValueError as error:
            raise Stop("patch", str(error)) from None
        strip_history(tree)
    after = tree.facts()
    for name in sorted(after):
        if stat.S_ISLNK(after[name][0]) and base.get(name) != after[name]:
            raise Stop("patch", f"it makes a symbolic link: {name}")
    undone = {
        name
        for name in set(base) | set(after)
        if base.get(name) != after.get(name) and tree.protects(name)
    }
    undone.update(shadows(tree, base, set(after) - set(base), job))
    report["undone"] = sorted(undone)[:1000]
    for name in sorted(undone, reverse=True):
        tree.remove(name)
    for name in sorted(undone):
        if name in kept:
            tree.put(name, *kept[name])
    for name, now in made.items():
        if now is None:
            tree.remove(name)
        else:
            tree.put(name, *now)
    for name, content in job["canaries"].items():
        tree.put(name, 0o644, content.encode())


def make_repository(tree: Tree, env: dict[str, str]) -> None:
    """Make a repository with one commit, for commands that ask git about the tree."""
    who = ["-c", "user.name=box", "-c", "user.email=box@localhost"]
    for command in (["init", "-q"], ["add", "-A", "-f"], [*who, "commit", "-q", "-m", "base"]):
        code, words = tool(["git", *command], b"", tree, env)
        if code:
            raise Stop("unpack", f"git {command[0]}: {words}")
