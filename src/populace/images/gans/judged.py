"""JudgedGenerator: its images are judged inside the evaluation program, against ones it never trained on."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.images.gans.latents import LatentGenerator
from populace.images.gans.standard import prepared
from populace.images.judge import collapse
from populace.images.judge.comparison import Comparison
from populace.images.judge.judge import Judge


class JudgedGenerator(LatentGenerator):
    """Makes images that a judge compares with real ones.

    Score: the Frechet distance of made images to the real ones of the validation part, in the features of a
    judge (`populace.images.judge`), with everything else that it measures. The final evaluation compares with
    the test part, and says the floor of each number: that of as many real training images.
    """

    score: ClassVar[str] = "frechet_distance"

    judge: Judge | None = None
    """Who judges the images; by default one is trained on the real ones, once, and kept in the cache."""
    against: Comparison | None = None
    """What evaluations compare with; `load_data` puts it here."""
    tested_against: Comparison | None = None
    """What the final evaluation compares with."""

    evaluation_samples: int = setting(
        1_000, low=collapse.FEWEST, help="images made for an evaluation during training"
    )
    test_samples: int = setting(10_000, low=collapse.FEWEST, help="images made for the final evaluation")

    def load_data(self) -> Self:
        """Return the learner with its images, the judge, and what it compares with."""
        loaded = super().load_data()
        if loaded.against is not None:
            return loaded
        sizes = (self.evaluation_samples, self.test_samples)
        judge, against, tested = prepared(loaded._data, self.judge, sizes)
        return dataclasses.replace(loaded, judge=judge, against=against, tested_against=tested)

    def check(self) -> None:
        """Raise a `UsageError` for data that the judge was not trained for."""
        super().check()
        if self.data is not None and self.judge is not None:
            self.judge.check(self.data)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return what the judge says of fresh images of a generator."""
        against, judge = self.against, self.judge
        if against is None or judge is None:
            raise UsageError(f"{type(self).__name__} has no judge yet; load_data() brings it")
        size = min(self.evaluation_batch_size, against.samples)
        count = -(-against.samples // size)
        labels = (jnp.arange(count * size) % max(self.classes, 1)).reshape(count, size)

        def look(given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            labels, key = given
            z = jax.random.normal(key, (size, self.latents))
            features, logits = judge(self.images(state, z, self.conditions(labels)))
            return features, jnp.argmax(logits, -1)

        features, read = jax.lax.map(look, (labels, jax.random.split(key, count)))
        features = features.reshape(-1, features.shape[-1])[: against.samples]
        read, asked = read.reshape(-1)[: against.samples], labels.reshape(-1)[: against.samples]
        found = against.measures(features, read)
        floors = against.floors() if self.evaluation_split == "test" else {}
        if self.conditional:
            found["label_accuracy"] = jnp.mean((read == asked).astype(jnp.float32))
        return {name: Mean(value) for name, value in (found | floors).items()}

    def for_test(self, size: int) -> Self:
        """Return the learner that compares with the test part; `size` does not matter."""
        del size
        return dataclasses.replace(self, evaluation_split="test", against=self.tested_against)

    def test_description(self, size: int) -> str:
        """Return in words what the final evaluation compares."""
        del size
        made = "" if self.tested_against is None else f"{self.tested_against.samples:,} "
        real, name = len(self._data.part("test")[2]), self._data.called("test")
        return f"{made}made images against the {real:,} {name} images"

    independent_test: ClassVar[Any] = property(lambda self: self._data.called("test") == "test")

    def caveats(self, metrics: Mapping[str, np.ndarray]) -> list[str]:
        """Return in how many members the judge found mode collapse."""
        fallen = np.flatnonzero(np.nan_to_num(metrics["collapsed"]) > 0)
        if not len(fallen):
            return []
        worst = fallen[np.argmin(metrics["class_coverage"][fallen])]
        why = self.reasons({name: float(column[worst]) for name, column in metrics.items()})
        return [f"Mode collapse in {len(fallen)} of {len(metrics['collapsed'])} members: {why}."]

    def reasons(self, found: Mapping[str, float]) -> str:
        """Return in words what measures of a collapsed generator say."""
        names = ("class_coverage", "class_entropy", "diversity")
        return collapse.reasons(*[found[name] for name in names], classes=self._data.outputs)

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return samples, a walk through the latent, and the judge's measures; warns of mode collapse."""
        from populace.images.gans import pictures

        shown = {**super().visualize(state, key), "interpolation": pictures.walks(self, state)}
        if self.against is not None:
            shown["judged"] = pictures.judged(self, state, key)
        return shown

    def run_files(self) -> Mapping[str, str]:
        """Return who judges, by hash: distances of another judge are not comparable."""
        if self.judge is None:
            return {}
        return {"judge.json": json.dumps({"sha256": self.judge.sha256, "accuracy": self.judge.accuracy})}
