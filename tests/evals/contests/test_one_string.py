"""A pickle is read, never loaded: one string comes out of it, or a refusal."""

from __future__ import annotations

import base64
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from evals.contests.one_string import string_of, unpacked_string

TEXT = '[{"input": "3\\n", "output": "4\\n", "testtype": "stdin"}]'


def _packed(pickled: bytes) -> str:
    return base64.b64encode(zlib.compress(pickled)).decode()


class _Calls:
    """Calls os.system when it is loaded."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("text", ["", TEXT, "é 中 \U0001f600", "x" * 70_000], ids=len)
def test_the_string_comes_back_from_every_protocol(text: str, protocol: int) -> None:
    assert unpacked_string(_packed(pickle.dumps(text, protocol))) == text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_a_command_is_refused_and_runs_nothing(
    tmp_path: Path, protocol: int
) -> None:
    mark = tmp_path / "ran"
    hostile = pickle.dumps(_Calls(f"touch {mark}"), protocol)
    with pytest.raises(ValueError, match=r"not of a string alone|more than one value"):
        unpacked_string(_packed(hostile))
    assert not mark.exists()
    pickle.loads(hostile)  # the control: loading it does run the command
    assert mark.exists()


@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (pickle.dumps([TEXT]), "not of a string alone"),
        (pickle.dumps((TEXT, "b")), "more than one value"),
        (pickle.dumps({"a": 1}), "not of a string alone"),
        (pickle.dumps(TEXT.encode()), "not of a string alone"),
        (pickle.dumps(7), "not of a string alone"),
        (pickle.dumps(TEXT) + b".", "something behind its end"),
        (pickle.dumps(TEXT) + pickle.dumps(_Calls("true")), "something behind its end"),
        (pickle.dumps(TEXT)[:-1], "pickle exhausted"),
        (b"\x80\x04.", "no string"),
        (b"", "pickle exhausted"),
        (b"cos\nsystem\n(S'true'\ntR.", "not of a string alone"),
        (b"\x80\x02Pid\n.", "not of a string alone"),  # a persistent id
        (b"\x80\x04\x8c\x03os\x00\x8c\x06system\x93.", "more than one value"),  # STACK_GLOBAL
        (b"\x80\x02\x82\x01.", "not of a string alone"),  # an extension code
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.", "unicodestring8"),
        (b"X\x02\x00\x00\x00\xff\xfe.", "not UTF-8"),
        (b"\xff.", "unknown"),
    ],
)
def test_everything_but_one_string_is_refused_in_a_line(pickled: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        string_of(pickled)
    assert "\n" not in str(caught.value)


def test_what_is_not_packed_as_it_should_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = _packed(pickle.dumps("y" * 5_000))
    for bad, said in (
        ("no base64!", "not base64"),
        (base64.b64encode(b"not zlib").decode(), "not packed by zlib"),
        (base64.b64encode(base64.b64decode(good)[:-6]).decode(), "cut off"),
    ):
        with pytest.raises(ValueError, match=said):
            unpacked_string(bad)
    monkeypatch.setattr("evals.contests.one_string._MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match="unpacks to more"):
        unpacked_string(good)
