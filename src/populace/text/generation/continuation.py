"""Continuation: what was written after a prompt, and the probabilities that it was chosen from."""

from dataclasses import dataclass

import numpy as np

from populace.core.formatting import Overview


@dataclass(frozen=True, repr=False)
class Continuation(Overview):
    """What follows a prompt.

    Attributes:
        prompt: as it was given.
        text: what was written after it.
        tokens: each token that was written, as text; `[END]` last, where the text ended by itself.
        likeliest: at each token, the likeliest ones and their probabilities, of the distribution that was
            drawn from, the likeliest first.
        log_probabilities: what the model itself says of each token, logarithm.
        unknown: words of the prompt that the model does not know, and read as `[UNK]`.

    """

    prompt: str
    text: str
    tokens: tuple[str, ...]
    likeliest: tuple[tuple[tuple[str, float], ...], ...]
    log_probabilities: np.ndarray
    unknown: tuple[str, ...] = ()

    @property
    def nats(self) -> float:
        """Mean of -log p over what was written, by the model itself."""
        return float(-self.log_probabilities.mean()) if len(self.tokens) else float("nan")

    def _overview(self) -> tuple[str, dict[str, object]]:
        return f"Continuation of {len(self.tokens):,} tokens", {
            "prompt": repr(self.prompt),
            "text": repr(self.text),
            "nats": f"{self.nats:.3f} per token",
        }
