"""How much memory a model takes, and how many tokens and whole contexts fit beside it.

    plan(card.shape, card.context_tokens, gpus=2).sequences_that_fit

Sums over a Llama's sizes; nothing is loaded. GB here is 2^30 bytes and kB 2^10, as `nvidia-smi`
and vLLM count. Reckoned: weights, key-value cache, and a fixed reserve of each GPU for
activations and graphs, which is our guess. Not reckoned: adapters, speculative models, other
processes on the GPU, and that vLLM hands out its cache in blocks of tokens; but for those, the
tokens are what vLLM 0.32 counted on a CPU for two models. Not tried on a GPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from serve.card import Shape

GB: Final = 1 << 30
KB: Final = 1 << 10
RESERVE_GB: Final = 2.0  # ours, of each GPU: activations of a prefill, logits, CUDA graphs


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """What fits on the GPUs of one model, all of them together.

    weights_gb, kv_gb: in all, over the GPUs. kv_kb_per_token: likewise.
    sequences_that_fit: whole contexts; more sequences run at once where they are shorter.
    """

    parameters: int
    weights_gb: float
    kv_gb: float
    kv_kb_per_token: float
    context_tokens: int
    tokens_that_fit: int
    sequences_that_fit: int
    gpus: int
    memory_gb: float

    @property
    def fits(self) -> bool:
        """Whether at least one whole context does: below that vLLM refuses to start."""
        return self.sequences_that_fit > 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {**asdict(self), "fits": self.fits}

    def lines(self) -> tuple[str, ...]:
        """Return it for a person."""
        said = (
            f"weights    {self.weights_gb:8.2f} GB  ({self.parameters / 1e9:.3f}B parameters)",
            f"kv cache   {self.kv_gb:8.2f} GB  ({self.kv_kb_per_token:g} kB a token)",
            f"fits       {self.tokens_that_fit:,} tokens;"
            f" whole contexts of {self.context_tokens:,}: {self.sequences_that_fit}",
        )
        return said if self.fits else (*said, "DOES NOT FIT: not one whole context")


def count_parameters(shape: Shape) -> int:
    """Return how many weights a Llama of these sizes has: no biases, gated feed-forward."""
    attention = shape.hidden * shape.head_dim * (2 * shape.heads + 2 * shape.kv_heads)
    layer = attention + 3 * shape.hidden * shape.ffn + 2 * shape.hidden
    embeddings = shape.vocabulary * shape.hidden * (1 if shape.is_tied else 2)
    return shape.layers * layer + embeddings + shape.hidden


def plan(
    shape: Shape,
    context_tokens: int,
    *,
    dtype_bytes: float = 2,
    kv_bytes: float = 2,
    gpus: int = 1,
    stages: int = 1,
    memory_gb: float = 80.0,
    utilisation: float = 0.9,
    reserve_gb: float = RESERVE_GB,
    kv_gb: float | None = None,
) -> MemoryPlan:
    """Return what fits on `gpus` of `memory_gb` each, of which `utilisation` may be used.

    dtype_bytes, kv_bytes: of a weight, and of a number in the cache (1 for fp8, 0.5 for 4 bits).
    gpus: in all; stages: of a pipeline, each of gpus / stages. Those of a stage share each layer:
        where they are more than its key-value heads, a head is held by several.
    kv_gb: the cache's size where it is set outright, as on a CPU.
    Raises ValueError for sizes that are none.
    """
    is_split = stages >= 1 and gpus >= 1 and gpus % stages == 0
    if context_tokens < 1 or not is_split or not 0 < utilisation <= 1 or memory_gb <= 0:
        raise ValueError(
            f"no such machine: context_tokens={context_tokens}, gpus={gpus}, stages={stages},"
            f" memory_gb={memory_gb}, utilisation={utilisation}"
        )
    parameters = count_parameters(shape)
    weights_gb = parameters * dtype_bytes / GB
    sharing = gpus // stages
    heads_held = sharing * -(-shape.kv_heads // sharing)
    token_bytes = 2 * shape.layers * heads_held * shape.head_dim * kv_bytes
    if kv_gb is None:
        kv_gb = gpus * (memory_gb * utilisation - reserve_gb) - weights_gb
    tokens = max(0, int(kv_gb * GB / token_bytes))
    return MemoryPlan(
        parameters=parameters,
        weights_gb=weights_gb,
        kv_gb=max(0.0, kv_gb),
        kv_kb_per_token=token_bytes / KB,
        context_tokens=context_tokens,
        tokens_that_fit=tokens,
        sequences_that_fit=tokens // context_tokens,
        gpus=gpus,
        memory_gb=memory_gb,
    )
