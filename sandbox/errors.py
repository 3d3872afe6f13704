"""What goes wrong on our side of the box. None of these is ever a verdict on a program."""


class SandboxError(RuntimeError):
    """The sandbox itself failed; the program under test was not judged."""


class SandboxUnavailable(SandboxError):
    """No box that is strong enough can be started on this machine."""


class SandboxBroken(SandboxError):
    """A box died or misbehaved during a run. The run has no result; it may be tried again."""


class TestsBroken(SandboxError):
    """The tests themselves cannot run: they say nothing of the program."""

    __test__ = False  # pytest takes the name for a test class
