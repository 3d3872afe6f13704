"""Programs, limits and tests: what they refuse, and that JSON keeps them whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import AssertTests, CallTests, Limits, Program, StdioTests

texts = st.text(max_size=30)
names = st.text("abc/._-é", min_size=1, max_size=12).filter(
    lambda name: not name.startswith("/") and ".." not in name and name.strip("./")
)
programs = st.builds(
    Program,
    source=texts,
    files=st.dictionaries(names, st.binary(max_size=20), max_size=3),
    argv=st.lists(texts.filter(lambda text: "\0" not in text), max_size=3).map(tuple),
    stdin=texts,
)
limits = st.builds(
    Limits,
    cpu_s=st.floats(0.1, 100),
    wall_s=st.floats(0.1, 1000),
    memory_mb=st.integers(1, 1 << 20),
    processes=st.integers(1, 1000),
    output_kb=st.integers(1, 1 << 20),
    disk_mb=st.integers(1, 1 << 20),
)


@given(programs)
def test_a_program_survives_json(program: Program) -> None:
    assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


@given(limits)
def test_limits_survive_json(limits: Limits) -> None:
    assert Limits.from_json(json.loads(json.dumps(limits.to_json()))) == limits


def test_the_wall_clock_is_ten_times_the_cpu_limit_and_at_least_ten_seconds() -> None:
    assert Limits().wall_s == 100
    assert Limits(cpu_s=0.1).wall_s == 10
    assert Limits(cpu_s=30).wall_s == 300
    assert Limits(cpu_s=30, wall_s=5).wall_s == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu_s", 0),
        ("cpu_s", -1),
        ("cpu_s", float("nan")),
        ("wall_s", -1),
        ("memory_mb", 0),
        ("processes", 0),
        ("output_kb", -5),
        ("disk_mb", 0),
        ("network", True),
    ],
)
def test_a_bad_limit_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "", "a\0b", "..", "."])
def test_a_file_outside_the_work_folder_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match="files"):
        Program(source="", files={name: b""})


def test_bad_programs_are_refused_by_the_field() -> None:
    with pytest.raises(ValueError, match="language must be one of"):
        Program(source="", language="cobol")
    with pytest.raises(ValueError, match="argv"):
        Program(source="", argv=("a\0",))


def test_bad_tests_are_refused_by_the_field() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        StdioTests(cases=())
    with pytest.raises(ValueError, match="at least one call"):
        CallTests(entry_point="f", calls=())
    for name in ("", "1f", "a b", "f()", "a..b", "__import__('os')"):
        with pytest.raises(ValueError, match="entry_point"):
            CallTests.of(name, ([1], 1))
        with pytest.raises(ValueError, match="entry_point"):
            AssertTests(test="assert 1", entry_point=name)
    with pytest.raises(ValueError, match="test code"):
        AssertTests(test=" \n", entry_point="f")
    with pytest.raises(ValueError, match="mode"):
        AssertTests(test="x", entry_point="f", mode="fast")  # type: ignore[arg-type]


def test_values_do_not_change() -> None:
    for value, name in ((Program(source=""), "source"), (Limits(), "cpu_s")):
        with pytest.raises(AttributeError):
            setattr(value, name, "x")
