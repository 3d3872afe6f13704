"""A project's own tests, by id: what a patch must mend, and what it must not break."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sandbox.program import Limits
from sandbox.project.snapshot import Snapshot

# Ours: a test suite imports far more than a program does, and keeps a tree beside it.
PROJECT_LIMITS = Limits(cpu_s=300, wall_s=900, memory_mb=2048, processes=256, disk_mb=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTests:
    """A project, and the tests that a patch to it is judged by. The candidate is a diff.

    snapshot: the project before the patch.
    fail_to_pass, pass_to_pass: ids of tests, as pytest prints them; each must pass, and one that
        was not run has failed. Runs of white space count as one space.
    test_patch: a diff that makes the instance's tests; test_files: files laid over the tree in the
        same way. Both come after the candidate's patch, and over it.
    targets: what pytest is given: files, folders or ids. Default: the files of the ids.
    arguments: further arguments of pytest.
    command: run in place of pytest, with `{junit}` where the XML must be left. Its XML is all that
        is then known, and a command that runs the candidate's code can forge it: see `report`.
    pythonpath: folders of the tree put first on Python's path.
    packages_dir: the environment: a folder made by `pip install --target`, or a virtual one. Shown
        read-only; it must hold pytest. Nothing else of this machine's packages can be seen.
    may_change: patterns (fnmatch, over the whole path) of files that are the candidate's to change
        although they are protected: see `rules`.
    canaries: add a file of tests that must fail, to catch a patch that makes everything pass.
        Switch it off where the project's own settings do not collect it. There are none where
        `arguments` choose among the tests (-k, -m), or with a command.
    git: whether the tree is a repository of one commit while the tests run.
    env: environment variables of the run.
    """

    snapshot: Snapshot
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...] = ()
    test_patch: str = ""
    test_files: Mapping[str, bytes] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    pythonpath: tuple[str, ...] = (".",)
    packages_dir: str = ""
    may_change: tuple[str, ...] = ()
    canaries: bool = True
    git: bool = False
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ids:
            raise ValueError("ProjectTests needs at least one id to pass")
        for name in (*self.test_files, *self.pythonpath, *self.targets):
            path = PurePosixPath(name.partition("::")[0])
            if path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ValueError(f"{name!r} is not a relative path inside the project")
        if self.command and not any("{junit}" in part for part in self.command):
            raise ValueError("command must say where its XML goes: {junit} is missing in it")
        if self.command and (self.targets or self.arguments):
            raise ValueError("targets and arguments are pytest's; a command has its own")

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that must pass, those of fail_to_pass first, each once."""
        return tuple(dict.fromkeys(map(plain, (*self.fail_to_pass, *self.pass_to_pass))))

    @property
    def test_paths(self) -> tuple[str, ...]:
        """The files that the tests are in."""
        named = self.targets or (*self.fail_to_pass, *self.pass_to_pass)
        return tuple(dict.fromkeys(name.partition("::")[0] for name in named))

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`; file contents become base64."""
        data: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name, value in data.items():
            if isinstance(value, tuple):
                data[name] = list(value)
        data["kind"] = "project"
        data["snapshot"] = self.snapshot.to_json()
        data["test_files"] = {k: base64.b64encode(v).decode() for k, v in self.test_files.items()}
        data["env"] = dict(self.env)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, host_paths: bool = False) -> ProjectTests:
        """Return the tests that `to_json` wrote.

        host_paths: whether they may name files of this machine (a snapshot, an environment).
            Leave it off for data of strangers: a patch could read what they name.
        """
        fields = {key: value for key, value in data.items() if key != "kind"}
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = tuple(value)
        fields["snapshot"] = Snapshot.from_json(data["snapshot"])
        fields["test_files"] = {k: base64.b64decode(v) for k, v in data["test_files"].items()}
        made = cls(**fields)
        if not host_paths and (made.snapshot.on_this_machine or made.packages_dir):
            raise ValueError(
                "project tests from elsewhere cannot name files of this machine: "
                "send the snapshot inline, and leave packages_dir empty"
            )
        return made


def plain(test_id: str) -> str:
    """Return an id as it is compared: log parsers see runs of white space as one space."""
    return re.sub(r"\s+", " ", test_id).strip()
