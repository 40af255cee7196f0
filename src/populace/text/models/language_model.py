"""LanguageModel: what all learners of the next token share: text, windows, the loss, and what is measured."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.text.data.datasets import DATASETS
from populace.text.data.load import load_text
from populace.text.data.read import DIVISIONS
from populace.text.data.split import SPLITS
from populace.text.data.text_data import TextData
from populace.text.models.batches import SAMPLINGS, Batches
from populace.text.models.evaluation import evaluated
from populace.text.models.fed import FedText
from populace.text.models.micro_batches import summed_loss
from populace.text.models.network import LanguageNetwork
from populace.text.models.next_token import next_probabilities
from populace.text.tokenizers import kept as keeping
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.tokenizer import Tokenizer, TokenizerConfig

TOKENIZER = "tokenizer.json"


class State(eqx.Module):
    """A network while it trains.

    Attributes:
        network: weights.
        opt_state: what the optimizer remembers.
        order: the windows in this epoch's order; None where they are not shuffled.
        count: steps taken.
        memory: recurrent state of every lane; None where no state is carried.

    """

    network: Any
    opt_state: Any
    order: jax.Array | None
    count: jax.Array
    memory: Any


class LanguageModel(FedText):
    """Learns to predict the next token of text, by the mean of `-log p(token | tokens before)` per token.

    Documents are split before windows are cut, no window crosses two documents, and what is beyond the end of
    a document weighs nothing. Score: nats per token on the whole validation part; the final evaluation is on
    the test part, or where there is none on the validation part again.

    `sampling`: `shuffled` reads each window once an epoch in a random order; `random` draws windows that
    begin at any token, with replacement; `consecutive` has each row of the batch read on where it stopped,
    and carries the recurrent state (truncated backpropagation through time): documents then follow one
    another in a row, divided by `[END]` alone.
    """

    unit: ClassVar[str] = "windows"
    score: ClassVar[str] = "nats"
    mode: ClassVar[Any] = "min"

    dataset: str = setting("names", choices=tuple(DATASETS), help="text by name, unless there is a path")
    path: str = setting("", help="text of your own: a file, a folder, a .jsonl or a .csv")
    column: str = setting("text", help="column of a .jsonl or .csv")
    documents: str = setting("file", choices=DIVISIONS, help="what of a text file is a document")
    tokenizer: TokenizerConfig = setting(Characters(), help="how text becomes tokens")
    ends: bool = setting(True, help="begin and end each document with the token [END]")
    split: str = setting(
        "documents", choices=SPLITS, help="draw documents at random, or cut text in its order"
    )
    validation: float = setting(0.1, low=0, high=0.9, static=True, help="share of the validation part")
    test: float = setting(0.1, low=0, high=0.9, static=True, help="share of the test part")
    split_seed: int = setting(0, low=0, help="seed of the split")
    memory: int = setting(0, low=0, help="bytes of windows held at once, the text in a file; 0: all of it")
    block: int = setting(64, low=1, help="tokens predicted in a window")
    sampling: str = setting("shuffled", choices=SAMPLINGS, help="which windows a step reads")
    batch_size: int = setting(32, low=1, help="windows per step")
    micro_batches: int = setting(1, low=1, help="parts of a batch that gradients are accumulated over")
    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    evaluation_batch_size: int = setting(64, low=1, help="windows evaluated at a time")
    evaluation_stride: int = setting(
        0, low=0, help="tokens from a scored window to the next, which sees the ones before; 0: the block"
    )
    baseline_order: int = setting(4, low=2, help="n of the count model that the report compares with")

    @abstractmethod
    def build(self, vocabulary: int, key: jax.Array) -> LanguageNetwork:
        """Return a fresh network."""

    # -- data --------------------------------------------------------------------------------------

    @property
    def task_name(self) -> str:
        """The text and its tokens; empty where the data were given in Python."""
        if self.data is not None:
            return ""
        return f"{self.path or self.dataset}, {self.tokenizer.kind}"

    def load_data(self) -> Self:
        """Return the learner with its text, split, encoded and cut into windows once for all members."""
        if self.batches is not None:
            return self
        data = self.data
        if data is None:
            data = load_text(
                self.path, self.dataset, self.column, self.documents, self.tokenizer, self.ends, self.split,
                self.validation, self.test, self.split_seed, self.memory,
            )  # fmt: skip
        batches = Batches.of(data, self.sampling, self.block, self.batch_size, self.evaluation_stride)
        return dataclasses.replace(self, data=data, batches=batches)

    def run_files(self) -> Mapping[str, str]:
        """Return the tokenizer, which a run folder keeps."""
        return {} if self.data is None else {TOKENIZER: keeping.dump(self.data.tokenizer)}

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit together."""
        if self.batch_size % self.micro_batches:
            raise UsageError(
                f"batch_size {self.batch_size} does not divide into {self.micro_batches} micro_batches"
            )
        if self.evaluation_stride > self.block:
            raise UsageError(
                f"evaluation_stride {self.evaluation_stride} is above block, {self.block}; tokens would "
                "be left out"
            )
        if self.memory and self.sampling != "shuffled":
            raise UsageError(
                f"memory needs sampling shuffled, whose windows are known an epoch ahead, got {self.sampling}"
            )
        if self.memory and not self.path and self.data is None:
            raise UsageError("memory is for text of your own: give its path, or leave memory at 0")
        if self.validation <= 0 and self.data is None:
            raise UsageError(
                "validation is 0; a language model is chosen on a validation part: hold some out"
            )

    @property
    def trained_tokenizer(self) -> Tokenizer:
        """The tokenizer of the text."""
        return self._data.tokenizer

    @property
    def vocabulary(self) -> int:
        """Number of tokens, V."""
        return len(self.trained_tokenizer)

    # -- the learner -------------------------------------------------------------------------------

    @property
    def units_per_step(self) -> int:
        """Windows per step."""
        return self.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch; 0 where windows are drawn at random."""
        return self._batches.epoch_steps(self.batch_size)

    def init(self, key: jax.Array) -> State:
        """Return fresh weights; the first order of windows comes with the first `on_epoch_start`."""
        network = self.build(self.vocabulary, key)
        shuffled = self.sampling == "shuffled"
        order = jnp.zeros(self.epoch_steps * self.batch_size, jnp.int32) if shuffled else None
        return State(
            network, descent.initial_opt_state(self, network), order, jnp.int32(0), self._memory(network)
        )

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Shuffle the windows, or begin again at the begin of every lane, with an empty memory."""
        if self.sampling == "shuffled":
            return eqx.tree_at(lambda s: s.order, state, self._batches.order(key, self.batch_size))
        return dataclasses.replace(state, memory=self._memory(state.network))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on the next batch of windows."""
        window_key, network_key = jax.random.split(key)
        batch = self._batch(window_key, state.order, state.count)
        keys = jax.random.split(network_key, self.batch_size)
        count = jnp.sum(batch[2])

        def loss(network: Any) -> tuple[jax.Array, Any]:
            total, memory = summed_loss(network, batch, keys, state.memory, self.micro_batches)
            return total / count, memory

        network, opt_state, mean, memory = descent.gradient_step(
            self, loss, state.network, state.opt_state, state.count
        )
        changed = State(network, opt_state, state.order, state.count + 1, memory)
        return changed, {"loss": Mean(mean * count, count)}

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return nats, perplexity, bits, accuracy and calibration on the whole part that is judged by."""
        del key
        part, size = self.evaluation_split, self.evaluation_batch_size
        return evaluated(state, self._data, self._scored, part, self.block, size)

    def for_test(self, size: int) -> Self:
        """Return the learner that judges by the test part, whole; `size` does not matter."""
        del size
        return dataclasses.replace(self, evaluation_split="test")

    def test_description(self, size: int) -> str:
        """Return in words what the final evaluation looks at."""
        del size
        part = self._data.called("test")
        again = "" if self.independent_test else " again, since there is no test part"
        return f"all {self._data.predicted('test'):,} tokens of the {part} part{again}"

    independent_test: ClassVar[Any] = property(lambda self: self._data.called("test") == "test")

    def floors(self) -> Mapping[str, float]:
        """Return the nats of guessing, the logarithm of the number of tokens."""
        return {} if self.data is None else {"nats": float(np.log(self.vocabulary))}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "guessing all tokens alike"

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return a comparison with counting, the surprise at a text, likeliest tokens, and calibration."""
        del key
        from populace.text.measures import plots

        return plots.exhibits(self, state)

    # -- what is kept to write without the text ----------------------------------------------------

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return the tokenizer."""
        del model
        return {"tokenizer": keeping.dump(self.trained_tokenizer)}

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner with the tokenizer, and data of no documents."""
        none = np.zeros(1, np.int64)
        counts = np.zeros((3, 3), np.float32)
        tokens = np.zeros(1, np.uint8)
        data = TextData(tokens, (none, none, none), counts, keeping.load(kept["tokenizer"]), (0, 0))
        batches = Batches.of(data, self.sampling, self.block, self.batch_size, self.evaluation_stride)
        return dataclasses.replace(self, data=data, batches=batches)

    def predict(self, model: Any, x: Any = None) -> np.ndarray:
        """Return the likeliest next token after each prompt, as text; `x` is a list of texts."""
        return np.array(self.trained_tokenizer.tokens)[self.predict_proba(model, x).argmax(1)]

    def predict_proba(self, model: Any, x: Any = None) -> np.ndarray:
        """Return the probability of every token after each prompt, (N, V); `x` is a list of texts.

        Of a long prompt the last `block` tokens count, where the network takes no more.
        """
        prompts = [x or ""] if x is None or isinstance(x, str) else x
        return next_probabilities(model, self.trained_tokenizer, prompts)

    # -- pieces ------------------------------------------------------------------------------------

    def _memory(self, network: Any) -> Any:
        if self.sampling != "consecutive":
            return None
        many = lambda x: jnp.broadcast_to(x, (self.batch_size, *x.shape))  # noqa: E731
        return jax.tree.map(many, network.init_state())
