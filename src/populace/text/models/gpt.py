"""GPT: a decoder of transformer blocks, trained to predict the next token."""

import jax

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.text.models.language_model import LanguageModel
from populace.text.models.transformer import ATTENTIONS, POSITIONS, Transformer


class GPT(LanguageModel):
    """Transformer language model: pre-norm blocks with softmax or linear attention; see `LanguageModel`.

    With `optimizer = "adam"`, `weight_decay`, which acts on matrices alone, `schedule = "cosine"` with
    `warmup` and `max_gradient_norm`, a step is that of nanoGPT. A network of L layers of width C has
    `12 L C^2 + V C` weights and a little more: 0.8 million with 4 layers of 128, 85 million with 12 of 768.
    """

    layers: int = setting(4, low=1, help="transformer blocks")
    heads: int = setting(4, low=1, help="heads of attention in a block")
    width: int = setting(128, low=1, help="width of embeddings and blocks")
    attention: str = setting("softmax", choices=ATTENTIONS, help="softmax, or linear in the length")
    positions: str = setting("learned", choices=POSITIONS, help="how places are told apart")
    dropout: float = setting(0.0, low=0, high=0.95, help="rate of dropout in training")
    tied: bool = setting(True, help="output weights are those of the embedding")
    bias: bool = setting(True, help="biases in linear layers and normalizations")

    def build(self, vocabulary: int, key: jax.Array) -> Transformer:
        """Return a fresh transformer."""
        return Transformer(
            vocabulary, block=self.block, layers=self.layers, heads=self.heads, width=self.width,
            attention=self.attention, positions=self.positions, dropout=self.dropout, tied=self.tied,
            bias=self.bias, key=key,
        )  # fmt: skip

    def check(self) -> None:
        """Raise a `UsageError` for heads that do not divide the width, or settings that need another."""
        super().check()
        if self.width % self.heads:
            raise UsageError(
                f"width {self.width} does not divide into {self.heads} heads; change one of them"
            )
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UsageError(
                f'positions = "rotary" turns pairs; width {self.width} over {self.heads} heads is odd, '
                f"{self.width // self.heads}"
            )
        if self.sampling == "consecutive":
            raise UsageError('a GPT carries no state from window to window; take sampling = "shuffled"')
