"""What the suite says when it cannot go on: one line for a person, one exit code for a script."""

from __future__ import annotations

from typing import ClassVar


class SeedcoderError(Exception):
    """Something to tell the user in one line. The command line prints it and exits.

    The message is folded into one line. Not for bugs: those keep their traceback.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class UsageError(SeedcoderError):
    """What was asked for makes no sense as asked: an argument, a file, a folder."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read, or says what its schema does not know."""


class RunBusy(UsageError):
    """Another process is writing to the same run folder."""


class MachineLacks(SeedcoderError):
    """The machine has not got what the job needs: an extra, a device, disk space, a permission."""

    exit_code = 3
