"""Every attack of attacks/*.toml, in every kind of box, as root and as an unprivileged user.

An attack is held when its program says so (no line BROKE), when nothing that it might have reached
has changed as seen from outside, when our side raised nothing, and when the same box then passes a
correct program and fails a wrong one. What a kind of box does not hold is named in the table with
the reason, and must then really be seen to happen: the list cannot go stale.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import SandboxUnavailable
from sandbox.toolchain import find

HERE = Path(__file__).parent
ROOT = os.geteuid() == 0
US = "root" if ROOT else "user"
Record = dict[str, Any]

_spec = importlib.util.spec_from_file_location("sandbox_tests_table", HERE / "arena.py")
assert _spec is not None and _spec.loader is not None
_arena = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_arena)
ATTACKS = [attack for attack in _arena.attacks() if _arena.applies(attack)]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])


@pytest.fixture(scope="module")
def arena_of(arena_module: ModuleType) -> Iterator[Callable[[str], Any]]:
    """A function from a kind of box to its arena."""
    arenas: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in arenas:
            try:
                arenas[kind] = arena_module.Arena(kind)
            except SandboxUnavailable as error:
                arenas[kind] = str(error)
        if isinstance(arenas[kind], str):
            pytest.skip(arenas[kind])
        return arenas[kind]

    yield get
    for arena in arenas.values():
        if not isinstance(arena, str):
            arena.close()


@pytest.fixture(scope="module")
def records_of_nobody() -> Callable[[str], dict[str, Record]]:
    """A function from a kind of box to the records that the user nobody made with it."""
    made: dict[str, dict[str, Record]] = {}

    def get(kind: str) -> dict[str, Record]:
        if not ROOT:
            pytest.skip("only root can become another user; the other tests ran unprivileged")
        if kind not in made:
            made[kind] = _records_of_nobody(kind)
        return made[kind]

    return get


def _records_of_nobody(kind: str) -> dict[str, Record]:
    chain = find(("numpy",))
    tries = [(chain.interpreter, [os.path.realpath(sys.base_prefix)])]
    if Path("/usr/bin/python3").exists():
        tries.append(("/usr/bin/python3", []))
    why = ""
    checkout = str(_arena.CHECKOUT)
    site = sysconfig.get_path("purelib")
    for interpreter, prefixes in tries:
        needed = [*prefixes, checkout, *([] if site.startswith(checkout) else [site])]
        done = subprocess.run(
            [
                *(chain.interpreter, HERE / "nobody.py", interpreter, ":".join(needed)),
                *(HERE / "arena.py", kind),
            ],
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": f"{checkout}:{site}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=280,
        )
        if done.returncode == 0:
            found = json.loads(done.stdout)
            assert found["facts"]["uid"] != 0
            return {record["name"]: record for record in found["records"]}
        why = done.stderr[-600:]
    pytest.skip(f"nobody cannot use an interpreter or a box here: {why}")


def _reason(attack: dict[str, Any], kind: str, who: str) -> str:
    """Return why this configuration does not hold this attack; empty where it must."""
    table: dict[str, str] = attack.get("not_held", {})
    return table.get(kind, table.get(who, table.get(f"{kind}-{who}", "")))


def _check(attack: dict[str, Any], record: Record, kind: str, who: str) -> None:
    assert record["raised"] == "", "our side raised: that is no verdict"
    assert record["control"] == [], "the box does not judge harmless programs as before"
    assert record["changed"] == {}, "something outside the box changed"
    assert record["left"] == [], "processes were left behind"
    done = record["said"] == ["tried"] or record["kind"] != "passed" or attack.get("untried")
    expected = attack.get("kinds", ["passed"])
    if reason := _reason(attack, kind, who):
        seen = record["broke"] or record["kind"] not in expected or attack.get("sometimes")
        assert seen, f"the table says that this is not held ({reason}), and it was held"
        return
    assert record["broke"] == []
    assert record["kind"] in expected, record
    assert done, f"the attack did not run to its end: {record}"
    assert record["seconds"] < attack.get("faster_than_s", 15)


@every_attack
def test_the_namespace_box_holds(attack: dict[str, Any], arena_of: Callable[[str], Any]) -> None:
    _check(attack, arena_of("namespace").attack(attack), "namespace", US)


@pytest.mark.slow
@every_attack
def test_the_restricted_box_holds(attack: dict[str, Any], arena_of: Callable[[str], Any]) -> None:
    _check(attack, arena_of("restricted").attack(attack), "restricted", US)


@pytest.mark.slow
@every_attack
def test_the_namespace_box_of_an_unprivileged_user_holds(
    attack: dict[str, Any], records_of_nobody: Callable[[str], dict[str, Record]]
) -> None:
    _check(attack, records_of_nobody("namespace")[attack["name"]], "namespace", "user")


@pytest.mark.slow
@every_attack
def test_the_restricted_box_of_an_unprivileged_user_holds(
    attack: dict[str, Any], records_of_nobody: Callable[[str], dict[str, Record]]
) -> None:
    _check(attack, records_of_nobody("restricted")[attack["name"]], "restricted", "user")


@pytest.fixture(scope="module")
def docker_arena(arena_module: ModuleType, docker_box: Any) -> Iterator[Any]:
    """The arena with a container for a box."""
    arena = arena_module.Arena("docker", start=lambda: docker_box.new_slot())
    yield arena
    arena.close()


@pytest.mark.slow
@pytest.mark.docker
@every_attack
def test_the_docker_box_holds(attack: dict[str, Any], docker_arena: Any) -> None:
    _check(attack, docker_arena.attack(attack), "docker", "root")


def test_every_attack_has_a_name_of_its_own_and_each_exception_a_reason() -> None:
    names = [attack["name"] for attack in ATTACKS]
    assert len(set(names)) == len(names)
    for attack in ATTACKS:
        for where, reason in attack.get("not_held", {}).items():
            assert where in ("restricted", "user", "namespace-user", "restricted-user", "docker")
            assert len(reason) > 20
