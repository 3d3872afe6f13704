"""Where a middle ends: how often `serve.fim.ending` finds it, over middles cut out of real files.

Out of each file middles of six kinds are cut at random: the rest of a line, that and 1 to 4 lines
more, 1 to 6 whole lines,
characters (up to 200, anywhere: as models are trained), a block (the body of a function, a loop),
what stands in brackets. What the "model" writes is the middle and then one of four ends:

file     what follows in the file
repeated the last lines of the middle again and again
other    code from another file of the language
stop     nothing: the model stopped by itself, and nothing may be taken away

It comes in pieces of 1 to 12 characters. Counted is how often the text that came out is the middle
exactly (white space at its end aside; exact to the last blank in brackets), too short, too long.
Files are parted by the hash of their text: the rules were chosen on one half ("tune"), figures are
of the other ("report").

Without folders the files are those of this Python's library, of its packages and of the checkout.

    python bench/fim_ends.py [FOLDER...] [--quick] [--half report] [--files 60] [--middles 10]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from serve.fim.cutters import LineEnd, NoEnd  # noqa: E402
from serve.fim.ending import Rules, SyntaxEnd  # noqa: E402
from serve.fim.languages import Language, by_path  # noqa: E402
from serve.stops import Cutter  # noqa: E402

ENDS = ("file", "repeated", "other", "stop")
KINDS = ("line", "more", "lines", "characters", "block", "brackets")
FAMILIES = {
    "javascript": "js/ts",
    "typescript": "js/ts",
    "tsx": "js/ts",
    "c": "c/c++",
    "cpp": "c/c++",
}
BAR = 0.85  # ours: ends found where the model goes on with what follows in the file
MORE = 600  # characters written behind the middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A middle out of a file."""

    language: Language
    kind: str
    before: str
    middle: str
    after: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true", help="12 files; under 60 s")
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--files", type=int, default=60, help="of each family of languages")
    parser.add_argument("--middles", type=int, default=12, help="of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a rule, echo_characters=24")
    parser.add_argument("--show", type=int, default=0, help="print so many failures")
    parser.add_argument("--only", default="", help="method syntax only: show these, kind/end")
    asked = parser.parse_args()
    rules = Rules(**{k: json.loads(v) for k, v in (one.split("=") for one in asked.set)})
    folders = asked.folders or [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    most = 12 if asked.quick else asked.files
    files = collected([*folders, *([] if asked.folders else [ROOT])], asked.half, most, asked.seed)
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    reasons: Counter[tuple[str, str, str]] = Counter()
    spent, characters, shown = 0.0, 0, 0
    for family, texts in sorted(files.items()):
        for number, (path, text) in enumerate(texts):
            language = by_path(path.name)
            assert language is not None
            rng = random.Random(f"{asked.seed}/{path.name}/{len(text)}")
            other = texts[number - 1][1]
            for cut in cuts(text, language, rng, asked.middles):
                for end in ENDS:
                    written = cut.middle + behind(cut, end, other, rng)
                    sizes = [rng.randint(1, 12) for _ in written]
                    for method in ("syntax", "line", "none"):
                        cutter = made(method, cut, rules)
                        began = time.perf_counter()
                        got = ended(cutter, written, sizes)
                        if method == "syntax":
                            spent += time.perf_counter() - began
                            characters += len(written)
                        verdict = judged(got, cut, is_over=end != "stop")
                        for key in ((method, end), (method, end, family), (method, end, cut.kind)):
                            counts[key][verdict] += 1
                        if method == "syntax":
                            assert isinstance(cutter, SyntaxEnd)
                            reasons[end, cutter.reason or "none", verdict] += 1
                            if (
                                verdict in ("early", "late")
                                and shown < asked.show
                                and (f"{cut.kind}/{end}/{verdict}".startswith(asked.only))
                            ):
                                shown += 1
                                show(path, cut, end, got, cutter, verdict)
    report(counts, reasons, files)
    print(f"cost: {1e6 * spent / max(1, characters):.1f} us a character written")
    found = counts["syntax", "file"]
    share = (found["exact"] + found["but blanks"]) / max(1, sum(found.values()))
    ok = share >= BAR
    line = {"name": "fim_ends", "value": round(share, 4), "unit": "share of middles ended right"}
    print(json.dumps({**line, "bar": BAR, "ok": ok}))
    sys.exit(not ok)


def made(method: str, cut: Cut, rules: Rules) -> Cutter:
    if method == "line":
        return LineEnd()
    if method == "none":
        return NoEnd()
    return SyntaxEnd(cut.before, cut.after, cut.language, rules)


def ended(cutter: Cutter, written: str, sizes: list[int]) -> str:
    out, at = [], 0
    for size in sizes:
        safe, is_over = cutter.feed(written[at : at + size])
        out.append(safe)
        at += size
        if is_over:
            return "".join(out)
        if at >= len(written):
            break
    return "".join([*out, cutter.finish()])


def judged(got: str, cut: Cut, *, is_over: bool) -> str:
    if got == cut.middle:
        return "exact"
    if got.rstrip() == cut.middle.rstrip():
        return "but blanks"
    return "early" if len(got) < len(cut.middle) else "late"


def collected(
    folders: list[Path], half: str, most: int, seed: int
) -> dict[str, list[tuple[Path, str]]]:
    found: dict[str, dict[str, tuple[Path, str]]] = defaultdict(dict)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            language = by_path(path.name)
            if language is None or not path.is_file() or not 800 < path.stat().st_size < 60_000:
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            lines = text.split("\n")
            # Neither minified nor generated, and Unix line ends.
            if "\r" in text or max(map(len, lines)) > 200 or len(lines) < 25:
                continue
            digest = hashlib.sha256(text.encode()).hexdigest()
            if (int(digest[0], 16) < 8) == (half == "tune"):
                family = FAMILIES.get(language.name, language.name)
                found[family].setdefault(digest, (path, text))
    chosen = {}
    for family, by_digest in found.items():
        texts = [by_digest[digest] for digest in sorted(by_digest)]
        random.Random(seed).shuffle(texts)
        chosen[family] = texts[:most]
    return chosen


def cuts(text: str, language: Language, rng: random.Random, count: int) -> Iterator[Cut]:
    blocks, brackets = spans(text, language)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        for _ in range(20):
            span = chosen(kind, text, rng, blocks, brackets)
            if span is not None and text[slice(*span)].strip():
                start, end = span
                yield Cut(
                    language=language, kind=kind,
                    before=text[:start], middle=text[start:end], after=text[end:],
                )  # fmt: skip
                break


def chosen(
    kind: str, text: str, rng: random.Random, blocks: list[tuple[int, int]],
    brackets: list[tuple[int, int]],
) -> tuple[int, int] | None:  # fmt: skip
    if kind == "characters":
        start = rng.randrange(len(text) - 1)
        return start, min(len(text), start + rng.randint(1, 200))
    if kind in ("block", "brackets"):
        found = blocks if kind == "block" else brackets
        return rng.choice(found) if found else None
    start = text.find("\n", rng.randrange(len(text)))
    if start < 0:
        return None
    if kind == "lines":
        end = start
        for _ in range(rng.randint(1, 6)):
            end = text.find("\n", end + 1)
            if end < 0:
                return None
        # From the line's start, or from its first word as editors that indent do.
        first = start + 1
        while rng.random() < 0.5 and text[first] in " \t":
            first += 1
        return first, end
    end = text.find("\n", start + 1)
    if kind == "more":
        for _ in range(rng.randint(1, 4)):
            last, end = end, text.find("\n", end + 1)
            if end < 0:
                end = last
                break
    line_end = text.find("\n", start + 1)
    places = [at for at in range(start + 1, line_end) if not text[at].isspace() and
              not (text[at].isalnum() and text[at - 1].isalnum())]  # fmt: skip
    return (rng.choice(places), end) if places else None


def spans(text: str, language: Language) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return bodies of blocks, and what stands in brackets, up to 1,500 and 300 characters."""
    from tree_sitter_language_pack import get_parser

    data = text.encode()
    if len(data) != len(text):
        return [], []
    blocks, brackets = [], []
    waiting = [get_parser(language.grammar).parse(data).root_node]  # type: ignore[arg-type]
    while waiting:
        node = waiting.pop()
        start, end = node.start_byte, node.end_byte
        waiting.extend(node.children)
        if node.type in ("block", "statement_block", "compound_statement", "class_body") and (
            10 < end - start < 1500
        ):
            body = text[start:end]
            # Braces stay outside: one stands before the cursor, one behind it.
            blocks.append((start + 1, end - 1 - (len(body[:-1]) - len(body[:-1].rstrip())))
                          if body[0] == "{" else (start, end))  # fmt: skip
        elif ("argument" in node.type or "parameters" in node.type) and (
            4 < end - start < 300 and text[start] == "("
        ):
            brackets.append((start + 1, end - 1))
    return blocks, brackets


def behind(cut: Cut, end: str, other: str, rng: random.Random) -> str:
    if end == "stop":
        return ""
    if end == "file":
        return cut.after[:MORE]
    if end == "repeated":
        lines = cut.middle.strip("\n").split("\n")[-rng.randint(1, 4) :]
        again = "\n" + "\n".join(lines)
        return (again * (MORE // len(again) + 1))[:MORE]
    lines = other.split("\n")
    at = rng.randrange(len(lines) // 2)
    if "(" in (cut.middle + cut.before[-200:]) and cut.kind == "brackets":
        # Behind an argument a model closes the bracket before it goes on.
        return ")\n" + "\n".join(lines[at:])[:MORE]
    return "\n" + "\n".join(lines[at:])[:MORE]


def show(path: Path, cut: Cut, end: str, got: str, cutter: SyntaxEnd, verdict: str) -> None:
    print(f"--- {path.name} {cut.kind}/{end}: {verdict} by {cutter.reason or 'nothing'}")
    print(f"before: {cut.before[-160:]!r}\nmiddle: {cut.middle!r}")
    print(f"got:    {got[:400]!r}\nafter:  {cut.after[:120]!r}\n")


def report(
    counts: dict[tuple[str, ...], Counter[str]],
    reasons: Counter[tuple[str, str, str]],
    files: dict[str, list[tuple[Path, str]]],
) -> None:
    print("files:", ", ".join(f"{family} {len(texts)}" for family, texts in sorted(files.items())))
    for key in sorted(counts, key=lambda key: (len(key), ENDS.index(key[1]), key[2:], key[0])):
        row = counts[key]
        total = sum(row.values())
        found = row["exact"] + row["but blanks"]
        print(
            f"{' '.join(key):32} n {total:5}  found {found / total:6.1%}"
            f" ({row['exact'] / total:6.1%})  early {row['early'] / total:6.1%}"
            f"  late {row['late'] / total:6.1%}"
        )
    for (end, reason, verdict), count in sorted(reasons.items()):
        print(f"by {end:9} {reason:12} {verdict:10} {count}")


if __name__ == "__main__":
    main()
