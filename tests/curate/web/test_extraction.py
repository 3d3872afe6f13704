"""Pages become text and code: code byte for byte, navigation left out, broken pages survived."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("selectolax")

from curate.web.encoding import text_of
from curate.web.extraction import extract
from curate.web.tree import nesting


class _Pres(HTMLParser):
    """Texts of <pre> by another parser, without anything clever."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._depth = 0
        self._first = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._depth += 1
            self._first = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            # The standard drops a newline right after <pre>.
            self.found[-1] += data[1:] if self._first and data.startswith("\n") else data
            self._first = False


def _pages(folder: Path) -> list[tuple[str, str]]:
    archive = pytest.importorskip("warcio.archiveiterator")
    found = []
    with (folder / "docs_pages.warc.gz").open("rb") as stream:
        for record in archive.ArchiveIterator(stream):
            if record.rec_type == "response":
                kind = record.http_headers.get_header("Content-Type") or ""
                address = record.rec_headers.get_header("WARC-Target-URI")
                found.append((address, text_of(record.content_stream().read(), kind)))
    return found


@pytest.mark.slow
def test_every_block_of_code_of_real_pages_comes_out_byte_for_byte(curate_data: Path) -> None:
    with (curate_data / "docs_pages.tsv").open(encoding="utf-8") as file:
        tagged = {
            row["url"]: row["has_code_tag"] == "1" for row in csv.DictReader(file, delimiter="\t")
        }
    blocks = 0
    for address, html in _pages(curate_data):
        page = extract(html)
        other = _Pres()
        other.feed(html.replace("\r\n", "\n"))
        # Sphinx's links back from a source to its documentation: the one thing left out.
        found = (text.replace("[docs]", "") for text in other.found)
        expected = [text for text in found if text.strip()]
        texts = [block.text for block in page.blocks]
        for text in expected:
            assert text in texts, address
            texts.remove(text)
        assert not [text for text in texts if "\n" not in text.strip()], address
        for block in page.blocks:
            assert page.text[block.begin : block.begin + len(block.text)] == block.text
        assert page.tagged == tagged[address], address
        blocks += len(expected)
    assert blocks > 700


@pytest.mark.slow
def test_navigation_of_real_pages_is_gone_and_their_prose_is_there(curate_data: Path) -> None:
    pages = {address: extract(html) for address, html in _pages(curate_data)}
    page = next(p for a, p in pages.items() if a.endswith("tutorial/inputoutput.html"))
    assert "So far we’ve encountered two ways of writing values" in page.text
    assert "# 7. Input and Output" in page.text.splitlines()
    for gone in ("Previous topic", "Next topic", "Table of Contents", "Report a Bug", "¶", "©"):
        assert gone not in page.text


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ('<pre><code class="language-rust">x\n  y</code></pre>', "rust"),
        (
            '<div class="highlight-python3 notranslate"><div class="highlight">'
            "<pre>x\n  y</pre></div></div>",
            "python",
        ),
        ('<div class="highlight-default"><div class="highlight"><pre>x\n  y</pre></div></div>', ""),
        ('<pre class="brush: js; gutter: false">x\n  y</pre>', "javascript"),
        ('<pre class="sourceCode haskell"><code>x\n  y</code></pre>', "haskell"),
        ('<div class="highlight highlight-source-c++"><pre>x\n  y</pre></div>', "c++"),
        ('<pre class="src src-emacs-lisp">x\n  y</pre>', "emacs lisp"),
        ('<pre><code class="hljs go">x\n  y</code></pre>', "go"),
        ('<pre data-lang="yaml">x\n  y</pre>', "yaml"),
        ('<pre class="highlight-dark">x\n  y</pre>', ""),
    ],
)
def test_each_way_to_say_a_language_is_understood(html: str, language: str) -> None:
    (block,) = extract(f"<p>Some words.</p>{html}").blocks
    assert (block.language, block.text) == (language, "x\n  y")


@pytest.mark.parametrize(
    "html",
    [
        '<table class="highlighttable"><tr><td class="linenos"><pre>1\n2</pre></td>'
        '<td class="code"><pre>a = 1\n    b</pre></td></tr></table>',
        "<pre><button>Copy</button>a = 1\n<!-- hidden -->    b</pre>",
        '<pre><span class="lineno">1 </span>a = 1<br><span class="lineno">2 </span>    b</pre>',
        "<pre><div>a = 1</div><div>    b</div></pre>",
        '<table><tr><td class="blob-num"></td><td class="blob-code">a = 1</td></tr>'
        '<tr><td class="blob-num"></td><td class="blob-code">    b</td></tr></table>',
        "<pre><span>a</span> = <b>1</b>\n    b",
    ],
)
def test_code_is_freed_of_its_surroundings(html: str) -> None:
    assert [block.text.rstrip("\n") for block in extract(html).blocks] == ["a = 1\n    b"]


def test_what_stands_around_the_page_is_left_out_and_its_text_is_not() -> None:
    prose = (
        "Call <code>open()</code> first, then read the file, then close it again at the end. " * 3
    )
    html = f"""<html><head><title> How to
        read </title><script>var x = "script";</script></head><body class="with-sidebar">
      <header><a href="/">Site name</a></header><nav><a>Home</a><a>Docs</a></nav>
      <div class="sidebar"><p>Sidebar words</p></div><div id="cookie-consent">We use cookies</div>
      <article><header><h1>Reading</h1></header><p>{prose}</p>
      <ul><li>one item</li><li>two items</li></ul><p style="display: none">unseen</p></article>
      <ul><li><a>Linked one</a></li><li><a>Linked two</a></li><li><a>Linked three</a></li></ul>
      <footer>Imprint</footer></body></html>"""
    page = extract(html)
    assert page.title == "How to read"
    assert page.text.startswith("# Reading\n\nCall `open()` first, then read the file")
    assert page.text.endswith("- one item\n- two items\n\n") or page.text.endswith("two items\n")
    for gone in (
        "script",
        "Site name",
        "Home",
        "Sidebar",
        "cookies",
        "unseen",
        "Linked",
        "Imprint",
    ):
        assert gone not in page.text
    assert page.tagged


def test_a_sidebar_that_holds_code_or_half_of_the_page_stays() -> None:
    held = extract('<p>Words.</p><div class="sidebar"><pre>x = 1</pre></div>')
    assert [block.text for block in held.blocks] == ["x = 1"]
    most = extract(f'<p>Words.</p><div class="related">{"A long text. " * 20}</div>')
    assert "A long text." in most.text
    less = extract(f'<p>{"A long text. " * 20}</p><div class="related">Words.</div>')
    assert "Words." not in less.text


def test_a_fence_is_longer_than_any_in_the_code() -> None:
    page = extract("<pre>```\ninner\n```</pre>")
    assert page.text == "````\n```\ninner\n```\n````\n"


@pytest.mark.parametrize(
    "html",
    ["", "\x00", "<", "<pre", "no tags at all", "<table><pre>a</table></pre><td>", "<!--", "\ud800",
     "<b><i><p></b>x</i>" * 50, "</div>" * 100, "<pre>" * 50 + "x", "<html><frameset></html>",
     "<p " + "a='1' " * 1000 + ">x", "&#0;&#x110000;&nosuch;"],
)  # fmt: skip
def test_broken_pages_give_a_page(html: str) -> None:
    page = extract(html.encode("utf-8", "replace").decode())
    assert isinstance(page.text, str)


def test_a_page_nested_too_deep_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        extract("<div>" * 100_000 + "x")
    assert "x" in extract("<div>" * 500 + "x").text
    assert nesting("<p>" * 9_000 + "<li>" * 9_000 + "<br>" * 9_000) == 0


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("é".encode(), "text/html", "é"),
        ("é".encode("latin-1"), "text/html", "é"),
        ("€".encode("cp1252"), "text/html; charset=ISO-8859-1", "€"),
        ("я".encode("koi8-r"), "text/html; charset=koi8-r", "я"),
        (
            b"<meta charset='shift_jis'>" + "日".encode("shift_jis"),
            "",
            "<meta charset='shift_jis'>日",
        ),
        (b"\xef\xbb\xbf" + "é".encode(), "text/html; charset=latin-1", "é"),
        (b"abc", "text/html; charset=base64", "abc"),
        (b"abc", "text/html; charset=nonsense", "abc"),
    ],
)
def test_bytes_are_read_as_the_page_means_them(body: bytes, kind: str, text: str) -> None:
    assert text_of(body, kind) == text
