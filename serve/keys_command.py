"""`seedcoder serve keys`: make, list, rotate and revoke keys; see what they used."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from seedcoder.errors import UsageError
from serve.key_database import connect
from serve.keys import KeyHolder, KeyRights, KeyStore, check_name
from serve.usage import By, forget, report

keys_app = typer.Typer(
    help="Keys of the gateway: who may ask, how much, and what was used.", no_args_is_help=True
)

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])")


def default_file() -> Path:
    """XDG_CONFIG_HOME/seedcoder/keys.sqlite, else the same below ~/.config."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "seedcoder" / "keys.sqlite"


_File = Annotated[
    Path | None,
    typer.Option("--file", help="The database. Default: ~/.config/seedcoder/keys.sqlite."),
]
_Name = Annotated[str, typer.Argument(help="Whose key it is; logs and metrics show it.")]
_Json = Annotated[bool, typer.Option("--json", help="Print plain data.")]
_Since = Annotated[str, typer.Option(help="From then on: 7d (ago), 2026-01-31.")]


@keys_app.command()
def add(
    name: _Name,
    models: Annotated[
        list[str] | None, typer.Option(help="Names or patterns, 'seed-coder-*'; several, or a,b.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", help="Requests in any 60 s.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(help="Requests at one time.")] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option("--tokens-per-minute", help="Of prompts and replies.")
    ] = None,
    tokens_total: Annotated[
        int | None, typer.Option("--tokens-total", help="Of prompts and replies, in all.")
    ] = None,
    expires: Annotated[str, typer.Option(help="30d, 12h (from now), or 2026-12-31.")] = "",
    run_code: Annotated[
        bool, typer.Option("--run-code", help="It may ask for code to be run in the sandbox.")
    ] = False,
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Make a key. It is printed once; only its digest is kept."""
    check_name(name)  # before a database is begun for it
    now_s = time.time()
    expires_at_s = _moment(expires, "--expires", now_s, ahead=True) if expires else None
    if expires_at_s is not None and expires_at_s <= now_s:
        raise UsageError(f"--expires {expires} is in the past")
    asked = [part.strip() for words in models or () for part in words.split(",")]
    try:
        rights = KeyRights(
            models=tuple(asked),
            requests_per_minute=per_minute,
            concurrent=concurrent,
            tokens_per_minute=tokens_per_minute,
            tokens_total=tokens_total,
            expires_at_s=expires_at_s,
            may_run_code=run_code,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    path = file or default_file()
    if file is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = KeyStore(path, make=True)
    holder, secret = store.add(name, rights)
    store.close()
    _show_secret(holder, secret, path, as_json)


@keys_app.command()
def rotate(
    name: _Name,
    grace: Annotated[str, typer.Option(help="How long the old key still holds: 30m, 1d.")] = "0s",
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Replace a key; its limits and what it used stay. The new one is printed once."""
    path = file or default_file()
    store = KeyStore(path)
    holder, secret = store.rotate(name, grace_s=_span_s(grace, "--grace"))
    store.close()
    _show_secret(holder, secret, path, as_json)


@keys_app.command()
def revoke(name: _Name, file: _File = None) -> None:
    """End a key at once. What it used is kept."""
    store = KeyStore(file or default_file())
    holder = store.revoke(name)
    store.close()
    typer.echo(f"revoked {holder.name} ({holder.id})")


@keys_app.command("list")
def list_keys(
    everything: Annotated[bool, typer.Option("--all", help="Revoked ones, too.")] = False,
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Show the keys' names, limits and what they have used in all; never a key."""
    path = file or default_file()
    store = KeyStore(path)
    holders = store.list(with_revoked=everything)
    store.close()
    connection = connect(path)
    spent: dict[str, int] = dict(connection.execute("SELECT key_id, tokens FROM totals"))
    connection.close()
    if as_json:
        typer.echo(
            json.dumps([{**_plain(one), "tokens_used": spent.get(one.id, 0)} for one in holders])
        )
        return
    names = ("NAME", "MODELS", "REQ/MIN", "AT ONCE", "TOK/MIN", "TOKENS", "RUNS CODE", "UNTIL")
    _print_columns(names, [_cells(one, spent.get(one.id, 0)) for one in holders])


@keys_app.command()
def usage(
    by: Annotated[str, typer.Option(help="What to add up by: of key, model, day, route.")] = (
        "key,model,day"
    ),
    key: Annotated[str | None, typer.Option(help="Only the key of this name.")] = None,
    since: _Since = "",
    until: Annotated[str, typer.Option(help="Before then.")] = "",
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Show what was used: requests, tokens, mean time. Days are UTC's."""
    groups: list[By] = []
    for word in filter(None, (part.strip() for part in by.split(","))):
        known = next((one for one in get_args(By) if one == word), None)
        if known is None:
            raise UsageError(f"--by: no {word!r}; there are {', '.join(get_args(By))}")
        groups.append(known)
    now_s = time.time()
    rows = report(
        file or default_file(),
        by=groups,
        key=key,
        since_s=_moment(since, "--since", now_s, ahead=False) if since else None,
        until_s=_moment(until, "--until", now_s, ahead=False) if until else None,
    )
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    names = (*map(str.upper, groups), "REQUESTS", "FAILED", "PROMPT", "COMPLETION", "MEAN MS")
    _print_columns(
        names,
        [
            (
                *(str(row.group[one]) for one in groups),
                *map(str, (row.requests, row.failed, row.prompt_tokens, row.completion_tokens)),
                f"{row.mean_ms:.0f}",
            )
            for row in rows
        ],
    )


@keys_app.command("forget")
def forget_usage(
    before: Annotated[str, typer.Option(help="90d (ago), or 2026-01-31.")],
    file: _File = None,
) -> None:
    """Delete old records of usage; what counts against --tokens-total stays."""
    before_s = _moment(before, "--before", time.time(), ahead=False)
    count = forget(file or default_file(), before_s=before_s)
    typer.echo(f"deleted {count} records")


def _show_secret(holder: KeyHolder, secret: str, path: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**_plain(holder), "secret": secret}))
        return
    typer.echo(secret)
    typer.echo(
        f"this key of {holder.name} is shown once. A gateway asks for keys with"
        f" keys_file = {json.dumps(str(path))} in its recipe's [gateway].",
        err=True,
    )


def _plain(holder: KeyHolder) -> dict[str, Any]:
    plain = asdict(holder)
    return {**plain, **plain.pop("rights")}


def _cells(holder: KeyHolder, spent: int) -> tuple[str, ...]:
    rights = holder.rights
    until = "-" if rights.expires_at_s is None else _day(rights.expires_at_s)
    if holder.revoked_at_s is not None:
        until = f"revoked {_day(holder.revoked_at_s)}"
    elif rights.expires_at_s is not None and rights.expires_at_s <= time.time():
        until = f"expired {until}"
    return (
        holder.name,
        ",".join(rights.models) or "all",
        *("-" if most is None else str(most) for most in (
            rights.requests_per_minute, rights.concurrent, rights.tokens_per_minute
        )),
        f"{spent}" if rights.tokens_total is None else f"{spent} of {rights.tokens_total}",
        "yes" if rights.may_run_code else "no",
        until,
    )  # fmt: skip


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")


def _span_s(text: str, option: str) -> float:
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option}: a span is a number and one of s m h d w, as 12h; got {text!r}")
    return float(match[1]) * _UNITS_S[match[2]]


def _moment(text: str, option: str, now_s: float, *, ahead: bool) -> float:
    """Return the seconds since 1970 of a date, or of a span from now or before now."""
    if _SPAN.fullmatch(text.strip()):
        return now_s + _span_s(text, option) * (1 if ahead else -1)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{option}: a date as 2026-12-31 (UTC) or a span as 30d, got {text!r}"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _print_columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())
