"""Build a report: one HTML file that needs no network, no server and no other file.

    from seedcoder import report

    html = report.page(
        "HumanEval",
        "SmolLM2-135M-Instruct, greedy",
        [
            report.tiles(
                report.tile("pass@1", "6.7%", note="11 of 164 problems",
                            figure=report.interval_bar(0.067, 0.038, 0.116)),
                report.tile("verdicts", "164", figure=report.stacked_bar(
                    [report.Part(label="PASSED", count=11, tone="good"),
                     report.Part(label="WRONG", count=153, tone="bad")])),
            ),
            report.section("Problems", report.table(
                [report.Column(title="Problem"),
                 report.Column(title="Verdict", choose=True),
                 report.Column(title="CPU", unit="ms")],
                [report.Row(cells=["HumanEval/0", report.badge("WRONG", "bad"), 12.5],
                            detail=report.stack(report.code(reply, label="Reply")))])),
            report.section("Manifest", report.key_values(manifest)),
        ],
    )

The pieces
    page(title, subtitle, sections)      the whole file, as str; what `Run.write_report` takes
    section(heading, *pieces, note="")   a heading and what stands under it
    tiles(*tiles), tile(label, value)    the figures that matter, side by side, each with a drawing
    interval_bar, stacked_bar, bars      drawings (SVG): a value and its doubt; shares; a ranking
    spark                                interval_bar for the cell of a table
    histogram, counted, trend            how numbers are spread; how they change along an axis
    heat_map(rows, columns, cells)       numbers on grounds as strong as they are
    flow(levels, paths)                  what became of many things, step by step
    diff(left, right)                    two texts, line beside line
    table(columns, rows)                 sorts, filters; rows open to show their `detail`
    key_values(mapping)                  names and values, nested mappings indented
    code(text, label=)                   a block of program text with a copy button
    side_by_side, stack, text, badge     arrangement, a paragraph, a coloured word
    panel, fold                          a drawing with a heading; what opens below its heading
    measure, footnotes                   a figure for a cell, and what its marks point at
    named                                a row's name with small words under it
    esc(value) -> Html                   any text, made safe

`Html` is text that is markup already. Wherever a piece takes content, a `str` is text: it is
escaped, with control characters, lone surrogates and bidirectional overrides shown by name. Only
`Html` goes in as it is, and only this package should make one.

Tones (colours with a meaning, light and dark): good, bad, warn, hot, cool, odd, muted, plain.

Guards: text from a model or a program cannot become markup, and the page's own policy lets no
script but the one shipped here run and nothing be fetched. Does not guard: `Html(...)` called on
text from outside; a page so large that a browser chokes on it (cut long texts before: `code` takes
`limit_chars`).
"""

from seedcoder.report.charts import Part, bars, interval_bar, spark, stacked_bar
from seedcoder.report.difference import diff
from seedcoder.report.flow import Step, flow
from seedcoder.report.heat import Heat, heat_map
from seedcoder.report.markup import TONES, Content, Html, Tone, esc
from seedcoder.report.page import page
from seedcoder.report.pieces import (
    badge,
    code,
    fold,
    footnotes,
    key_values,
    measure,
    named,
    panel,
    section,
    side_by_side,
    stack,
    text,
    tile,
    tiles,
)
from seedcoder.report.series import Point, counted, histogram, trend
from seedcoder.report.table import Cell, Column, Row, table

__all__ = [
    "TONES",
    "Cell",
    "Column",
    "Content",
    "Heat",
    "Html",
    "Part",
    "Point",
    "Row",
    "Step",
    "Tone",
    "badge",
    "bars",
    "code",
    "counted",
    "diff",
    "esc",
    "flow",
    "fold",
    "footnotes",
    "heat_map",
    "histogram",
    "interval_bar",
    "key_values",
    "measure",
    "named",
    "page",
    "panel",
    "section",
    "side_by_side",
    "spark",
    "stack",
    "stacked_bar",
    "table",
    "text",
    "tile",
    "tiles",
    "trend",
]
