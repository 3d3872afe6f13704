"""The schema of recipes/serve/: which models, on which engines, behind which gateway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from seedcoder.recipe import Recipe, load_recipe

EngineKind = Literal["vllm", "transformers", "openai", "scripted"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelTable(_Table):
    """One model and its engine.

    card: a card's name, or its file. engine: what runs it. options: the engine's own: vLLM's
    command-line options by their names (`tensor_parallel_size = 8`); `url`, `model`, `key_env` for
    an upstream server; `file`, `tokens_per_s` for a script. environment: for the engine's process.
    """

    card: str
    engine: EngineKind
    options: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)


class GatewayTable(_Table):
    """The address that clients see.

    host, port: port 0 takes a free one. is_open: listen beyond loopback although no keys are asked
        for. keys_file: a database made by `seedcoder serve keys`; without one there are no keys.
    cors: origins that browsers may come from. body_mb: of a request.
    queue: requests that may wait for each model; more get 429. streams: answered at once by each
        model. drain_s: for answers under way, after SIGTERM. stall_s: that a client may leave its
        answer unread before it is cut off.
    open_health, open_metrics: those routes answer without a key.
    logs_prompts: write prompts into the access log.
    files_dir: where uploaded files and batches lie; None is a folder in the user's cache.
    file_mb: of one uploaded file; files_mb: of all files, where one more is uploaded.
    batch_share: of `streams`, that lines of batches may hold.
    traces_url: an OTLP/HTTP collector; None sends nothing.
    playground: serve the page at /playground. runs_dir: the runs of `seedcoder eval` that it shows.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    is_open: bool = False
    keys_file: Path | None = None
    cors: tuple[str, ...] = ()
    body_mb: int = Field(default=16, ge=1)
    queue: int = Field(default=256, ge=0)
    streams: int = Field(default=256, ge=1)
    drain_s: float = Field(default=30.0, ge=0.0)
    stall_s: float = Field(default=120.0, gt=0.0)
    open_health: bool = True
    open_metrics: bool = False
    logs_prompts: bool = False
    files_dir: Path | None = None
    file_mb: int = Field(default=200, ge=1)  # OpenAI's bound of a batch's input
    files_mb: int = Field(default=10_240, ge=1)
    batch_share: float = Field(default=0.5, gt=0.0, le=1.0)
    traces_url: str | None = None
    playground: bool = False
    runs_dir: Path = Path("runs")


class SandboxTable(_Table):
    """Where code that models or people ask to run is run. Limits are of one run."""

    box: str = "auto"
    require: str | None = None
    workers: int = Field(default=1, ge=1)
    cpu_s: float = Field(default=10.0, gt=0.0)
    wall_s: float = Field(default=30.0, gt=0.0)
    memory_mb: int = Field(default=512, ge=16)


class ServeRecipe(Recipe):
    """A whole service."""

    models: tuple[ModelTable, ...] = Field(min_length=1)
    gateway: GatewayTable = GatewayTable()
    sandbox: SandboxTable = SandboxTable()


def read_serve_recipe(path: Path, overrides: Sequence[str] = ()) -> ServeRecipe:
    """Return the recipe in a file; a script's file is looked for beside it first.

    Raises RecipeError as `load_recipe` does.
    """
    recipe = load_recipe(path, ServeRecipe, overrides)
    models = []
    for table in recipe.models:
        named = table.options.get("file")
        beside = path.parent / named if isinstance(named, str) else None
        if beside is not None and beside.is_file():
            options = {**table.options, "file": str(beside.resolve())}
            table = table.model_copy(update={"options": options})
        models.append(table)
    return recipe.model_copy(update={"models": tuple(models)})
