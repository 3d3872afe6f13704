"""Reports: whatever a model wrote stays text, the file stands alone, and a browser can use it."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcoder import report

VOID = {"meta", "input"}  # SVG tags either close themselves or have an end


class Reader(HTMLParser):
    """Collects tags and text, and complains of tags that do not nest."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.tags = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(html: str) -> Reader:
    html.encode("utf-8")  # no lone surrogate is left
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


anything = st.text(st.characters(codec=None), max_size=40)


@given(text=anything)
def test_any_text_shows_and_none_becomes_markup(text):
    reader = read(report.esc(text))
    assert reader.tags == []
    shown = "".join(reader.text)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )


@settings(deadline=None, max_examples=40)
@given(text=anything)
def test_every_piece_keeps_its_shape_around_any_text(text):
    plain = read(build("x"))
    reader = read(build(text))
    assert [tag for tag, _ in reader.tags] == [tag for tag, _ in plain.tags]


def build(text: str) -> str:
    return report.page(
        text or "x",
        f"-{text}",
        [
            report.tiles(
                report.tile(text, text, note=f"-{text}", figure=report.interval_bar(0.1, 0, 0.3))
            ),
            report.section(
                text,
                report.stacked_bar([report.Part(label=text, count=1, tone="good")]),
                report.bars([(text, 1.0)], unit=f"-{text}", target="t"),
                report.interval_bar(0.5, 0.4, 0.6, marks=[(text, 0.5)]),
                report.table(
                    [report.Column(title=text, choose=True), report.Column(title="n", unit="-")],
                    [
                        report.Row(
                            cells=[report.badge(text), report.Cell(content=text, sort=text)],
                            detail=report.stack(
                                report.code(f"-{text}", label=f"-{text}", note=f"-{text}"),
                                report.side_by_side(text, text),
                                report.text(text),
                            ),
                            anchor=f"-{text}",
                        )
                    ],
                    name="t",
                    find=text,
                ),
                report.key_values({f"-{text}": text, "n": {"m": [text]}, "l": [{"k": text}]}),
                note=f"-{text}",
            ),
        ],
        foot=f"-{text}",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b[31m\r", "␀␛[31m␍"),
        ("\x7f", "␡"),
        ("\x85", "\\x85"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("<b>&\"'", "<b>&\"'"),
        ("日本 é 🎉", "日本 é 🎉"),
    ],
)
def test_characters_that_cannot_be_seen_are_named(text, shown):
    assert "".join(read(report.esc(text)).text) == shown


def test_the_page_fetches_nothing_and_allows_no_other_script():
    html = build("x")
    reader = read(html)
    for tag, attributes in reader.tags:
        assert tag not in {"link", "img", "iframe", "object", "base"}
        assert "src" not in attributes
        assert not attributes.get("href", "#").startswith(("http", "//"))
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "default-src 'none'" in html
    assert "unsafe-inline" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_a_program_keeps_its_leading_newlines_and_its_white_space():
    code = "\n\n  def f():\n\treturn 1\n"
    html = report.code(code)
    assert html.count("<pre>\n<code>") == 1
    assert "".join(read(html).text).endswith("Copy\n" + code)


def test_a_long_text_is_cut_in_the_middle_and_says_so():
    html = report.code("a" * 600 + "b" * 600, limit_chars=100)
    said = "".join(read(html).text)
    assert "1,100 characters left out" in said
    assert said.count("a") < 100
    with pytest.raises(ValueError, match="limit_chars"):
        report.code("x", limit_chars=1)


def test_an_interval_is_drawn_where_it_lies():
    html = report.interval_bar(0.25, 0.2, 0.5, marks=[("gold", 1.0)])
    assert 'class="band" x="20.00%"' in html
    assert 'width="30.00%"' in html
    assert 'x1="25.00%" x2="25.00%"' in html
    assert 'aria-label="25%, interval 20% to 50%"' in html
    assert "gold" in html


@pytest.mark.parametrize(
    ("value", "low", "high", "span"),
    [
        (0.5, 0.6, 0.7, (0, 1)),
        (0.5, 0.1, 0.4, (0, 1)),
        (float("nan"), 0, 1, (0, 1)),
        (0.5, 0, float("inf"), (0, 1)),
        (0.5, 0, 1, (1, 1)),
    ],
)
def test_an_interval_that_is_none_is_refused(value, low, high, span):
    with pytest.raises(ValueError, match=r"\d|nan"):
        report.interval_bar(value, low, high, span=span)


def test_shares_fill_the_bar_and_empty_parts_are_left_out():
    html = report.stacked_bar(
        [
            report.Part(label="PASSED", count=1, tone="good"),
            report.Part(label="WRONG", count=3, tone="bad"),
            report.Part(label="MEMORY", count=0, tone="hot"),
        ]
    )
    widths = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)%"', html)]
    assert widths == [25.0, 75.0]
    assert "MEMORY" not in html
    assert "Nothing to count" in report.stacked_bar([])
    with pytest.raises(ValueError, match="count"):
        report.Part(label="x", count=-1)


def test_a_table_refuses_rows_of_another_width_and_two_of_one_name():
    columns = [report.Column(title="a")]
    with pytest.raises(ValueError, match="row 1 has 2 cells for 1 columns"):
        report.table(columns, [report.Row(cells=["x"]), report.Row(cells=["x", "y"])])
    with pytest.raises(ValueError, match="anchor 'k'"):
        report.table(columns, [report.Row(cells=["x"], anchor="k")] * 2)
    with pytest.raises(ValueError, match="tone"):
        report.badge("x", "green")


def test_numbers_read_well_and_nested_values_are_indented():
    said = "".join(
        read(
            report.key_values(
                {"a": 1.5, "b": 1e-5, "c": 12.0, "d": None, "e": True, "f": [1, 2], "g": {"h": 0}}
            )
        ).text
    )
    assert said == "a1.5b1e-05c12d–eyesf1, 2gh0"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: apt-get install chromium ({str(error).splitlines()[0]})")
        yield opened
        opened.close()


ROWS = [
    ("HumanEval/2", "WRONG", 30.5),
    ("HumanEval/10", "PASSED", 4),
    ("HumanEval/1", "TIMEOUT", None),
    ("HumanEval/3", "PASSED", 200),
]
TONES = {"PASSED": "good", "WRONG": "bad", "TIMEOUT": "warn"}


@pytest.fixture
def opened(browser, tmp_path):
    hostile = "</code></pre><script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>"
    html = report.page(
        "HumanEval",
        "a model",
        [
            report.tiles(
                report.tile("pass@1", "50%", figure=report.interval_bar(0.5, 0.2, 0.8), wide=True),
                report.tile("timeouts", 1, tone="warn"),
            ),
            report.section("Slow", report.bars([("HumanEval/3", 200.0)], target="problems")),
            report.section(
                "Problems",
                report.table(
                    [
                        report.Column(title="Problem"),
                        report.Column(title="Verdict", choose=True),
                        report.Column(title="CPU", unit="ms"),
                    ],
                    [
                        report.Row(
                            cells=[key, report.badge(kind, TONES[kind]), cpu_ms],
                            detail=report.stack(report.code(hostile, label="Reply")),
                            anchor=key,
                        )
                        for key, kind, cpu_ms in ROWS
                    ],
                    name="problems",
                ),
            ),
            # What would happen if an escape were forgotten.
            report.Html("<script>window.hacked = 2</script>"),
        ],
    )
    path = tmp_path / "report.html"
    path.write_text(html)
    page = browser.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(path.as_uri())
    yield page
    page.close()


def keys(page):
    return page.locator("tr.row:visible td:nth-child(2)").all_inner_texts()


@pytest.mark.slow
def test_in_a_browser_headings_sort_numbers_as_numbers_and_names_as_people_do(opened):
    opened.get_by_role("button", name="Problem").click()
    assert keys(opened) == ["HumanEval/1", "HumanEval/2", "HumanEval/3", "HumanEval/10"]
    opened.get_by_role("button", name="CPU ms").click()
    assert keys(opened) == ["HumanEval/10", "HumanEval/2", "HumanEval/3", "HumanEval/1"]
    opened.get_by_role("button", name="CPU ms").click()
    assert keys(opened) == ["HumanEval/3", "HumanEval/2", "HumanEval/10", "HumanEval/1"]


@pytest.mark.slow
def test_in_a_browser_rows_filter_by_word_and_by_verdict(opened):
    opened.get_by_role("button", name="PASSED").click()
    assert keys(opened) == ["HumanEval/10", "HumanEval/3"]
    opened.get_by_role("button", name="WRONG").click()
    assert len(keys(opened)) == 3
    opened.get_by_role("searchbox").fill("eval/3")
    assert keys(opened) == ["HumanEval/3"]
    assert opened.locator("output").inner_text() == "1 of 4 rows"


@pytest.mark.slow
def test_in_a_browser_a_row_opens_and_shuts_and_goes_along_when_sorted(opened):
    assert opened.locator("tr.detail:visible").count() == 0
    row = opened.locator("tr.row").nth(1)
    row.locator("td").nth(1).click()
    assert opened.locator("tr.detail:visible").count() == 1
    opened.get_by_role("button", name="Problem").click()
    opened.get_by_role("button", name="Problem").click()
    first = opened.locator("tr.row").first
    assert first.locator("td").nth(1).inner_text() == "HumanEval/10"
    assert first.evaluate("row => row.nextElementSibling.classList.contains('open')")
    first.get_by_role("button").click()
    assert opened.locator("tr.detail:visible").count() == 0


@pytest.mark.slow
def test_in_a_browser_a_bar_leads_to_its_row(opened):
    opened.get_by_role("link", name="HumanEval/3").click()
    opened.wait_for_selector("tr.detail:visible")
    shown = opened.locator("tr.row:has(+ tr.detail.open)")
    assert shown.locator("td").nth(1).inner_text() == "HumanEval/3"


@pytest.mark.slow
def test_in_a_browser_no_script_but_ours_runs_and_a_reply_is_text(opened):
    opened.locator("tr.row td:nth-child(2)").first.click()
    assert "<script>window.hacked = 1</script>" in opened.locator("pre:visible").inner_text()
    assert opened.evaluate("window.hacked") is None
    # The control: the forgotten escape above was really met, and really refused.
    assert any("Content Security Policy" in said for said in opened.said)
    assert len(opened.said) == 1


@pytest.mark.slow
def test_in_a_browser_nothing_runs_off_a_narrow_window_in_light_or_dark(opened):
    grounds = set()
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        for width in (360, 1280):
            opened.set_viewport_size({"width": width, "height": 800})
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
        grounds.add(opened.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


@pytest.mark.slow
def test_without_scripts_every_row_lies_open(browser, opened):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(opened.url)
    assert page.locator("tr.detail:visible").count() == len(ROWS)
    context.close()
