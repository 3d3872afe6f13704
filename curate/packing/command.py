"""seedcoder curate pack"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from curate.packing.pack import Forecast


def pack(
    recipe: Annotated[Path, typer.Argument(help="A recipe for packing.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set length=32768."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come of it; write nothing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--check", help="Compare what is packed with its digests.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Pack what curate recipes keep into shards of fixed sequences, filled in the middle."""
    from curate.packing.pack import forecast, pack_recipe, words_of
    from curate.packing.plan import plan_of
    from curate.packing.reader import Packed
    from curate.packing.recipe import PackRecipe
    from curate.packing.unit import dtype_of
    from curate.packing.unpack import check
    from curate.printed import stages
    from seedcoder.recipe import load_recipe

    asked = load_recipe(recipe, PackRecipe, changes or ())
    if dry_run:
        size = dtype_of(words_of(asked).size).itemsize
        _print_forecast(
            forecast(asked, plan_of(asked)), asked.length, asked.shard_sequences, size, as_json
        )
        return
    with stages() as tell:
        folder = pack_recipe(asked, recipe.stem, tell)
    facts = Packed(folder).facts
    if verify:
        wrong = check(folder)
        if wrong:
            raise UsageError(f"{folder}: shards that are not as written: {', '.join(wrong)}")
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **facts}, indent=2))
    else:
        _print_packed(folder, facts)
    if any(one["is_short"] for one in facts["sources"].values()):
        raise typer.Exit(1)


def _print_forecast(
    found: list[Forecast], length: int, a_shard: int, token_bytes: int, as_json: bool
) -> None:
    from rich.console import Console
    from rich.table import Table

    sequences = sum(one.sequences for one in found)
    shards = -(-sequences // a_shard)
    size = sequences * length * token_bytes
    if as_json:
        totals = {"sequences": sequences, "shards": shards, "bytes": size}
        typer.echo(json.dumps({**totals, "sources": [asdict(one) for one in found]}, indent=2))
        return
    table = Table(
        "source", "documents", "MB", "tokens there", "tokens asked", "epochs", "sequences"
    )
    for one in found:
        over = " (too many)" if one.epochs > one.max_epochs else ""
        table.add_row(
            one.name,
            str(one.documents),
            f"{one.bytes / 1e6:.1f}",
            f"about {one.tokens}",
            str(one.asked),
            f"{one.epochs:.2f}{over}",
            str(one.sequences),
        )
    Console().print(table)
    typer.echo(f"about {sequences} sequences of {length}, {shards} shards, {size / 1e6:.1f} MB")


def _print_packed(folder: Path, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("source", "documents", "tokens", "share", "asked", "padding", "rearranged")
    for name, one in facts["sources"].items():
        asked = "" if one["share_asked"] is None else f"{one['share_asked']:.4f}"
        short = " (too few documents)" if one["is_short"] else ""
        padding = one.get("padding", 0) / max(1, one.get("padding", 0) + one.get("tokens", 0))
        table.add_row(
            name,
            str(one.get("documents", 0)),
            f"{one.get('tokens', 0)}{short}",
            f"{one['share']:.4f}",
            asked,
            f"{padding:.2%}",
            str(one.get("rearranged", 0)),
        )
    Console().print(table)
    typer.echo(
        f"{facts['sequences']} sequences of {facts['length']}, {facts['tokens']} tokens,"
        f" {len(facts['shards'])} shards: {folder}"
    )
