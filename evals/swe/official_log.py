"""Run an instance's `eval_script` inside its image, read its log, leave an XML; sent there as text.

Python 3.6 and the standard library will do for it. What each parser takes from a line follows
`swebench/harness/log_parsers/` of swebench 5.0.2 and what a whole log is worth its `get_logs_eval`
(`swebench/harness/grading.py`): the part between the markers, else all of it; nothing where the
tests' exit code tells of a failure that no line tells of.
The markers are drawn anew for each run, so no patch holds them when it is written. Does not hold
against a patch that prints lines of results between them: upstream's protocol looks at no more.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

_START, _END = ">>>>> Start Test Output", ">>>>> End Test Output"
_WORDS = ("FAILED", "PASSED", "SKIPPED", "ERROR", "XFAIL")
_COUNT = re.compile(r"\[\d+\]\Z")
_WORST = ("PASSED", "XFAIL", "SKIPPED", "FAILED", "ERROR")


def _first_word(line: str) -> tuple[str, str] | None:
    """Return (test, status) of a line of pytest's summary: one word each."""
    if not line.startswith(_WORDS):
        return None
    if line.startswith("FAILED"):
        line = line.replace(" - ", " ")
    parts = line.split()
    if len(parts) < 2 or (parts[0] == "SKIPPED" and _COUNT.match(parts[1])):
        return None
    return parts[1], parts[0]


def pytest(log: str) -> dict[str, str]:
    return dict(found for found in map(_first_word, log.split("\n")) if found)


def pytest_options(log: str) -> dict[str, str]:
    """As `pytest`; of a parameter that is a path only the last part counts."""
    found: dict[str, str] = {}
    for name, status in pytest(log).items():
        main, bracket, rest = name.partition("[")
        option = rest.rpartition("]")[0]
        if bracket and "]" in rest:
            if option.startswith("/") and not option.startswith("//") and "*" not in option:
                option = "/" + option.split("/")[-1]
            name = f"{main}[{option}]"
        found[name] = status
    return found


def pytest_whole(log: str) -> dict[str, str]:
    """A test's name is the rest of its line; lines that end in a status count too."""
    found: dict[str, str] = {}
    for line in log.split("\n"):
        line = re.sub(r"\[(\d+)m", "", line)
        line = re.sub(r"[\x01-\x1f]", "", line)
        if line.startswith(_WORDS):
            if line.startswith("FAILED"):
                line = line.split(" - ", 1)[0]
            parts = line.split()
            if len(parts) > 1 and not (parts[0] == "SKIPPED" and _COUNT.match(parts[1])):
                found[" ".join(parts[1:])] = parts[0]
        elif line.endswith(_WORDS):
            parts = line.split()
            if len(parts) > 1:
                found[" ".join(parts[:-1])] = parts[-1]
    return found


def matplotlib(log: str) -> dict[str, str]:
    return pytest(log.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3"))


def seaborn(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in log.split("\n"):
        parts = line.split()
        if len(parts) < 2:
            continue
        if line.startswith("FAILED"):
            found[parts[1]] = "FAILED"
        elif " PASSED " in line:
            if parts[1] == "PASSED":
                found[parts[0]] = "PASSED"
        elif line.startswith("PASSED"):
            found[parts[1]] = "PASSED"
    return found


def sympy(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, file, name, _ in re.findall(r"(_*) (.*)\.py:(.*) (_*)", log):
        found[f"{file}.py:{name}"] = "FAILED"
    for line in map(str.strip, log.split("\n")):
        if line.startswith("test_"):
            for ending, status in ((" E", "ERROR"), (" F", "FAILED"), (" ok", "PASSED")):
                if line.endswith(ending):
                    found[line.split()[0]] = status
    return found


def django(log: str) -> dict[str, str]:
    """Lines of unittest; the word after " ... " may come lines later."""
    found: dict[str, str] = {}
    before = None
    for line in map(str.strip, log.split("\n")):
        if "--version is equivalent to version" in line:
            found["--version is equivalent to version"] = "PASSED"
        if " ... " in line:
            before = line.split(" ... ")[0]
        for ending in (" ... ok", " ... OK", " ...  OK"):
            if line.endswith(ending):
                # django__django-7188: a migration's words stand before the test's name.
                if line.startswith("Applying sites.0002_alter_domain_unique...test_no_migrations"):
                    line = line.split("...", 1)[-1].strip()
                found[line.rsplit(ending, 1)[0]] = "PASSED"
                break
        if " ... skipped" in line:
            found[line.split(" ... skipped")[0]] = "SKIPPED"
        for word, status in (("FAIL", "FAILED"), ("ERROR", "ERROR")):
            if line.endswith(" ... " + word):
                found[line.split(" ... " + word)[0]] = status
            if line.startswith(word + ":") and len(line.split()) > 1:
                found[line.split()[1]] = status
        if line.startswith("ok") and before is not None:
            found[before] = "PASSED"
    for pattern in (
        r"^(.*?)\s\.\.\.\sTesting against Django installed in ((?s:.*?)) silenced\)\.\nok$",
        r"^(.*?)\s\.\.\.\sInternal Server Error: /(.*)/\nok$",
        r"^(.*?)\s\.\.\.\sSystem check identified no issues \(0 silenced\)\nok$",
    ):
        for match in re.finditer(pattern, log, re.MULTILINE):
            found[match.group(1)] = "PASSED"
    return found


def gotest(log: str) -> dict[str, str]:
    words = {"PASS": "PASSED", "FAIL": "FAILED", "SKIP": "SKIPPED"}
    found: dict[str, str] = {}
    for line in map(str.strip, log.split("\n")):
        match = re.match(r"--- (PASS|FAIL|SKIP): (.+) \((.+)\)$", line)
        if match:
            found[match.group(2)] = words[match.group(1)]
    return found


def cargo(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in map(str.strip, log.split("\n")):
        match = re.match(r"test\s+(\S+)\s+\.\.\.\s+(ok|FAILED)$", line)
        if match:
            found[match.group(1)] = "PASSED" if match.group(2) == "ok" else "FAILED"
    return found


def maven(log: str) -> dict[str, str]:
    """Maven names no test that passed: each has a command of its own, with a result after it."""
    asked: list[str] = []
    results: list[str] = []
    for line in map(str.strip, log.split("\n")):
        match = re.match(r".*-Dtest=(\S+)", line)
        if match:
            asked.append(match.group(1))
        match = re.match(r".*BUILD (SUCCESS|FAILURE)$", line)
        if match:
            results.append("PASSED" if match.group(1) == "SUCCESS" else "FAILED")
    return dict(zip(asked, results))  # noqa: B905 - Python 3.6 has no `strict`


PARSERS: Any = {
    "parse_log_pytest": pytest,
    "parse_log_pytest_options": pytest_options,
    "parse_log_pytest_v2": pytest_whole,
    "parse_log_matplotlib": matplotlib,
    "parse_log_seaborn": seaborn,
    "parse_log_sympy": sympy,
    "parse_log_django": django,
    "parse_log_gotest": gotest,
    "parse_log_cargo": cargo,
    "parse_log_maven": maven,
}
for _names, _parser in (
    ("astroid flask marshmallow pvlib pyvista sqlfluff xarray", pytest),
    ("pydicom requests pylint", pytest_options),
    ("astropy scikit sphinx", pytest_whole),
):
    for _name in _names.split():
        PARSERS["parse_log_" + _name] = _parser


def marked(script: str, nonce: str) -> str:
    """Return the script with markers of this run, and a line that tells the tests' exit code."""
    lines = []
    for line in script.split("\n"):
        if _END in line:
            lines += ["SEEDCODER_CODE=$?", line.replace(_END, "end-" + nonce)]
            lines.append(f'echo "code-{nonce}: $SEEDCODER_CODE"')
        else:
            lines.append(line.replace(_START, "start-" + nonce))
    return "\n".join(lines)


def statuses(log: str, parser: str, nonce: str) -> dict[str, str]:
    """Return what became of each test, by the log of a marked script."""
    start, end = "start-" + nonce, "end-" + nonce
    if start not in log or end not in log:
        return {}
    parse: Callable[[str], dict[str, str]] = PARSERS[parser]
    found = parse(log.split(start)[1].split(end)[0]) or parse(log)
    code = re.search(f"code-{nonce}: (-?[0-9]+)", log)
    failed = any(status in ("FAILED", "ERROR") for status in found.values())
    if code and code.group(1) != "0" and not failed:
        return {}
    # Ids of SWE-bench Verified end at the first space of a parameter: all that begin so must pass.
    for name in sorted(found):
        short = name.split(" ")[0]
        if short.count("[") > short.count("]"):
            known = found.get(short, "PASSED")
            found[short] = max(known, found[name], key=_WORST.index)
    return found


def xml_of(found: dict[str, str]) -> str:
    """Return the statuses as JUnit's XML; a name is split as our reader splits ids."""
    inner = {
        "PASSED": "", "XFAIL": '<skipped type="pytest.xfail"/>', "SKIPPED": "<skipped/>",
        "FAILED": "<failure/>", "ERROR": "<error/>",
    }  # fmt: skip
    lines = ["<testsuite>"]
    for name, status in sorted(found.items()):
        name = re.sub("[\x00-\x1f]", " ", name)
        group, _, last = name.rpartition("::")
        lines.append(
            f"<testcase classname={quoteattr(group)} name={quoteattr(last)}>"
            f"{inner[status]}</testcase>"
        )
    return "\n".join([*lines, "</testsuite>"])


def main() -> None:
    parser, place, tree, xml = sys.argv[1:5]
    folder = Path(tree, place)
    script = (folder / "eval.sh").read_text(encoding="utf-8")
    (folder / "eval.sh").unlink()
    folder.rmdir()
    nonce = os.urandom(16).hex()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".sh") as file:
        file.write(marked(script, nonce))
        file.flush()
        done = subprocess.run(
            ["bash", file.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=tree,
        )  # fmt: skip
    log = done.stdout.decode("utf-8", "replace")
    sys.stdout.buffer.write(done.stdout)
    Path(xml).write_text(xml_of(statuses(log, parser, nonce)), encoding="utf-8")


if __name__ == "__main__":
    main()
