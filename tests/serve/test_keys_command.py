"""`seedcoder serve keys` as a person and a script meet it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seedcoder.cli import call_room
from seedcoder.errors import UsageError
from serve.fault import Fault
from serve.keys import KeyStore
from serve.usage import Ledger, Used

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keys(tmp_path, monkeypatch, capsys):
    """Call the command on a database in a home of its own; returns what it printed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            call_room("serve", ["keys", *words])
        printed = capsys.readouterr()
        assert not ended.value.code, printed
        return printed.out

    call.path = tmp_path / "seedcoder" / "keys.sqlite"
    return call


def test_a_key_is_made_shown_once_listed_rotated_and_revoked(keys):
    secret = keys(
        "add", "ada", "--models", "seed-*,smol", "--per-minute", "60", "--concurrent", "4",
        "--tokens-per-minute", "1000", "--tokens-total", "9000", "--expires", "30d", "--run-code",
    ).strip()  # fmt: skip
    store = KeyStore(keys.path)
    holder = store.find(secret)
    assert holder is not None and holder.name == "ada"
    rights = holder.rights
    assert rights.models == ("seed-*", "smol") and rights.may_run_code
    assert (rights.requests_per_minute, rights.concurrent) == (60, 4)
    assert (rights.tokens_per_minute, rights.tokens_total) == (1000, 9000)
    assert abs(rights.expires_at_s - time.time() - 30 * 86400) < 120
    shown = keys("list")
    assert "ada" in shown and "0 of 9000" in shown and secret not in shown
    (listed,) = json.loads(keys("list", "--json"))
    assert listed["id"] == holder.id and listed["tokens_used"] == 0
    assert secret not in json.dumps(listed) and "digest" not in json.dumps(listed)
    rotated = json.loads(keys("rotate", "ada", "--grace", "1h", "--json"))
    assert store.find(rotated["secret"]) == store.find(secret) == holder
    keys("revoke", "ada")
    with pytest.raises(Fault, match="revoked"):
        store.find(rotated["secret"])
    assert "ada" not in keys("list")
    assert "revoked" in keys("list", "--all")
    store.close()


def test_usage_is_shown_as_a_table_and_as_data(keys):
    keys("add", "ada")
    store = KeyStore(keys.path)
    (holder,) = store.list()
    ledger = Ledger(keys.path)
    for model, at_s in (("base", 100.0), ("base", 200.0), ("chat", time.time())):
        ledger.record(
            Used(key_id=holder.id, model=model, prompt_tokens=7, completion_tokens=3, at_s=at_s)
        )
    ledger.close()
    lines = [line.split() for line in keys("usage").splitlines()]
    assert lines[0][:4] == ["KEY", "MODEL", "DAY", "REQUESTS"]
    assert lines[1] == ["ada", "base", "1970-01-01", "2", "0", "14", "6", "0"]
    (row,) = json.loads(keys("usage", "--by", "model", "--since", "1d", "--json"))
    assert row["model"] == "chat" and row["requests"] == 1
    assert json.loads(keys("usage", "--key", "eve", "--json")) == []
    assert keys("forget", "--before", "2000-01-01") == "deleted 2 records\n"
    store.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "a b"), "a name has 1 to 64"),
        (("add", "ada", "--concurrent", "0"), "concurrent must be at least 1, got 0"),
        (("add", "ada", "--expires", "soon"), "--expires: a date as 2026-12-31"),
        (("add", "ada", "--expires", "2020-01-01"), "in the past"),
        (("add", "ada", "--models", "a,,b"), "models must be names or patterns"),
        (("usage", "--by", "cat"), "--by: no 'cat'; there are key, model, day, route"),
        (("list",), "no database of keys"),
        (("list", "--file", "/dev/null"), "no database of keys at /dev/null"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(keys, words, why):
    with pytest.raises(UsageError) as caught:
        keys(*words)
    assert why in str(caught.value)
    assert not keys.path.exists()


@pytest.mark.slow
def test_a_shell_gets_the_key_alone_on_stdout_and_exit_code_2_for_what_is_wrong(tmp_path):
    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", "seedcoder", "serve", "keys", *words, "--file", "k.sqlite"],
            capture_output=True, text=True, cwd=tmp_path, timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    made = call("add", "ada")
    store = KeyStore(tmp_path / "k.sqlite")
    assert made.returncode == 0 and store.find(made.stdout.strip()) is not None
    assert "shown once" in made.stderr and 'keys_file = "k.sqlite"' in made.stderr
    again = call("add", "ada")
    assert (again.returncode, again.stdout) == (2, "")
    assert "rotate or revoke it" in again.stderr and len(again.stderr.splitlines()) == 1
    store.close()
