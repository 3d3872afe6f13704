"""A run as lm-evaluation-harness leaves one: results_DATE.json and samples_TASK_DATE.jsonl.

The names and tables are those of lm_eval 0.4.13 (`lm_eval/loggers/evaluation_tracker.py`,
`lm_eval/utils.py`: `make_table`, `get_results_filenames`, `get_file_task_name`), so that what reads
its folders reads ours. Metrics are called as here ("pass@1"), with the filter "none".

Left out: targets and documents beyond keys and tags, for answers do not leave with a run.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from evals.interop.judged import Judged, is_judged, passed, reply
from evals.problem import Problem
from seedcoder.completion import Request
from seedcoder.run_folder import write_text

_FILTER: Final = "none"
_NORMAL_95: Final = 1.959964


def write_results(run: Judged, folder: Path) -> list[Path]:
    """Write both files into a folder; return their paths."""
    task = re.sub(r"\W", "_", run.bench.name)
    date = re.sub(r"[:+].*|:", "", run.stored.worked_on.replace(":", "-", 2)) or "0000-00-00"
    samples = _samples(run)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"results_{date}.json"
    lines = folder / f"samples_{task}_{date}.jsonl"
    write_text(results, json.dumps(_results(run, task, samples), indent=2))
    write_text(lines, "".join(json.dumps(sample) + "\n" for sample in samples))
    return [results, lines]


def _results(run: Judged, task: str, samples: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"alias": task}
    for score in run.stored.scores:
        low, high = score.bootstrap
        figures[f"{score.metric},{_FILTER}"] = score.value
        figures[f"{score.metric}_stderr,{_FILTER}"] = (high - low) / (2 * _NORMAL_95)
    hashes = "".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples)
    sampling = run.sampling()
    return {
        "results": {task: figures},
        "group_subtasks": {task: []},
        "configs": {
            task: {
                "task": task,
                "dataset_name": run.stored.version,
                "output_type": "generate_until",
                "num_fewshot": 0,
                "generation_kwargs": _generation(run),
                "repeats": run.recipe.samples,
                "metadata": {"version": run.stored.version, "data_sha256": _digests(run)},
            }
        },
        "versions": {task: run.stored.version},
        "n-shot": {task: 0},
        "higher_is_better": {task: {score.metric: True for score in run.stored.scores}},
        "n-samples": {task: {"original": len(run.bench.problems()), "effective": len(samples)}},
        "config": {
            "model": run.model,
            "model_args": "",
            "batch_size": run.recipe.batch,
            "gen_kwargs": _generation(run),
            "random_seed": sampling.seed,
        },
        "git_hash": (run.stored.manifest.get("machine", {}).get("git") or {}).get("commit"),
        "task_hashes": {task: _hash(hashes)},
        "model_source": "seedcoder",
        "model_name": run.model,
        "model_name_sanitized": re.sub(r"[\"<>:/|\\?*\[\]]+", "__", run.model),
        "system_instruction": None,
        "fewshot_as_multiturn": False,
    }


def _samples(run: Judged) -> list[dict[str, Any]]:
    found = []
    for number, problem in enumerate(run.problems):
        answers = [one for one in run.by_problem.get(problem.key, ()) if is_judged(one)]
        if not answers:
            continue
        asked = _words(run.request(problem))
        found.append(
            {
                "doc_id": number,
                "doc": {"task_id": problem.key, "tags": list(problem.tags)},
                "target": "",
                "arguments": {"gen_args_0": {"arg_0": asked, "arg_1": _generation(run)}},
                "resps": [[reply(answer).text for answer in answers]],
                "filtered_resps": [answer.program for answer in answers],
                "filter": _FILTER,
                "metrics": ["pass@1"],
                "doc_hash": _hash(problem.key),
                "prompt_hash": _hash(asked),
                "target_hash": _target_hash(problem),
                "pass@1": fmean(float(passed(answer)) for answer in answers),
            }
        )
    return found


def _generation(run: Judged) -> dict[str, Any]:
    sampling = run.sampling()
    return {
        "until": list(sampling.stop),
        "max_gen_toks": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "do_sample": sampling.temperature > 0,
    }


def _digests(run: Judged) -> dict[str, str]:
    return dict(run.stored.data_sha256)


def _target_hash(problem: Problem) -> str:
    """Return what tells two versions of a test apart without telling the test."""
    return _hash(json.dumps(problem.to_json()["tests"], sort_keys=True, default=repr))


def _words(request: Request) -> str:
    """Return the prompt as text; of a chat as JSON, as lm_eval writes it."""
    if isinstance(request.prompt, str):
        return request.prompt
    turns = [{"role": one.role, "content": one.content} for one in request.prompt]
    if request.prefill:
        turns.append({"role": "assistant", "content": request.prefill})
    return json.dumps(turns)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
