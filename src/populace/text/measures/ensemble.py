"""Ensemble: what the members of a run say together, how far they agree, and what the average gains."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.formatting import Overview
from populace.text.data.windows import cut, scored
from populace.text.generation.decoding import Ensemble
from populace.text.generation.generate import members_of, tokenizer_of
from populace.text.models.batches import HELD_OUT
from populace.text.models.evaluation import HostBatch, host_batches

_AT_A_TIME = 32


@dataclass(frozen=True, repr=False)
class Agreement(Overview):
    """What members say of a part of their text, alone and together.

    Attributes:
        part: `validation` or `test`.
        tokens: that are scored.
        alone: (M,) nats per token of each member.
        together: nats per token of the mean of their probabilities.
        agreement: (M, M) share of tokens at which two members hold the same one for the likeliest.

    """

    part: str
    tokens: int
    alone: np.ndarray
    together: float
    agreement: np.ndarray

    @property
    def gain(self) -> float:
        """Nats per token that the average is better than its members are on average; never below 0."""
        return float(self.alone.mean() - self.together)

    def _overview(self) -> tuple[str, dict[str, object]]:
        count = len(self.alone)
        apart = self.agreement[~np.eye(count, dtype=bool)]
        return f"{count} members on the {self.tokens:,} tokens of the {self.part} part", {
            "alone": f"{self.alone.mean():.4f} nats per token",
            "range": f"{self.alone.min():.4f} to {self.alone.max():.4f}",
            "together": f"{self.together:.4f}, a gain of {self.gain:.4f}",
            "agreement": f"{100 * apart.mean():.1f} % of likeliest tokens" if count > 1 else None,
        }


def agreement(who: Any, part: str = "test") -> Agreement:
    """Return what trained members say alone and together of a part of the text they were trained on.

    Args:
        who: a run, whose best setting's members are asked, or a list of trained members of one structure.
        part: `validation` or `test`; where there is no test part, `test` is the validation part.

    Raises:
        UsageError: members that are no language models, or differ in structure or tokenizer.

    """
    members = members_of(who)
    tokenizer_of(members)
    learner = members[0].learner
    windows, data = learner.batches.scored[HELD_OUT.index(part)], learner.data
    ensemble = Ensemble.of([member.model for member in members])
    sums = None
    for batch in host_batches(data, windows, learner.block, _AT_A_TIME):
        found = _sums(ensemble, batch)
        sums = found if sums is None else jax.tree.map(np.add, sums, found)
    assert sums is not None
    total, alone, together, same = (np.asarray(x, float) for x in sums)
    return Agreement(data.called(part), int(total), alone / total, float(together / total), same / total)


@eqx.filter_jit
def _sums(ensemble: Ensemble, batch: HostBatch) -> Any:
    rows, lengths, context, real = batch
    inputs, targets, weight = cut(jnp.asarray(rows), jnp.asarray(lengths))
    weight = scored(weight, context, real)

    def one(arrays: Any) -> jax.Array:
        logits = jax.vmap(eqx.combine(arrays, ensemble.rest))(inputs)
        return jax.nn.log_softmax(logits.astype(jnp.float32))

    log_p = jax.vmap(one)(ensemble.arrays)
    mean = jax.nn.logsumexp(log_p, 0) - np.log(ensemble.count)
    at = lambda x: jnp.take_along_axis(x, targets[..., None], -1)[..., 0]  # noqa: E731
    likeliest = log_p.argmax(-1)
    same = (likeliest[:, None] == likeliest) * weight
    alone = jnp.sum(-jax.vmap(at)(log_p) * weight, (1, 2))
    return jnp.sum(weight), alone, jnp.sum(-at(mean) * weight), jnp.sum(same, (2, 3))
