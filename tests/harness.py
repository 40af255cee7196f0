"""What every learner must keep, whoever wrote it: one call per learner."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.learner import Learner
from populace.core.population import Population, sweep
from populace.engine.training_loop import Engine, Evaluation, Window
from populace.runs.checkpoints import Checkpoints
from populace.runs.recipe import Options, of_population
from populace.runs.run import Run, run_recipe
from populace.runs.training import Stopped, engine_of
from tests.conftest import arrays

WINDOWS = (1, 7, 1000)


def trained(population: Population, steps: int, strategy: str = "vmap", **options: Any) -> Engine:
    """Train in memory and return the engine."""
    engine = Engine(population, strategy, options.pop("devices", 0))
    train(engine, steps, **options)
    return engine


def train(engine: Engine, steps: int, **options: Any) -> None:
    """Train an engine to its end in one window, or as the options say."""
    engine.train(
        steps,
        window=options.pop("window", steps),
        evaluate_every=options.pop("evaluate_every", steps),
        **options,
    )


def states(engine: Engine) -> dict[int, list[np.ndarray]]:
    """Return the state and best model of every member, by index."""
    found = {}
    for group_state in engine.group_states:
        tree = (group_state.state(), group_state.best, group_state.carry.diverged_at)
        leaves = [np.array(_plain(x)) for x in jax.tree.leaves(tree)]
        for slot, member in enumerate(group_state.group.members):
            found[member.index] = [leaf[slot] for leaf in leaves]
    return found


def assert_identical(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    """Assert that two members are the same bit for bit."""
    assert len(one) == len(other)
    for a, b in zip(one, other):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def check_watching_changes_nothing(population: Population, steps: int) -> dict[int, list[np.ndarray]]:
    """However often somebody looks, no state changes; return the states that all of them came to."""
    engine = Engine(population, "vmap")
    start = [
        jax.tree.map(jnp.copy, (group_state.carry, group_state.best)) for group_state in engine.group_states
    ]
    train(engine, steps)
    reference = states(engine)
    for window in WINDOWS:
        # The same programs from the same start: only what the host does between windows differs.
        engine.step = 0
        for group_state, begun in zip(engine.group_states, start):
            group_state.carry, group_state.best = jax.tree.map(jnp.copy, begun)
            group_state.frozen.clear()
        train(engine, steps, window=window)
        other = states(engine)
        for member in reference:
            assert_identical(reference[member], other[member])
    return reference


def check_same_seed_same_result(
    population: Population, steps: int, reference: dict[int, list[np.ndarray]]
) -> None:
    """Another engine comes to the same states; another root seed to others."""
    again = states(trained(population, steps))
    for member in reference:
        assert_identical(reference[member], again[member])
    moved = Population(population.learner, population.settings, population.seeds, 1)
    changed = states(trained(moved, steps))
    assert any(a.tobytes() != b.tobytes() for a, b in zip(reference[0], changed[0]))


def check_members_are_alone(
    population: Population,
    steps: int,
    batched: dict[int, list[np.ndarray]],
    devices: int = 0,
    tolerance: float = 1e-3,
) -> None:
    """Under map a member is bit-identical to itself alone; under vmap equal up to rounding."""
    mapped = states(trained(population, steps, "map", devices=devices))
    for member in (population.members[0], population.members[-1]):
        alone = states(trained(population.only(member), steps, "map", devices=devices))[0]
        assert_identical(mapped[member.index], alone)
    for index, leaves in mapped.items():
        for a, b in zip(leaves, batched[index]):
            if a.dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


class Cuts:
    """Asks a run to stop after its 2nd window, after its 5th, and so on; counts on when it is resumed."""

    def __init__(self, after: list[int]) -> None:
        self.after, self.windows = after, 0

    def on_start(self, population: Population, step: int) -> None: ...

    def on_window(self, window: Window) -> None:
        self.windows += 1

    def on_evaluation(self, evaluation: Evaluation) -> None: ...

    def asked(self) -> bool:
        return bool(self.after) and self.windows >= self.after[0]


def check_resume_is_exact(population: Population, steps: int, folder: Path) -> None:
    """Stop between windows again and again: the end is that of the undisturbed run."""
    options = Options(
        steps=steps, strategy="vmap", seeds=list(population.seeds), seed=population.seed,
        log_every=max(1, steps // 10), evaluate_every=max(1, steps // 2), final_evaluation_size=2,
    )  # fmt: skip
    recipe = of_population("harness", population, options)
    run_recipe(recipe, folder / "whole")
    cuts = Cuts(after=[2, 5])
    with pytest.raises(Stopped):
        run_recipe(recipe, folder / "cut", callbacks=[cuts], stop=cuts.asked)
    cuts.after.pop(0)
    run = Run.load(folder / "cut", population.learner)
    while not run.finished:
        try:
            run.resume(callbacks=[cuts], stop=cuts.asked)
        except Stopped:
            cuts.after.pop(0)
    assert not cuts.after
    assert arrays(folder / "cut") == arrays(folder / "whole")
    whole = Run.load(folder / "whole", population.learner)
    for kind in ("train", "evaluation"):
        left, right = whole.metrics(kind), run.metrics(kind)
        assert left.num_rows
        assert left.equals(right)


def restored(folder: Path, population: Population) -> dict[int, list[np.ndarray]]:
    """Return the states in the newest checkpoint of a run folder."""
    run = Run.load(folder, population.learner)
    engine = engine_of(run.recipe, population, lambda line: None)
    store = Checkpoints(folder / "checkpoints")
    assert store.restore(engine, print) is not None
    store.close()
    return states(engine)


def check_learner(learner: Learner, axes: dict[str, Any], steps: int, folder: Path) -> None:
    """Check every invariant that a learner gets from the engine."""
    population = sweep(learner, axes, seeds=[0, 3])
    reference = check_watching_changes_nothing(population, steps)
    check_same_seed_same_result(population, steps, reference)
    check_members_are_alone(population, steps, reference)
    check_resume_is_exact(population, steps, folder)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
