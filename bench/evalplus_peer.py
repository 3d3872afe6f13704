"""evalplus itself, over samples given as a file: run by an interpreter that has evalplus 0.3.1.

    EVALPLUS_PYTHON bench/evalplus_peer.py humaneval|mbpp DATA SAMPLES [WORKERS]

DATA: the published file. SAMPLES: JSON lines of task_id and solution. Says {"ready": true}, and
after each line on stdin judges all samples, as `evalplus.evaluate` does (a pool of processes,
check_correctness, fast_check), and says {"seconds", "verdicts": [[base, plus], ...]}. Its cache is
where XDG_CACHE_HOME says; expected outputs are computed, or read from there, before "ready".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def main() -> None:
    """Judge as often as asked."""
    dataset, data, samples = sys.argv[1:4]
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    os.environ["HUMANEVAL_OVERRIDE_PATH" if dataset == "humaneval" else "MBPP_OVERRIDE_PATH"] = data
    from evalplus import evaluate
    from evalplus.data import get_human_eval_plus, get_mbpp_plus

    rows: list[dict[str, Any]] = [json.loads(x) for x in Path(samples).read_text().splitlines()]
    read = get_human_eval_plus if dataset == "humaneval" else get_mbpp_plus
    wanted = {row["task_id"] for row in rows}
    problems = {k: v for k, v in read(err_incomplete=False).items() if k in wanted}
    names = hashlib.md5(f"{data} {sorted(problems)}".encode()).hexdigest()
    only = evaluate.MBPP_OUTPUT_NOT_NONE_TASKS if dataset == "mbpp" else []
    with contextlib.redirect_stdout(sys.stderr):
        expected = evaluate.get_groundtruth(problems, names, only)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        with ProcessPoolExecutor(max_workers=workers) as executor:
            futures = [
                executor.submit(
                    evaluate.check_correctness, dataset, 0, problems[row["task_id"]],
                    row["solution"], expected[row["task_id"]], False, True, "",
                )
                for row in rows
            ]  # fmt: skip
            results = [future.result() for future in futures]
        verdicts = [[x["base"][0], x["plus"][0]] for x in results]
        said = {"seconds": time.perf_counter() - began, "verdicts": verdicts}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
