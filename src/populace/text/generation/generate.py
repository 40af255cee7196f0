"""Generate: text after a prompt, by a trained member, by several, or by all members of a run."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.text.generation.continuation import Continuation
from populace.text.generation.decoding import CHUNK, Decoding, Ensemble, advanced, begun, grown
from populace.text.generation.sampling import Sampling
from populace.text.tokenizers.prompts import encoded, unknown_words
from populace.text.tokenizers.tokenizer import Tokenizer

_READ = ("tokens", "best", "best_p", "log_p", "place")


class Writer:
    """Texts that are being written; [`generate`][populace.text.generate] makes one and asks it once.

    Asked for more, a writer goes on where it stopped, and comes to the text that one request would give.

    Args:
        members: trained members whose networks have one structure; their probabilities are averaged.
        prompts: texts to continue.
        temperature: divides the logarithms of probabilities; 0 takes the likeliest token.
        top_k: likeliest tokens that are kept; 0 for all.
        top_p: share of probability that is kept; 1 for all.
        seed: of the draws.
        samples: texts per prompt.

    Raises:
        UsageError: members that write no text, of different structures or tokenizers; a prompt with unknown
            characters, or none where the model has no `[END]` to begin from; a value outside its range.

    """

    def __init__(
        self, members: Sequence[Any], prompts: Sequence[str], *, temperature: float = 1.0, top_k: int = 0,
        top_p: float = 1.0, seed: int = 0, samples: int = 1,
    ) -> None:  # fmt: skip
        if not isinstance(samples, int) or samples < 1:
            raise UsageError(f"samples must be a whole number of at least 1, got {samples!r:.50}")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise UsageError(f"seed must be a whole number from 0 to 2147483647, got {seed!r:.50}")
        self.tokenizer = tokenizer_of(members)
        self.ensemble = Ensemble.of([member.model for member in members])
        self.prompts = [prompt for prompt in prompts for _ in range(samples)]
        self._encoded = [encoded(self.tokenizer, prompt) for prompt in self.prompts]
        self._sampling = Sampling(temperature, top_k, top_p).arrays()
        # By the number of the sample alone: a prompt is continued alike whatever is beside it.
        self._keys = _keys(jax.random.key(seed), np.tile(np.arange(samples), len(prompts)))
        self._lengths = np.array([len(prompt) for prompt in self._encoded], np.int32)
        self._wanted = 0
        self._decoding: Decoding | None = None

    def more(self, length: int, stop: Callable[[], bool] = lambda: False) -> list[Continuation]:
        """Write so many tokens more of every text that has not ended, and return all that was written.

        Args:
            length: tokens, at least 1.
            stop: asked every 64 tokens; yes ends the writing there, and `more` goes on from it.

        """
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise UsageError(f"length must be a whole number of at least 1, got {length!r:.50}")
        self._wanted += length
        places = int(self._lengths.max()) + self._wanted
        room = -(-places // CHUNK) * CHUNK  # one program for texts of about one length
        if self._decoding is None:
            self._decoding = begun(self.ensemble, self._encoded, room)
        else:
            self._decoding = grown(self._decoding, room)
        while (place := int(self._decoding.place)) < places - 1 and not np.all(self._decoding.ended):
            self._decoding = advanced(
                self.ensemble, self._decoding, self._lengths, self._keys, self._sampling,
                min(place + CHUNK, places - 1), self.tokenizer.unwritten, self.tokenizer.end,
            )  # fmt: skip
            if stop():
                break
        return self._continuations()

    def _continuations(self) -> list[Continuation]:
        assert self._decoding is not None
        d = {name: np.asarray(getattr(self._decoding, name)) for name in _READ}
        end, names, found = self.tokenizer.end, self.tokenizer.tokens, []
        for row, prompt in enumerate(self.prompts):
            first = int(self._lengths[row])
            last = min(int(d["place"]) + 1, first + self._wanted)
            tokens = d["tokens"][row, first:last]
            ends = np.flatnonzero(tokens == end) if end is not None else []
            tokens = tokens[: ends[0] + 1] if len(ends) else tokens
            places = range(first, first + len(tokens))
            likeliest = tuple(
                tuple((names[t], float(p)) for t, p in zip(d["best"][row, i], d["best_p"][row, i]) if p > 0)
                for i in places
            )
            text = self.tokenizer.decode(tokens)
            log_p = d["log_p"][row, first : first + len(tokens)]
            written = tuple(names[t] for t in tokens)
            unknown = unknown_words(self.tokenizer, prompt)
            found.append(Continuation(prompt, text, written, likeliest, log_p, unknown))
        return found


def generate(
    who: Any, prompt: str | Sequence[str] = "", *, length: int = 200, temperature: float = 1.0,
    top_k: int = 0, top_p: float = 1.0, seed: int = 0, samples: int = 1,
) -> Continuation | list[Continuation]:  # fmt: skip
    """Continue a prompt, or several, token by token.

    Where several members write, they write one text: at every token their probabilities are averaged.
    Prompts of unequal length are continued in one program, each as it would be alone. What is remembered of
    the text is a cache of keys and values (softmax attention), or of constant size (linear attention, LSTM).
    Beyond the block of a network with learned positions or softmax attention, the next token follows from
    the last `block` tokens.

    Args:
        who: a trained member (`run.best()`, `load_trained(path)`), a list of them, or a run, whose best
            setting's members write together.
        prompt: text to continue, or a list of texts; empty for the begin of a document.
        length: tokens to write at most; a text may end before by itself.
        temperature: divides the logarithms of probabilities; 0 takes the likeliest token.
        top_k: how many of the likeliest tokens are kept, ties going to the lower number; 0 for all.
        top_p: share of probability that is kept: the fewest tokens that reach it; 1 for all.
        seed: of the draws.
        samples: texts per prompt, each with draws of its own.

    Returns:
        A `Continuation`; of a list of prompts, or several samples, a list, prompt by prompt.

    Raises:
        UsageError: who writes no text, a prompt with unknown characters, or a value outside its range.

    """
    single = isinstance(prompt, str)
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not prompts:
        raise UsageError("there is no prompt; give at least one, which may be empty")
    writer = Writer(
        members_of(who),
        prompts,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        samples=samples,
    )
    found = writer.more(length)
    return found[0] if single and samples == 1 else found


def members_of(who: Any) -> list[Any]:
    """Return the members that write: the one, those listed, or of a run those of its best setting."""
    if isinstance(who, Sequence):
        return list(who)
    if hasattr(who, "model"):
        return [who]
    if not hasattr(who, "results"):
        raise UsageError(f"a trained member, a list of them, or a run writes text, not {type(who).__name__}")
    best = who.results()["best"]
    if best is None:
        return [who.best()]  # which says that all diverged
    entries, asked = who.results()["members"], who.population.members_of(best["setting"])
    return [who.member(index) for index in asked if entries[index]["diverged_at"] is None]


def tokenizer_of(members: Sequence[Any]) -> Tokenizer:
    """Return the tokenizer of members; raise a `UsageError` unless they are language models that share it."""
    if not members:
        raise UsageError("there is no member to write; give at least one")
    found = [getattr(member.learner, "trained_tokenizer", None) for member in members]
    for member, tokenizer in zip(members, found):
        if tokenizer is None:
            raise UsageError(f"{type(member.learner).__name__} writes no text; give a trained language model")
    if len(set(found)) > 1:
        raise UsageError("the members have different tokenizers, so their probabilities have no average")
    if len({jax.tree.structure(member.model) for member in members}) > 1 or len(
        {tuple(x.shape for x in jax.tree.leaves(member.model)) for member in members}
    ) > 1:  # fmt: skip
        raise UsageError("the members' networks have different structures; let those of one setting write")
    return found[0]  # pyright: ignore[reportReturnType]


@jax.jit
def _keys(key: jax.Array, numbers: jax.Array) -> jax.Array:
    return jax.vmap(lambda n: jax.random.fold_in(key, n))(numbers)
