"""Other deduplicators over the same documents: run by an interpreter that has one of them.

    PYTHON bench/curate_peer.py datatrove|datasketch|text-dedup|pipeline DOCUMENTS [PROBLEMS]

DOCUMENTS: JSON lines of id and text. Says one JSON line: {"mb", "cpu_s" (of the signatures),
"groups": [[ids found together]]}. Each makes signatures of runs of five words, with its own words
and hashes: datatrove 0.10.1 as it comes (14 x 8), datasketch 2.0.0 with 256 permutations and SHA-1
as it comes, text-dedup 0.4.0 with 256 permutations and SHA-1 as it comes (speed only).

pipeline: datatrove's equivalent of the steps through decontamination, as a pipeline of its own
blocks: signatures, buckets, clusters, filter, Gopher's repetition rules, personal data, n-grams of
PROBLEMS, written as parquet's stand-in JSON lines. It has no syntax check and no secrets.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def datatrove(path: Path, folder: Path) -> tuple[float, list[list[int]]]:
    """Return CPU seconds of signatures, and the clusters, by datatrove's default."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )

    config = MinhashConfig()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    documents = [Document(text=row["text"], id=str(row["id"])) for row in rows]
    step = MinhashDedupSignature(str(folder / "signatures"), config)
    step.get_shingles("one two three four five six")  # its tokenizer is loaded
    began = time.process_time()
    step.run(iter(documents), 0, 1)
    cpu_s = time.process_time() - began
    buckets = MinhashDedupBuckets(
        str(folder / "signatures"), str(folder / "buckets"), config=config
    )
    for bucket in range(config.num_buckets):
        buckets.run(None, bucket, config.num_buckets)
    MinhashDedupCluster(
        str(folder / "buckets"), str(folder / "removed"), config=config, save_cluster_id=True
    ).run(None, 0, 1)
    keep = MinhashDedupFilter(str(folder / "removed"), load_cluster_ids=True)
    clusters: dict[int, list[int]] = {}
    kept = {int(one.id) for one in keep.run(iter(documents), 0, 1)}
    for one in documents:
        cluster = one.metadata.get("minhash_cluster_id", -1)
        if cluster is not None and cluster >= 0:
            clusters.setdefault(cluster, []).append(int(one.id))
    # The one that is kept comes first.
    return cpu_s, [sorted(ids, key=lambda one: (one not in kept, one)) for ids in clusters.values()]


def datasketch(path: Path, _folder: Path) -> tuple[float, list[list[int]]]:
    """Return CPU seconds of signatures, and for each document those that its LSH gives."""
    import re

    from datasketch import MinHash, MinHashLSH

    word = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    signed: dict[int, Any] = {}
    began = time.process_time()
    for row in rows:
        words = word.findall(row["text"].encode())
        runs = {b" ".join(words[n : n + 5]) for n in range(max(1, len(words) - 4))}
        one = MinHash(num_perm=256)
        one.update_batch(runs)
        signed[row["id"]] = one
    cpu_s = time.process_time() - began
    lsh = MinHashLSH(threshold=0.7, num_perm=256)
    groups = []
    for number, one in signed.items():
        if found := lsh.query(one):
            groups += [[int(other), number] for other in found]
        lsh.insert(number, one)
    return cpu_s, groups


def text_dedup(path: Path, _folder: Path) -> tuple[float, list[list[int]]]:
    """Return CPU seconds of signatures."""
    import numpy as np
    from text_dedup.minhash import embed_func
    from text_dedup.utils import sha1_hash

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    draw = np.random.RandomState(42)
    prime = np.uint64((1 << 61) - 1)
    permutations = (
        draw.randint(1, prime, size=(256,), dtype=np.uint64),
        draw.randint(0, prime, size=(256,), dtype=np.uint64),
    )
    began = time.process_time()
    for row in rows:
        embed_func(
            row["text"], row["id"], num_perm=256, ngram_size=5, min_length=5,
            hashranges=[(n, n + 8) for n in range(0, 256, 8)], permutations=permutations,
            hash_func=lambda token: sha1_hash(token, d=32), dtype=np.uint64,
            max_hash=np.uint64((1 << 32) - 1), modulo_prime=prime,
        )  # fmt: skip
    return time.process_time() - began, []


def pipeline(path: Path, folder: Path) -> tuple[float, list[list[int]]]:
    """Return CPU seconds of all steps."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import (
        NGramsDecontConfig,
        NGramsDecontFilter,
        NGramsDecontIndexer,
    )
    from datatrove.pipeline.filters import GopherRepetitionFilter
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from lighteval.tasks import lighteval_task, registry  # the indexer imports them: not its work

    assert registry and lighteval_task
    problems = [json.loads(line) for line in Path(sys.argv[3]).read_text().splitlines()]
    decont = NGramsDecontConfig(n_grams=10, find_query_ngrams=True)
    began = time.process_time()
    NGramsDecontIndexer(str(folder / "index"), lighteval_tasks=[], config=decont).run(
        Document(
            text=one["solution"] or one["text"], id=str(n),
            metadata={"query": one["text"], "task": one["bench"]},
        )
        for n, one in enumerate(problems)
    )  # fmt: skip
    _, groups = datatrove(path, folder)
    dropped = {number for group in groups for number in group[1:]}
    data = JsonlReader(str(path.parent), glob_pattern=path.name).run(None, 0, 1)
    rest: Any = (one for one in data if int(one.id) not in dropped)
    for step in (
        GopherRepetitionFilter(),
        PIIFormatter(),
        NGramsDecontFilter(str(folder / "index"), config=decont),
        JsonlWriter(str(folder / "out"), compression="zstd"),
    ):
        rest = step.run(rest, 0, 1)
    for _ in rest:
        pass
    return time.process_time() - began, groups


PEERS: dict[str, Callable[[Path, Path], tuple[float, list[list[int]]]]] = {
    "datatrove": datatrove,
    "datasketch": datasketch,
    "text-dedup": text_dedup,
    "pipeline": pipeline,
}


def main() -> None:
    """Run one of them."""
    path = Path(sys.argv[2])
    with path.open(encoding="utf-8") as lines:
        mb = sum(len(json.loads(line)["text"].encode()) for line in lines) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        cpu_s, groups = PEERS[sys.argv[1]](path, Path(folder))
    print(json.dumps({"mb": mb, "cpu_s": cpu_s, "groups": groups}))


if __name__ == "__main__":
    main()
