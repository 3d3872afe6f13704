"""Pages of WARC files go through a recipe, as text or as HTML with the text beside it."""

import io
from pathlib import Path

import pytest

pytest.importorskip("selectolax")
pytest.importorskip("warcio")

from curate.catalogue import SOURCES, make
from curate.engine import LocalEngine
from curate.kept import kept
from curate.recipe import CurateRecipe
from curate.running import run

CODE = "def f(x):\n\tif x:\n\t    return  1\n"
PAGES = {
    "http://a.org/code": f"<title>T</title><h1>Sum</h1><p>Call it as shown here, then read what it"
    f" says.</p><pre class='language-python'>{CODE}</pre>",
    "http://a.org/words": "<p>" + "There is nothing here but words of a longer page. " * 3 + "</p>",
    "http://a.org/few": "<p>Three little words</p>",
    "http://a.org/none": "<script>let x = 1</script>",
    "http://a.org/links": "".join(
        f"<p><a href=x>Some longer link of number {n}</a></p>" for n in range(2)
    ),
    "http://a.org/deep": "<div>" * 5000 + "x",
}


def _warc(path: Path) -> Path:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for address, html in PAGES.items():
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], "HTTP/1.1")
            body = io.BytesIO(html.encode())
            writer.write_record(
                writer.create_warc_record(address, "response", payload=body, http_headers=headers)
            )
    return path


def test_pages_become_documents_of_text_and_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    refused: list[tuple[str, str]] = []
    source = make(SOURCES, "web", {"files": [str(_warc(tmp_path / "a.warc.gz"))]}, "source")
    found = list(source.documents("crawl", lambda place, why: refused.append((place, why))))
    assert [one.path.rpartition("/")[2] for one in found] == ["code", "words", "few", "links"]
    assert [one.repo for one in found] == ["a.org"] * 4
    first = found[0]
    assert first.text.startswith("# Sum\n\nCall it as shown")
    ((language, begin, length),) = first.meta["blocks"]
    assert (language, first.text[begin : begin + length]) == ("python", CODE)
    assert (first.meta["title"], first.meta["tagged"]) == ("T", True)
    assert not found[1].meta["tagged"]
    assert refused == [
        ("http://a.org/none", "no text"),
        ("http://a.org/deep", "elements nested too deep"),
    ]
    again = list(source.documents("crawl", lambda *_: None))
    assert again == found


@pytest.mark.slow
def test_html_is_extracted_by_a_step_beside_it(tmp_path: Path) -> None:
    data = {
        "store": str(tmp_path / "store"),
        "sources": [{"use": "warc", "options": {"files": [str(_warc(tmp_path / "a.warc.gz"))]}}],
        "steps": [{"use": "webpage"}],
        "select": {"keep": ["webpage.keep"]},
        "max_error_rate": 0.5,
    }
    recipe = CurateRecipe.model_validate(data)
    with LocalEngine(1) as engine:
        result = run(recipe, engine)
    (step,) = result.steps
    assert (result.documents, result.kept, step.quarantined) == (6, 2, 1)
    assert step.dropped == {"few words": 2, "mostly links": 1}
    columns = ["text", "path", "webpage.text", "webpage.blocks", "webpage.tagged"]
    rows = [row for table in kept(recipe, columns) for row in table.to_pylist()]
    assert rows[0]["webpage.blocks"] == [{"language": "python", "text": CODE}]
    assert rows[0]["text"] == PAGES["http://a.org/code"]
    assert [row["webpage.tagged"] for row in rows] == [True, False]
