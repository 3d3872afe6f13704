"""seedcoder serve up RECIPE --dry-run"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from serve.config import read_serve_recipe
from serve.dry_run import EnginePlan, gpu_totals, plan_service


def show_plan(
    recipe_file: Path, overrides: Sequence[str] = (), *, gpu_gb: float | None, is_json: bool
) -> None:
    """Print what a recipe would start. Exits 1 where something of it does not fit."""
    recipe = read_serve_recipe(recipe_file, overrides)
    plans = plan_service(recipe, beside=recipe_file.parent, gpu_gb=gpu_gb)
    totals = gpu_totals(plans)
    crowded = [gpu for gpu, share in totals.items() if share > 1]
    if is_json:
        data = {"engines": [one.to_json() for one in plans], "gpus": totals}
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n\n".join("\n".join(one.lines()) for one in plans))
        if totals:
            typer.echo()
        for gpu, share in totals.items():
            said = "; MORE THAN THERE IS" if gpu in crowded else ""
            typer.echo(f"GPU {gpu}: {share:.0%} taken by {_models(plans, gpu)}{said}")
    if crowded or any(one.memory is not None and not one.memory.fits for one in plans):
        raise typer.Exit(1)


def _models(plans: Sequence[EnginePlan], gpu: str) -> str:
    return ", ".join(one.model for one in plans if gpu in one.share)
