"""Keys: who is known, what is kept of a key, how one ends."""

import sqlite3
import stat
import threading
import time

import pytest

from seedcoder.errors import UsageError
from serve.fault import Fault
from serve.keys import KeyRights, KeyStore


@pytest.fixture
def store(tmp_path):
    found = KeyStore(tmp_path / "keys.sqlite", make=True)
    yield found
    found.close()


def test_a_key_finds_its_holder_and_another_finds_nobody(store):
    rights = KeyRights(models=("seed-*",), concurrent=2, tokens_total=5, may_run_code=True)
    made, secret = store.add("ada", rights)
    assert store.find(secret) == made
    assert made.rights == rights and made.may_run_code
    for wrong in ("", secret[:-1], secret + "x", "sk-seedcoder-", "é\ud800"):
        assert store.find(wrong) is None


def test_only_the_digest_of_a_key_is_on_the_disk(store, tmp_path):
    _, secret = store.add("ada")
    store.rotate("ada")
    store.close()
    bytes_kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"ada" in bytes_kept
    assert secret.encode() not in bytes_kept
    assert secret.removeprefix("sk-seedcoder-").encode() not in bytes_kept


def test_the_files_are_their_owners_alone(store, tmp_path):
    store.add("ada")
    files = list(tmp_path.iterdir())
    assert len(files) == 3  # sqlite's two beside it
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_revoked_key_is_refused_at_once_also_when_another_process_revoked_it(store):
    _, secret = store.add("ada")
    other = KeyStore(store.path)
    other.revoke("ada")
    other.close()
    with pytest.raises(Fault, match="was revoked") as caught:
        store.find(secret)
    assert caught.value.status == 401
    assert store.list() == []
    assert [holder.name for holder in store.list(with_revoked=True)] == ["ada"]


def test_an_expired_key_is_refused_with_its_date(store):
    _, secret = store.add("ada", KeyRights(expires_at_s=86400.0))
    with pytest.raises(Fault, match="expired on 1970-01-02") as caught:
        store.find(secret)
    assert caught.value.status == 401
    _, secret = store.add("bob", KeyRights(expires_at_s=time.time() + 3600))
    assert store.find(secret) is not None


def test_a_rotated_key_keeps_its_id_and_the_old_secret_ends(store):
    made, old = store.add("ada", KeyRights(concurrent=3))
    rotated, new = store.rotate("ada")
    assert rotated == made and new != old
    assert store.find(new) == made
    with pytest.raises(Fault, match="replaced by a new one"):
        store.find(old)


def test_a_rotated_key_holds_for_its_grace_and_no_second_rotation_makes_it_hold_longer(store):
    made, first = store.add("ada")
    _, second = store.rotate("ada", grace_s=3600)
    assert store.find(first) == store.find(second) == made
    store.rotate("ada")
    for old in (first, second):
        with pytest.raises(Fault, match="replaced"):
            store.find(old)


def test_a_name_is_had_by_one_living_key(store):
    first, _ = store.add("ada")
    with pytest.raises(UsageError, match="rotate or revoke"):
        store.add("ada")
    store.revoke("ada")
    again, _ = store.add("ada")
    assert again.id != first.id
    assert store.holder(first.id) is None and store.holder(again.id) == again


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "é", "a/b", "a\n"])
def test_a_name_that_would_spoil_a_log_is_refused(store, name):
    with pytest.raises(UsageError, match="a name has"):
        store.add(name)


def test_an_unknown_name_cannot_be_revoked_or_rotated(store):
    for act in (store.revoke, store.rotate):
        with pytest.raises(UsageError, match="no key of the name 'eve'"):
            act("eve")


def test_a_model_is_allowed_by_name_alias_or_pattern(store):
    holder, _ = store.add("ada", KeyRights(models=("seed-coder-*", "smol")))
    assert holder.allows("seed-coder-8b-base")
    assert holder.allows("smollm2-135m", "smol")
    with pytest.raises(Fault, match=r"may not use the model 'qwen'.*seed-coder-\*, smol") as caught:
        holder.check_model("qwen", "q")
    assert caught.value.status == 403
    everything, _ = store.add("bob")
    everything.check_model("qwen")


@pytest.mark.parametrize(
    "wrong", [{"concurrent": 0}, {"tokens_total": -1}, {"requests_per_minute": 0}]
)
def test_a_bound_below_one_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        KeyRights(**wrong)


def test_a_file_that_is_no_database_of_keys_is_refused_and_left_as_it_is(tmp_path):
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to have a header of one\n" * 40)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    newer = tmp_path / "newer.sqlite"
    KeyStore(newer, make=True).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    for path, why in ((text, "cannot use"), (other, "but none of keys"), (newer, "version 9")):
        before = path.read_bytes()
        with pytest.raises(UsageError, match=why):
            KeyStore(path, make=True)
        assert path.read_bytes() == before
    with pytest.raises(UsageError, match="keys add NAME"):
        KeyStore(tmp_path / "none.sqlite")
    with pytest.raises(UsageError, match="cannot open"):
        KeyStore(tmp_path / "no" / "folder.sqlite", make=True)


def test_a_database_that_fails_is_our_failure_not_the_keys(store):
    _, secret = store.add("ada")
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TABLE digests")
    connection.close()
    with pytest.raises(Fault) as caught:
        store.find(secret)
    assert caught.value.status == 503 and caught.value.retry_after_s


def test_many_threads_find_and_add_at_once(store):
    _, secret = store.add("ada")
    wrong: list[object] = []

    def work(number: int) -> None:
        for count in range(20):
            found = store.find(secret)
            if found is None or found.name != "ada":
                wrong.append(found)
            store.add(f"k{number}-{count}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(store.list()) == 81
