"""`seedcoder serve up RECIPE --dry-run`: say what would be started, and whether it fits.

For each model: the exact command and environment of its engine (values of variables that sound
like secrets are hidden; the folder of the sockets is another at each start), and the memory plan of
`memory_plan`. For each GPU: how much of it all its engines together may take.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seedcoder.errors import MachineLacks, UsageError
from serve.card import ModelCard, find_card
from serve.config import ModelTable, ServeRecipe
from serve.engines.build import build_engine
from serve.engines.engine import Engine
from serve.engines.options import Options
from serve.engines.vllm_engine import VllmEngine
from serve.engines.vllm_install import VllmInstall
from serve.memory_plan import MemoryPlan, plan

ASSUMED_GPU_GB: Final = 80.0  # where no GPU is here: an H100's or A100's
_ASSUMED_UTILISATION: Final = 0.9  # vLLM's own until 0.2x; later ones take 0.92
_SECRET: Final = re.compile(r"key|token|secret|password", re.IGNORECASE)
_ASK_GPUS: Final = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
_ASK_GPUS_S: Final = 10.0
# Where there is no vLLM: what the command looks like for one that is up to date.
_ABSENT: Final = VllmInstall(
    python="python", version="", is_cpu=False, has_socket=True, drains=True
)  # fmt: skip
_BYTES: Final[Mapping[str, float]] = {
    "float32": 4, "float": 4, "fp8": 1, "int8": 1, "awq": 0.5, "gptq": 0.5, "awq_marlin": 0.5,
    "gptq_marlin": 0.5, "bitsandbytes": 0.5, "mxfp4": 0.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """One model as it would be started.

    command: None for an upstream, where nothing is started. share: of each of its GPUs, empty
    where it takes none; by the GPU's name in CUDA_VISIBLE_DEVICES.
    """

    model: str
    kind: str
    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    address: str
    memory: MemoryPlan | None
    share: Mapping[str, float]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "model": self.model,
            "engine": self.kind,
            "command": list(self.command) if self.command is not None else None,
            "environment": dict(self.environment),
            "address": self.address,
            "memory": self.memory.to_json() if self.memory is not None else None,
            "gpu_share": dict(self.share),
            "notes": list(self.notes),
        }

    def lines(self) -> tuple[str, ...]:
        """Return it for a person: the command can be pasted into a shell."""
        lines = [f"{self.model}  ({self.kind}, {self.address})"]
        if self.command is not None:
            setting = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
            lines.append("  " + " ".join([*setting, shlex.join(self.command)]))
        lines += [f"  {line}" for line in (self.memory.lines() if self.memory else ())]
        lines += [f"  note: {note}" for note in self.notes]
        return tuple(lines)


def plan_service(
    recipe: ServeRecipe, *, beside: Path | None = None, gpu_gb: float | None = None
) -> tuple[EnginePlan, ...]:
    """Return what a recipe would start. gpu_gb: of each GPU; None asks the machine.

    Raises UsageError for what would be refused at a start too; where vLLM is not installed, the
    command of an up-to-date one is made, with a note.
    """
    size_gb = gpu_gb or _gpu_gb() or ASSUMED_GPU_GB
    with tempfile.TemporaryDirectory(prefix="seedcoder-") as folder:
        return tuple(
            _planned(table, find_card(table.card, beside=beside), Path(folder), size_gb)
            for table in recipe.models
        )


def gpu_totals(plans: Sequence[EnginePlan]) -> dict[str, float]:
    """Return how much of each GPU is taken by all engines together: 1 is all of it."""
    totals: dict[str, float] = {}
    for one in plans:
        for gpu, share in one.share.items():
            totals[gpu] = totals.get(gpu, 0.0) + share
    return totals


def _planned(table: ModelTable, card: ModelCard, folder: Path, gpu_gb: float) -> EnginePlan:
    notes: list[str] = []
    engine: Engine
    try:
        engine = build_engine(table, card, runtime_dir=folder)
    except MachineLacks:
        if table.engine != "vllm":
            raise
        notes.append("vLLM is not here: this is the command of an up-to-date one for GPUs")
        options = {name: value for name, value in table.options.items() if name != "python"}
        bare = table.model_copy(update={"options": options})
        engine = VllmEngine.of(bare, card, runtime_dir=folder, install=_ABSENT)
    command = engine.command()
    environment = dict(engine.environment())
    address = engine.address
    memory, share = _memory(table, card, engine, environment, gpu_gb, notes)
    return EnginePlan(
        model=card.name,
        kind=table.engine,
        command=tuple(command) if command is not None else None,
        environment={
            name: "***" if _SECRET.search(name) else value for name, value in environment.items()
        },
        address=f"unix:{address.socket}" if address.socket is not None else address.url,
        memory=memory,
        share=share,
        notes=tuple(notes),
    )


def _memory(
    table: ModelTable,
    card: ModelCard,
    engine: Engine,
    environment: Mapping[str, str],
    gpu_gb: float,
    notes: list[str],
) -> tuple[MemoryPlan | None, dict[str, float]]:
    if table.engine in ("openai", "scripted"):
        return None, {}
    if card.shape is None:
        notes.append("the card gives no shape: its memory is not reckoned")
        return None, {}
    options = {name.replace("-", "_"): value for name, value in table.options.items()}
    said = Options(options, of=f"the {table.engine} engine of {card.name}")
    weight_bytes = _weight_bytes(options, notes)
    kv_bytes = 1.0 if str(options.get("kv_cache_dtype", "")).startswith(("fp8", "int8")) else 2.0
    if isinstance(length := options.get("max_model_len"), str):  # vLLM's "32k", "auto"
        notes.append(f"max_model_len {length!r} is not read here: reckoned with the card's context")
        context = card.context_tokens
    else:
        context = _whole(said, "max_model_len", card.context_tokens)
    is_cpu = isinstance(engine, VllmEngine) and engine.install.is_cpu
    if table.engine == "transformers" or is_cpu or "VLLM_CPU_KVCACHE_SPACE" in environment:
        # In the machine's own memory: of the cache so much as is set aside, or comes to be used.
        cache_gb = _cache_gb(environment, card)
        one = plan(card.shape, context, dtype_bytes=weight_bytes, kv_bytes=kv_bytes, kv_gb=cache_gb)
        if table.engine != "transformers":
            return one, {}
        notes.append(
            f"weights {one.weights_gb:.2f} GB, and {one.kv_kb_per_token:g} kB for each token of"
            " each answer under way"
        )
        return None, {}
    stages = _whole(said, "pipeline_parallel_size", 1)
    gpus = stages * _whole(said, "tensor_parallel_size", 1)
    if (copies := _whole(said, "data_parallel_size", 1)) > 1:
        notes.append(f"of each of {copies} copies (data_parallel_size)")
    utilisation = said.number("gpu_memory_utilization") or _ASSUMED_UTILISATION
    if utilisation > 1:
        raise said.wrong("gpu_memory_utilization", f"it must be at most 1, not {utilisation:g}")
    fitted = plan(
        card.shape, context, dtype_bytes=weight_bytes, kv_bytes=kv_bytes, gpus=gpus,
        stages=stages, memory_gb=gpu_gb, utilisation=utilisation,
    )  # fmt: skip
    notes.append(f"on {gpus} x {gpu_gb:g} GB, of which {utilisation:g} may be used")
    named = [gpu for gpu in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu.strip()]
    if named and len(named) < gpus:
        notes.append(f"it wants {gpus} GPUs, CUDA_VISIBLE_DEVICES names {len(named)}")
    taken = [gpu.strip() for gpu in named] or [str(number) for number in range(gpus)]
    return fitted, dict.fromkeys(taken[:gpus], utilisation)


def _whole(options: Options, name: str, usual: int) -> int:
    value = options.number(name)
    if value is not None and not value.is_integer():
        raise options.wrong(name, f"it must be a whole number, not {value:g}")
    return usual if value is None else int(value)


def _cache_gb(environment: Mapping[str, str], card: ModelCard) -> float:
    text = environment.get("VLLM_CPU_KVCACHE_SPACE", "0")
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"the engine of {card.name}: VLLM_CPU_KVCACHE_SPACE must be a number of GB,"
            f" not {text!r}"
        ) from None


def _weight_bytes(options: Mapping[str, Any], notes: list[str]) -> float:
    packed = options.get("quantization")
    if packed is not None:
        if str(packed) not in _BYTES:
            notes.append(f"quantization {packed!r} is not known here: reckoned as 2 bytes a weight")
        return _BYTES.get(str(packed), 2)
    return _BYTES.get(str(options.get("dtype", "")), 2)


def _gpu_gb() -> float | None:
    """Return the memory of the smallest GPU here; None where there is none to ask."""
    try:
        done = subprocess.run(
            _ASK_GPUS, capture_output=True, text=True, timeout=_ASK_GPUS_S, check=True
        )
        sizes = [float(line) for line in done.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return min(sizes) / 1024 if sizes else None
