"""Curation beside datatrove, datasketch and text-dedup: same documents, same machine, same run.

    python bench/curate_peers.py [--quick] [--cache FOLDER] [--sample 10000] [--large 200000]

Corpus: releases of the same projects from PyPI sdists and Debian sources, fetched once into the
cache folder, and the machine's own files up to 400 MB (see curate_corpus.py). --quick takes 9 MB
of the machine's own files, fetches nothing, and uses only the peers whose environments are in the
cache, two pieces at a time: under 60 s.

Printed, each piece in a process of its own on one core (CPU seconds, imports and compilation left
out; peak memory of the whole process):
- MB/s of exact, minhash, neardup (LSH, check and stars), licence, rules, syntax, secrets,
  fasttext, parquet;
- signatures of the peers, on a sample with every text once and without its licence header, for ours
  and theirs alike (two files under one licence are no duplicates); recall of the pairs whose exact
  Jaccard is 0.8 or more (found by a complete search, runs of five words), and of what each
  removes, the share whose exact Jaccard with the file that it keeps is below 0.7;
- the whole pipeline through decontamination, beside datatrove's own blocks;
- CPU per document of the pipeline at 10,000 and 200,000 documents, and its peak memory.

Recall of ours counts pairs of which one is dropped, or both for others; of the peers, pairs that
are found together (in one cluster, in one query): the generous way. An environment for each peer
is made by pip in the cache folder, or its python is given (--datatrove-python and so on).

What the figures are not: the machine may be shared; ratios of the same run count.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import curate_corpus  # noqa: E402
import measure  # noqa: E402

STEPS: Final = (
    "exact", "minhash", "neardup", "licence", "rules", "syntax", "secrets", "fasttext", "parquet",
)  # fmt: skip
PEERS: Final = {
    "datatrove": (
        "datatrove==0.10.1", "spacy", "xxhash==3.5.0", "orjson", "regex", "nltk", "tldextract",
        "lighteval", "torch==2.13.0", "--no-deps", "lighteval==0.9.2",
    ),
    "datasketch": ("datasketch==2.0.0",),
    "text-dedup": (
        "datasets==4.4.1", "scipy", "click", "click-option-group", "regex", "rich", "xxhash",
        "psutil", "ftfy", "bitarray", "zstandard", "setuptools", "--no-deps", "text-dedup==0.4.0",
    ),
}  # fmt: skip
DATATROVE_BAR, DATASKETCH_BAR, PIPELINE_BAR = 200.0, 15.0, 10.0
RECALL_BAR, WRONG_BAR = 0.99, 0.05
FLAT_BAR, MEMORY_BAR_MB = 1.15, 3000.0
SHARE_BAR = 1 / 3


@dataclass(slots=True)
class Bars:
    """What was asked, and whether it was reached."""

    ok: bool = True

    def judge(self, what: str, value: float, bar: float, *, at_most: bool = False) -> None:
        """Print a figure beside its bar."""
        held = value <= bar if at_most else value >= bar
        self.ok &= held
        sign = "<=" if at_most else ">="
        print(f"  {what}: {value:.4g} ({sign} {bar:.4g}: {'yes' if held else 'NO'})", flush=True)


def child(python: str, script: str, *words: str) -> dict[str, Any] | None:
    """Run a piece; return what it says, None (told) where it failed."""
    command = [python, str(ROOT / "bench" / script), *words]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        print(f"  {words[0]} left out: {why[:200]}", flush=True)
        return None
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def peer_pythons(options: argparse.Namespace) -> dict[str, str]:
    """Return the interpreters of the peers that are there or could be made."""
    found = {}
    for name, needs in PEERS.items():
        given = getattr(options, f"{name.replace('-', '_')}_python")
        folder = options.cache / "venvs" / name
        if given:
            found[name] = given
            continue
        if not (folder / ".made").exists():
            if options.quick:
                print(f"{name} left out: no environment in {folder}, and --quick makes none")
                continue
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
            at = needs.index("--no-deps") if "--no-deps" in needs else len(needs)
            groups = [needs[:at], needs[at:]]
            done = [
                subprocess.run([*pip, *group], capture_output=True) for group in groups if group
            ]
            if any(one.returncode for one in done):
                why = done[-1].stderr.decode().strip().splitlines()
                print(f"{name} left out: {why[-1][:200] if why else 'pip failed'}")
                continue
            (folder / ".made").touch()
        found[name] = str(folder / "bin/python")
    return found


def corpus(options: argparse.Namespace, name: str, *, machine: bool, mb: float) -> Path:
    """Return a corpus, made where it is not in the cache."""
    path = Path(options.cache) / f"{name}.jsonl"
    if not path.exists():
        archives = [] if options.quick else curate_corpus.fetch(options.cache / "archives")
        count, held = curate_corpus.gather(
            archives, path, machine=machine, most_bytes=int(mb * 1e6)
        )
        print(f"made {path.name}: {count} files, {held:.0f} MB", flush=True)
    return path


def head(path: Path, out: Path, count: int, *, bodies: bool = False) -> int:
    """Write the first `count` documents, each with `text` beside `content`; return how many.

    bodies: without licence headers, and of equal texts the first only.
    """
    from curate.neardup.shingles import body_of

    seen: set[int] = set()
    wrote = 0
    with path.open(encoding="utf-8") as lines, out.open("w", encoding="utf-8") as kept:
        for line in lines:
            if wrote == count:
                break
            row = json.loads(line)
            if bodies:
                row["content"] = body_of(row["content"]) or row["content"]
                text = hash(row["content"])
                if text in seen:
                    continue
                seen.add(text)
            kept.write(json.dumps({**row, "id": wrote, "text": row["content"]}) + "\n")
            wrote += 1
    return wrote


class Truth:
    """Exact Jaccard similarities of the documents of a sample, by runs of five words."""

    def __init__(self, path: Path) -> None:
        """Read the documents."""
        import pyarrow as pa

        from curate.neardup.shingles import sets

        with path.open(encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
        column = pa.array(texts, pa.large_string())
        self.sets = sets(column, strip=False)

    def jaccard(self, left: int, right: int) -> float:
        """Return the similarity of two."""
        from curate.neardup.shingles import jaccard

        numbers, ends = self.sets
        return float(
            jaccard(numbers[ends[left] : ends[left + 1]], numbers[ends[right] : ends[right + 1]])
        )

    def similar(self, least: float) -> set[tuple[int, int]]:
        """Return all pairs that are `least` similar or more.

        Complete: two sets with a Jaccard of t share one of the first |x| - ceil(t|x|) + 1 runs of
        each, in any common order (Chaudhuri, Ganti, Kaushik 2006); rare runs come first here.
        """
        import numpy as np

        numbers, ends = self.sets
        _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        rarity = counts[inverse]
        holders: dict[int, list[int]] = {}
        found: set[tuple[int, int]] = set()
        for text in range(len(ends) - 1):
            span = slice(ends[text], ends[text + 1])
            mine, size = inverse[span], ends[text + 1] - ends[text]
            first = np.lexsort((mine, rarity[span]))[: size - int(np.ceil(least * size)) + 1]
            others: set[int] = set()
            for run in mine[first].tolist():
                held = holders.setdefault(run, [])
                others.update(held)
                held.append(text)
            for other in others:
                its = int(ends[other + 1] - ends[other])
                if min(size, its) >= least * max(size, its) and self.jaccard(other, text) >= least:
                    found.add((other, text))
        return found


def children(beside: int, calls: Sequence[Sequence[str]]) -> Iterator[dict[str, Any] | None]:
    """Yield what pieces say, `beside` of them at a time: CPU seconds are each one's own."""
    with ThreadPoolExecutor(beside) as threads:
        yield from threads.map(lambda words: child(*words), calls)


def speeds(path: Path, beside: int) -> None:
    """Print MB/s and memory of each step of ours."""
    print(f"one core, {path.stat().st_size / 1e6:.0f} MB of JSON lines")
    print(f"  {'':10}{'MB/s':>9}{'peak MiB':>10}")
    calls = [(sys.executable, "curate_ours.py", name, str(path)) for name in STEPS]
    for name, said in zip(STEPS, children(beside, calls), strict=True):
        if said:
            speed = said["mb"] / said["cpu_s"]
            print(f"  {name:10}{speed:9.1f}{said['peak_mb']:10.0f}", flush=True)


def contest(options: argparse.Namespace, sample: Path, bars: Bars) -> float:
    """Compare signatures, recall and what is removed; return ours over datatrove's MB/s."""
    pythons = peer_pythons(options)
    truth = Truth(sample)
    pairs = truth.similar(0.8)
    calls = [
        (sys.executable, "curate_ours.py", name, str(sample)) for name in ("minhash", "neardup")
    ]
    signed, near = children(options.beside, calls)
    if signed is None or near is None:
        sys.exit("curate_peers: ours did not run")
    ours = signed["mb"] / signed["cpu_s"]
    gone = {text for text, _ in near["removed"]}
    done = sum(a in gone or b in gone for a, b in pairs)
    recall = done / max(1, len(pairs))
    print(f"sample: {signed['mb']:.0f} MB, {len(pairs)} pairs with a Jaccard of 0.8 or more")
    print(f"  {'':12}{'MB/s':>8}{'recall':>9}{'removed':>9}{'below 0.7':>11}")
    wrong = _row("ours", ours, recall, near["removed"], truth)
    ratios = {}
    calls = [(python, "curate_peer.py", name, str(sample)) for name, python in pythons.items()]
    for name, said in zip(pythons, children(options.beside, calls), strict=True):
        if said is None:
            continue
        speed = said["mb"] / said["cpu_s"]
        ratios[name] = ours / speed
        if not said["groups"]:
            print(f"  {name:12}{speed:8.2f}")
            continue
        together = _together(said["groups"], pairs)
        removed = (
            [[text, group[0]] for group in said["groups"] for text in group[1:]]
            if name == "datatrove"
            else []
        )
        _row(name, speed, together / max(1, len(pairs)), removed, truth)
    bars.judge("recall at 0.8", recall, RECALL_BAR)
    bars.judge("removed below 0.7", wrong, WRONG_BAR, at_most=True)
    for name, bar in (("datatrove", DATATROVE_BAR), ("datasketch", DATASKETCH_BAR)):
        if name in ratios:
            bars.judge(f"signatures beside {name}, times", ratios[name], bar)
    if "datatrove" in pythons:
        _pipelines(pythons["datatrove"], sample, options, bars)
    return ratios.get("datatrove", 0.0)


def _row(
    name: str, speed: float, recall: float, removed: Sequence[Sequence[int]], truth: Truth
) -> float:
    """Print a line; return the share of what was removed that is not similar to what is kept."""
    wrong = sum(truth.jaccard(text, of) < 0.7 for text, of in removed) / max(1, len(removed))
    print(
        f"  {name:12}{speed:8.2f}{recall:9.4f}"
        + (f"{len(removed):9d}{100 * wrong:10.1f}%" if removed else ""),
        flush=True,
    )
    return wrong


def _together(groups: Sequence[Sequence[int]], pairs: set[tuple[int, int]]) -> int:
    """Count the pairs that are in a group together."""
    of: dict[int, set[int]] = {}
    for number, group in enumerate(groups):
        for text in group:
            of.setdefault(text, set()).add(number)
    return sum(bool(of.get(a, set()) & of.get(b, set())) for a, b in pairs)


@cache
def problems_file(folder: Path, *names: str) -> Path:
    """Write the problems of benchmarks, once; a made one where there is no data."""
    from evals.problems_out import texts_of, write

    path = folder / "problems.jsonl"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # what is not here is left out, not waited for
    logging.getLogger("evals").setLevel(logging.ERROR)  # which have no data here is no matter
    if not write(texts_of(names), path):
        words = " ".join(f"word{n}" for n in range(20))
        path.write_text(json.dumps({"bench": "made", "key": "1", "text": words, "solution": ""}))
    return path


def _pipelines(python: str, sample: Path, options: argparse.Namespace, bars: Bars) -> None:
    with tempfile.TemporaryDirectory(dir=options.cache) as name:
        folder = Path(name)
        few = folder / "docs" / "few.jsonl"
        few.parent.mkdir()
        head(sample, few, 25 if options.quick else 3000)
        problems = problems_file(options.cache, "humaneval" if options.quick else "all")
        words = ("pipeline", str(few))
        theirs, ours = children(
            options.beside,
            [
                (python, "curate_peer.py", *words, str(problems)),
                (sys.executable, "curate_ours.py", *words, str(folder / "s"), str(problems)),
            ],
        )
    if theirs and ours:
        ratio = theirs["cpu_s"] / ours["cpu_s"]
        print(
            f"pipeline through decontamination, {ours['mb']:.0f} MB: datatrove's blocks "
            f"{theirs['mb'] / theirs['cpu_s']:.2f} MB/s, ours {ours['mb'] / ours['cpu_s']:.1f} MB/s"
        )
        bars.judge("pipeline beside datatrove's, times", ratio, PIPELINE_BAR)


def growth(options: argparse.Namespace, large: Path, bars: Bars) -> None:
    """Run the pipeline on few and on many documents."""
    costs = []
    counts = (400,) if options.quick else (10_000, options.large)
    with tempfile.TemporaryDirectory(dir=options.cache) as name:
        folder = Path(name)
        problems = problems_file(options.cache, "humaneval" if options.quick else "all")
        for count in counts:
            path = folder / f"{count}.jsonl"
            there = head(large, path, count)
            said = child(
                sys.executable, "curate_ours.py", "pipeline", str(path), str(folder / f"s{count}"),
                str(problems),
            )  # fmt: skip
            path.unlink()
            if said is None:
                bars.ok = False
                return
            costs.append(1000 * said["cpu_s"] / there)
            print(
                f"{there} documents, {said['mb']:.0f} MB: {said['cpu_s']:.1f} CPU s, "
                f"{costs[-1]:.3f} CPU ms each, {said['mb'] / said['cpu_s']:.1f} MB/s, peak "
                f"{said['peak_mb']:.0f} MiB, kept {said['kept']}; wall s {said['wall_s']}",
                flush=True,
            )
    if not options.quick:
        bars.judge("CPU per document, many over few", costs[1] / costs[0], FLAT_BAR, at_most=True)
        bars.judge("peak MiB", said["peak_mb"], MEMORY_BAR_MB, at_most=True)
    for step in ("syntax", "secrets"):
        share = said["wall_s"][step] / (said["cpu_s"] or 1)
        bars.judge(f"{step}'s share of the pipeline", share, SHARE_BAR, at_most=True)


def main() -> None:
    """Measure everything and judge the bars."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under 60 s")
    parser.add_argument("--cache", type=Path, default=home / "seedcoder" / "curate-peers")
    parser.add_argument("--sample", type=int, default=10_000, help="documents beside the peers")
    parser.add_argument("--large", type=int, default=200_000, help="documents of the largest run")
    for name in PEERS:
        parser.add_argument(f"--{name}-python", default="", help="an interpreter that has it")
    parser.add_argument("--only", choices=("steps", "peers", "growth"), help="one part alone")
    options = parser.parse_args()
    options.beside = 2 if options.quick else 1
    options.cache.mkdir(parents=True, exist_ok=True)
    bars = Bars()
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    main_mb = 9 if options.quick else 400
    path = corpus(options, f"corpus-{main_mb}", machine=True, mb=main_mb)
    if options.only in (None, "steps"):
        speeds(path, options.beside)
    ratio = 0.0
    if options.only in (None, "peers"):
        sample = options.cache / "sample.jsonl"
        head(path, sample, 150 if options.quick else options.sample, bodies=True)
        ratio = contest(options, sample, bars)
    if options.only in (None, "growth"):
        large = path if options.quick else corpus(options, "corpus-1800", machine=True, mb=1800)
        growth(options, large, bars)
    if not ratio:
        print("datatrove was not run: its ratio counts as missed, not as reached")
    measure.close(
        "curate_peers",
        ratio,
        "times datatrove's signatures",
        DATATROVE_BAR,
        ok=bars.ok and ratio > 0,
    )


if __name__ == "__main__":
    main()
