"""Checkers and managers as contests write them, made ready for the sandbox.

The sandbox calls a judge with three files and reads its exit code (`sandbox.checker`). Those of
the data sets take their files in another order and say their word in another way:

Codeforces (open-r1/codeforces, `generated_checker`)  Python: `checker.py input correct_output
    output`, which prints 1 for right (huggingface/open-r1 src/open_r1/utils/
    competitive_programming/cf_scoring.py).
IOI (open-r1/ioi, `grader_files`)  C++: `checker input correct_output output`, which prints a share
    of the points on stdout and words on stderr. A manager talks to the program through two named
    pipes, its arguments, and says the same (huggingface/ioi run_tests/custom_setup/run).

Each is put behind a few lines that translate; its own text is not touched. A judge that says
nothing sensible is broken, never a verdict: the lines then exit with a code that no judge has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sandbox import Program
from sandbox.checker import FILES

# An exit code that means nothing to the sandbox: it tries again without the candidate, and raises
# TestsBroken where that ends the same way.
_BROKEN: Final = 99

_PYTHON: Final = """
import contextlib, io, sys

def _judge(source):
    said = io.StringIO()
    given, output, answer = sys.argv[1:4]
    sys.argv = ["checker.py", given, answer, output]
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(source, "checker.py", "exec"), {"__name__": "__main__"})
        except SystemExit as end:
            if end.code not in (None, 0):
                sys.stderr.write("it ended with " + repr(end.code))
                return 1
    word = said.getvalue().strip()
    sys.stderr.write("it says " + repr(word[:200]))
    return 0 if word == "1" else 1

sys.exit(_judge(SOURCE))
"""

_CPP: Final = """
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// main may take its arguments or not, and is not to be renamed: only main may end without a return.
static int seedcoder_call(int (*judge)(), int, char **) { return judge(); }
static int seedcoder_call(int (*judge)(int, char **), int count, char **given) {
    return judge(count, given);
}
static int seedcoder_call(int (*judge)(int, const char **), int count, char **given) {
    return judge(count, const_cast<const char **>(given));
}

// Hands on what comes from one to the other, in a process of its own: the ends of a pipe cannot be
// opened by name in the box. A name is a named pipe, made here; the other end is a descriptor.
static pid_t seedcoder_pump(const char *name, int end, bool inwards) {
    if (mkfifo(name, 0600) != 0) _exit(@BROKEN@);
    pid_t child = fork();
    if (child != 0) return child;
    int other = open(name, inwards ? O_WRONLY : O_RDONLY);
    int from = inwards ? end : other, to = inwards ? other : end;
    close(inwards ? 1 : 0);
    static char bytes[65536];
    for (ssize_t had; (had = read(from, bytes, sizeof bytes)) > 0;)
        for (ssize_t at = 0, done; at < had; at += done)
            if ((done = write(to, bytes + at, had - at)) <= 0) _exit(0);
    _exit(0);
}

static int seedcoder_run() {
    char asked[] = "seedcoder.asked", answered[] = "seedcoder.answered";
    const char *said = "seedcoder.said", *words = "seedcoder.words";
    pid_t in = 0, out = 0;
@SET_UP@
    pid_t child = fork();
    if (child < 0) _exit(@BROKEN@);
    if (child == 0) {
@STREAMS@
        exit(seedcoder_call(main, sizeof given / sizeof *given - 1, given));
    }
    if (in) { close(0); close(1); }
    int status = 0;
    waitpid(child, &status, 0);
    if (in) {
        // Where it never opened its pipe to write, nobody is to wait for it.
        close(open(asked, O_WRONLY | O_NONBLOCK));
        waitpid(out, nullptr, 0);
        kill(in, SIGKILL);
        waitpid(in, nullptr, 0);
    }
@FINISH@
}

// The last global of the file: all others, the judge's own, are made before it.
static const int seedcoder_ran = seedcoder_run();
"""
_PIPES: Final = """
    in = seedcoder_pump(answered, 0, true);
    out = seedcoder_pump(asked, 1, false);
    char *given[] = {name, answered, asked, nullptr};"""
_SAID: Final = """
        dup2(open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
        dup2(open(words, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);"""
# Reads the share that the judge printed, and says it as the sandbox wants it.
_WORD: Final = """
    double share = -1;
    FILE *file = fopen(said, "r");
    if (!file || fscanf(file, "%lf", &share) != 1 || !WIFEXITED(status)) share = -1;
    int code = share == 1 ? 0 : share == 0 ? 1 : share > 0 && share < 1 ? 7 : @BROKEN@;
    if (code == 7) fprintf(stderr, "points %.6f\\n", share);
    char line[256];
    file = fopen(words, "r");
    if (file && fgets(line, sizeof line, file)) fprintf(stderr, "%s\\n", line);
    fflush(stderr);
    _exit(code);"""
_CHECKER: Final = {
    "SET_UP": """
    char name[] = "checker", input[] = "@INPUT@", right[] = "@ANSWER@", output[] = "@OUTPUT@";
    char *given[] = {name, input, right, output, nullptr};""",
    "STREAMS": _SAID,
    "FINISH": _WORD,
}
_MANAGER: Final = {
    "SET_UP": f'    char name[] = "manager";{_PIPES}',
    "STREAMS": f'        dup2(open("@INPUT@", O_RDONLY), 0);{_SAID}',
    "FINISH": _WORD,
}
_STUB: Final = {
    "SET_UP": f'    char name[] = "stub";{_PIPES}',
    "STREAMS": '        dup2(open("/dev/null", O_RDONLY), 0);',
    "FINISH": """
    if (WIFSIGNALED(status)) { signal(WTERMSIG(status), SIG_DFL); raise(WTERMSIG(status)); }
    _exit(WEXITSTATUS(status));""",
}


def python_checker(source: str) -> Program:
    """Return a checker that prints 1 for right, as the sandbox calls checkers."""
    return Program.python(f"SOURCE = {source!r}\n{_PYTHON}")


def ioi_checker(source: str) -> Program:
    """Return an IOI checker. source: with every file that it includes written into it."""
    return _cpp(source, _CHECKER)


def ioi_manager(source: str) -> Program:
    """Return an IOI manager of one process, as the sandbox's interactor."""
    return _cpp(source, _MANAGER)


def with_named_pipes(source: str) -> str:
    """Return a C++ program whose main is given two named pipes, for stdin and stdout."""
    return _cpp(source, _STUB).source


def _cpp(source: str, parts: Mapping[str, str]) -> Program:
    tail = _CPP
    given, output, answer = FILES
    names = {"BROKEN": str(_BROKEN), "INPUT": given, "OUTPUT": output, "ANSWER": answer}
    for name, text in {**parts, **names}.items():
        tail = tail.replace(f"@{name}@", text)
    return Program(language="cpp", source=f"{source}\n{tail}")
