"""Heat maps, flows, series, differences: right numbers, text as text, nothing by colour alone."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcoder import report
from seedcoder.report import Heat, Point, Step

CSS = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
anything = st.text(st.characters(codec=None), max_size=30)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_ground_of_a_heat_map_can_be_read_in_light_and_in_dark() -> None:
    grounds = re.findall(r"\.h(\d+) \{ background: (#\w{6}); color: (#\w{6}); \}", CSS)
    assert [int(step) for step, _, _ in grounds] == [*range(11), *range(11)]
    for step, ground, ink in grounds:
        darker, lighter = sorted((luminance(ground), luminance(ink)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, step


def test_a_heat_maps_grounds_grow_with_values_and_only_the_ends_get_the_ends() -> None:
    values = {"none": 0.0, "few": 0.004, "half": 0.5, "most": 0.996, "all": 1.0}
    cells = {("row", name): Heat(value=value, text=name) for name, value in values.items()}
    drawn = report.heat_map(["row"], list(values), cells)
    assert re.findall(r'class="h(\d+)"[^>]*>(\w+)<', drawn) == [
        ("0", "none"),
        ("1", "few"),
        ("5", "half"),
        ("9", "most"),
        ("10", "all"),
    ]


def test_a_heat_map_leaves_empty_what_is_not_there_and_refuses_what_is_no_number() -> None:
    drawn = report.heat_map(["a", "b"], ["x"], {("a", "x"): Heat(value=1, text="1")})
    assert drawn.count('class="none"') == 1
    assert 'scope="row"' in drawn
    with pytest.raises(ValueError, match="number"):
        report.heat_map(["a"], ["x"], {("a", "x"): Heat(value=float("nan"), text="")})
    with pytest.raises(ValueError, match="width"):
        report.heat_map(["a"], ["x"], {}, span=(1, 1))


def test_a_flow_stands_each_part_below_what_it_came_out_of() -> None:
    all_of = Step("all")
    paths = {
        (all_of, Step("left"), Step("ok", "good")): 3,
        (all_of, Step("right"), Step("ok", "good")): 1,
        (all_of, Step("right")): 4,
    }
    drawn = report.flow(("one", "two", "three"), paths)
    bars = re.findall(
        r'x="([\d.]+)%" y="0" width="([\d.]+)%" height="22"><title>(\w+): (\d+)', drawn
    )
    assert bars == [
        ("0.000", "100.000", "all", "8"),
        ("0.000", "37.500", "left", "3"),
        ("37.500", "62.500", "right", "5"),
        ("0.000", "37.500", "ok", "3"),
        ("37.500", "12.500", "ok", "1"),
    ]
    assert "<span>ok</span><b>4</b><small>50.0%</small>" in drawn
    with pytest.raises(ValueError, match="3 steps for 2 levels"):
        report.flow(("one", "two"), paths)
    assert "Nothing to count" in report.flow(("one",), {})


def test_a_histogram_that_was_counted_before_shows_its_thresholds() -> None:
    drawn = report.counted([3, 0, 1], 0.0, 3.0, marks=[(">= 1", 1.0), (">= 9", 9.0)], label="x")
    assert drawn.count("<rect") == 2 and 'x1="33.333%"' in drawn
    assert "&gt;= 9</text>" not in drawn  # outside what is drawn, yet said
    assert "&gt;= 9 at 9" in drawn
    with pytest.raises(ValueError, match="no histogram"):
        report.counted([1], 1.0, 1.0)
    with pytest.raises(ValueError, match="no histogram"):
        report.counted([-1], 0.0, 1.0)
    assert "Nothing to show" in report.counted([0, 0], 0.0, 1.0)


def test_a_histogram_counts_every_value_once_the_ends_too() -> None:
    drawn = report.histogram([0, 0.049, 0.05, 0.5, 1.0, 7.0, -3.0], span=(0.0, 1.0), label="x")
    told = re.findall(r"<title>(.*?)</title>", drawn)
    assert told == ["0 to 0.05: 3", "0.05 to 0.1: 1", "0.5 to 0.55: 1", "0.95 to 1: 2"]
    assert "All 2 are 3" in report.histogram([3, 3])
    with pytest.raises(ValueError, match="finite"):
        report.histogram([float("inf")])


def test_a_trend_shows_each_value_with_its_doubt_in_the_order_given() -> None:
    points = [
        Point(label="2024-02", value=0.5, low=0.25, high=0.75, note="4 problems"),
        Point(label="2024-01", value=1.0, low=0.5, high=1.0),
    ]
    drawn = report.trend(points)
    assert re.findall(r'cx="([\d.]+)%" cy="([\d.]+)"', drawn) == [
        ("25.000", "74.0"),
        ("75.000", "14.0"),
    ]
    assert "2024-02: 50%, 25% to 75%, 4 problems" in drawn
    with pytest.raises(ValueError, match="outside"):
        report.trend([Point(label="x", value=2, low=0, high=1)])


def test_a_difference_shows_both_texts_and_marks_the_words_that_changed() -> None:
    old = "def f(x):\n    return x + 1\n"
    new = "def f(x):\n    return x + 2\n"
    drawn = report.diff(old, new)
    assert "1 lines differ" in drawn
    assert "<mark>1</mark>" in drawn
    assert "<mark>2</mark>" in drawn
    assert "<mark>return" not in drawn
    same = report.diff(old, old)
    assert "equal" in same
    assert "<mark>" not in same
    assert "empty" in report.diff("", "")


def test_a_difference_folds_equal_lines_far_from_any_change() -> None:
    lines = [f"line {n}" for n in range(40)]
    drawn = report.diff("\n".join(lines), "\n".join([*lines[:-1], "other"]))
    assert "36 equal lines" in drawn
    assert "line 38" in drawn
    assert "line 10" not in drawn


def test_a_long_difference_is_cut_and_it_is_said() -> None:
    long = "\n".join(map(str, range(5000)))
    drawn = report.diff(long, long + "x", limit_lines=100)
    assert "4900 more lines are not shown" in drawn


@given(old=anything, new=anything)
@settings(deadline=None, max_examples=60)
def test_no_text_becomes_markup_in_any_drawing(old: str, new: str) -> None:
    drawn = [
        report.diff(old, new, labels=(old, new)),
        report.heat_map([old], [new], {(old, new): Heat(value=1, text=old, note=new)}, label=old),
        report.flow((old,), {(Step(new),): 1}),
        report.trend([Point(label=old, value=1, low=0, high=1, note=new)]),
        report.histogram([1, 2], label=old),
        report.measure(old, note=new, figure=report.spark(0.5, 0, 1, said=old)),
        report.footnotes([old]),
        report.fold(old, new, note=old),
        report.panel(old, new),
        report.named(old, new),
    ]
    for piece in drawn:
        piece.encode("utf-8")
        inside = re.sub(r"<[^<>]*>", "", piece)
        assert "<" not in inside
        assert ">" not in inside


@given(text=st.lists(st.text("ab <&\n", max_size=8), max_size=6).map("\n".join))
@settings(deadline=None)
def test_both_texts_can_be_read_back_from_a_difference(text: str) -> None:
    other = text.replace("a", "c")
    drawn = report.diff(text, other)
    if len(text.split("\n")) > 4 or not text:
        return  # folded, or nothing at all
    for side, wanted in ((1, text), (3, other)):
        lines = [
            re.sub(r"<[^>]*>", "", re.sub(r'<span class="sign">.</span>', "", row[side]))
            for row in re.findall(r"<tr class.*?</tr>", drawn, re.DOTALL)
            for row in [re.findall(r"<td.*?</td>", row, re.DOTALL)]
            if len(row) == 4 and 'class="blank"' not in row[side]
        ]
        assert html.unescape("\n".join(lines)) == wanted


def test_a_page_links_to_its_sections_and_lets_the_keyboard_skip_them() -> None:
    page = report.page("t", "", [report.section("One"), report.section("T<w>o")])
    assert page.index('class="skip"') < page.index('class="contents"')
    assert 'aria-label="Sections"' in page
    assert ">T&lt;w&gt;o</a>" in page
    assert 'class="contents"' not in report.page("t", "", [report.section("One")])
