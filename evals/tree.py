"""A small tree of files that is judged as a project: packed for a box, and edited by a patch."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from evals.swe.diff import git_diff
from sandbox import Program, Snapshot
from sandbox.project.shell import Change


def snapshot(files: Mapping[str, bytes]) -> Snapshot:
    """Return the files as a project. The same files give the same bytes."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    return Snapshot.inline(held.getvalue(), strip=0)


def patch(before: Mapping[str, str], after: Mapping[str, str]) -> Program:
    """Return the patch that gives files of `before` what `after` says, or adds them."""
    changes = {name: text for name, text in after.items() if before.get(name) != text}
    diff = git_diff(
        {name: Change(content=text.encode()) for name, text in before.items()},
        {name: Change(content=text.encode("utf-8", "replace")) for name, text in changes.items()},
    )
    return Program(language="diff", source=diff)
