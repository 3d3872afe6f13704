"""Thresholds by recall, seeds that differ, and what a file is like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from curate.selection.strata import spread
from curate.selection.threshold import checked, cut_for, measured
from curate.selection.traits import comments_of, imports_of

SHARE = st.floats(0, 1, width=32)


@given(
    good=st.lists(SHARE, min_size=1, max_size=50),
    bad=st.lists(SHARE, max_size=50),
    target=st.floats(0.01, 1.0),
)
def test_a_threshold_is_the_highest_that_reaches_the_recall(
    good: list[float], bad: list[float], target: float
) -> None:
    cut = cut_for(good, bad, target)
    assert cut.recall >= target - 1e-6
    higher = [value for value in good if value > cut.threshold]
    assert len(higher) < target * len(good) + 1e-6
    found = sum(value >= cut.threshold for value in good)
    wrong = sum(value >= cut.threshold for value in bad)
    assert cut.precision == pytest.approx(found / (found + wrong))


def test_a_threshold_is_checked_on_documents_that_did_not_choose_it() -> None:
    good = [0.9, 0.2] * 50  # every other one is unlike those between
    assert cut_for(good, [0.5] * 100, 1.0).recall == 1.0
    other = checked(good, [0.5] * 100, 1.0)
    assert other.recall == 0.5
    alike = checked([0.9] * 100, [0.1] * 100, 0.99)
    assert (alike.recall, alike.precision) == (1.0, 1.0)
    assert measured([], [], 0.5).recall == 0.0
    with pytest.raises(ValueError, match="no positives"):
        cut_for([], [0.1], 0.9)


def test_seeds_are_taken_from_each_kind_in_turn_the_best_first() -> None:
    stratum = {f"a{n}": "common" for n in range(100)} | {"b0": "rare", "b1": "rare"}
    quality = {key: float(key[1:]) for key in stratum}
    assert set(spread(stratum.keys(), stratum, quality, 4, 0)) == {"a99", "a98", "b1", "b0"}
    backwards = dict.fromkeys(sorted(stratum, reverse=True)).keys()
    found = spread(backwards, stratum, quality, 9, 0)
    assert found == spread(stratum.keys(), stratum, quality, 9, 0)
    alike = dict.fromkeys(stratum, 1.0)
    drawn = {tuple(spread(stratum.keys(), stratum, alike, 9, seed)) for seed in range(3)}
    assert len(drawn) == 3


@pytest.mark.parametrize(
    ("language", "text", "share"),
    [
        ("python", '"""ab"""\nx = "#no"  # cd\n', 11 / 18),
        ("python", "x = '''# no'''\n", 0.0),
        ("c", 'char *s = "/* no */"; /* yes */\n', 7 / 23),
        ("c", "int a; // b\n", 3 / 8),
        ("sql", "select 1 -- one\n", 5 / 12),
        ("shell", "echo $# ${#x} # said\n", 5 / 16),
        ("html", "<p>x</p><!--y-->", 8 / 16),
        ("python", "", 0.0),
    ],
)
def test_comments_are_measured_by_the_marks_of_the_language(
    language: str, text: str, share: float
) -> None:
    assert comments_of(text, language) == pytest.approx(share)


def test_an_unknown_language_has_no_share_of_comments() -> None:
    assert comments_of("# a", "brand new") is None
    assert imports_of("import a", "brand new") == []


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("python", "import os.path\nfrom numpy import x\nimport os\n", ["os", "numpy"]),
        ("javascript", "import a from 'react/x';\nconst b = require(\"@s/t/u\"); import './own'",
         ["react", "@s/t"]),
        ("java", "import java.util.List;\nimport static org.junit.Assert.*;\n",
         ["java.util", "org.junit"]),
        ("c", '#include <stdio.h>\n#  include "sys/own.h"\n', ["stdio.h", "sys"]),
        ("go", 'import (\n\t"fmt"\n\tx "github.com/a/b/c"\n)\n', ["fmt", "github.com/a/b"]),
        ("rust", "use std::io;\npub use serde::De;\n", ["std", "serde"]),
    ],
)  # fmt: skip
def test_imports_are_the_packages_each_once(language: str, text: str, found: list[str]) -> None:
    assert imports_of(text, language) == found


@pytest.mark.slow
@pytest.mark.parametrize("language", ["c", "python", "haskell", "html", "common lisp", "shell"])
def test_no_text_takes_time_beyond_its_length(language: str) -> None:
    """By squares of the length this would not end: 200 kB of what opens and never closes."""
    for piece in ("/*", '"', '\\"', "'", '"""', "{-", "`", " \t", "<!--", "(*", '"\\', "//"):
        assert comments_of(piece * (200_000 // len(piece)), language) is not None
