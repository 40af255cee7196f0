"""LSTMLanguageModel: embedding, LSTM, softmax over the next token."""

import jax

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.text.models.language_model import LanguageModel
from populace.text.models.recurrent import RecurrentNetwork


class LSTMLanguageModel(LanguageModel):
    """LSTM language model: embedded tokens through stacked LSTMs to a softmax; see `LanguageModel`.

    With `sampling = "consecutive"` the state is carried from window to window, and gradients stop at their
    edges (truncated backpropagation through time, Williams and Peng 1990).
    """

    width: int = setting(100, low=1, help="width of the embedding")
    hidden: int = setting(128, low=1, help="units of each LSTM")
    layers: int = setting(1, low=1, help="stacked LSTMs")
    dropout: float = setting(0.0, low=0, high=0.95, help="rate of dropout before each layer")
    tied: bool = setting(False, help="output weights are those of the embedding; width must equal hidden")

    def build(self, vocabulary: int, key: jax.Array) -> RecurrentNetwork:
        """Return a fresh network."""
        return RecurrentNetwork(
            vocabulary, width=self.width, hidden=self.hidden, layers=self.layers, dropout=self.dropout,
            tied=self.tied, key=key,
        )  # fmt: skip

    def check(self) -> None:
        """Raise a `UsageError` for tied weights of different sizes."""
        super().check()
        if self.tied and self.width != self.hidden:
            raise UsageError(f"tied needs width = hidden, got {self.width} and {self.hidden}")
