"""Make the engine that a recipe's table asks for."""

from __future__ import annotations

from pathlib import Path

from serve.card import ModelCard
from serve.config import ModelTable
from serve.engines.engine import Engine


def build_engine(table: ModelTable, card: ModelCard, *, runtime_dir: Path) -> Engine:
    """Return the engine of one model; nothing is started.

    runtime_dir: where its socket and the files it is given lie; made where it is missing.
    Raises UsageError for options that make no sense, MachineLacks for an engine that this machine
    has not got.
    """
    if table.engine == "openai":
        from serve.engines.upstream_engine import UpstreamEngine

        return UpstreamEngine.of(table, card)
    if table.engine == "vllm":
        from serve.engines.vllm_engine import VllmEngine

        return VllmEngine.of(table, card, runtime_dir=runtime_dir)
    from serve.engines.own_engine import OwnEngine

    return OwnEngine.of(table, card, runtime_dir=runtime_dir)
