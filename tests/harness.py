"""What every learner must keep, whoever wrote it: one call per learner."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.learner import Learner
from populace.core.population import Population, sweep
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.engine.training_loop import Engine
from populace.runs.checkpoints import Checkpoints
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from populace.runs.training.session import Stopped, engine_of
from tests import quick
from tests.conftest import arrays

WINDOWS = (1, 7, 1000)


def trained(population: Population, steps: int, strategy: str = "vmap", **options: Any) -> Engine:
    """Train in memory and return the engine."""
    engine = Engine(population, strategy, options.pop("devices", 0))
    train(engine, steps, **options)
    return engine


def only_trained(population: Population, steps: int, strategy: str = "vmap", **options: Any) -> Engine:
    """Train in memory without an evaluation, which is a program more, and return the engine."""
    return trained(population, steps, strategy, evaluate_every=0, evaluate_last=False, **options)


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
    tolerance: float = 1e-4,
) -> None:
    """Under map a member is bit-identical to itself alone; under vmap equal up to rounding.

    How far rounding may take a leaf depends on the learner and the processor. Where the true gradient of a
    weight is zero, the computed one is rounding with a random sign, and Adam makes a full step of it. So the
    mapped program also runs from starts that differ in their last bits: vmap may differ by the tolerance, and
    where those runs differ by more than that, by a few times as much as they do.
    """
    engine = Engine(population, "map", devices)
    start = [
        jax.tree.map(_host, (group_state.carry, group_state.best)) for group_state in engine.group_states
    ]
    train(engine, steps)
    mapped = states(engine)
    for member in (population.members[0], population.members[-1]):
        alone = states(trained(population.only(member), steps, "map", devices=devices))[0]
        assert_identical(mapped[member.index], alone)
    shaken = [_again(engine, start, steps, np.random.default_rng(seed)) for seed in range(4)]
    allowed = [tolerance + 4 * largest for largest in _differences(mapped, shaken)]
    found = _differences(mapped, [batched])
    for leaf, (difference, most) in enumerate(zip(found, allowed)):
        assert difference <= most, f"leaf {leaf}: vmap and map differ by {difference:.3g} of {most:.3g}"
    # Were most of a learner at the mercy of rounding, nothing could be said of its vmap.
    assert np.median(allowed) <= 5 * tolerance, f"rounding decides: {allowed}"


def _again(
    engine: Engine, start: list[Any], steps: int, rng: np.random.Generator
) -> dict[int, list[np.ndarray]]:
    """Train an engine from its start once more, every number of its states moved in its last bits."""

    def moved(leaf: np.ndarray) -> np.ndarray:
        if leaf.dtype.kind != "f":
            return leaf
        # Four units in the last place: about what the order of a sum of some dozen numbers is worth.
        return leaf * (1 + rng.choice([-5e-7, 5e-7], leaf.shape)).astype(leaf.dtype)

    engine.step = 0
    for group_state, (carry, best) in zip(engine.group_states, start):
        carry = carry._replace(state=jax.tree.map(moved, carry.state))
        group_state.carry = jax.tree.map(_like, group_state.carry, carry)
        group_state.best = jax.tree.map(_like, group_state.best, best)
        group_state.frozen.clear()
    train(engine, steps)
    return states(engine)


def _differences(one: dict[int, list[np.ndarray]], others: list[dict[int, list[np.ndarray]]]) -> list[float]:
    """Return how far each leaf of numbers differs at most, relative where it is large."""
    largest = []
    for leaf, first in enumerate(one[0]):
        if first.dtype.kind != "f":
            continue
        at = [0.0]
        for a, b in ((one[member][leaf], other[member][leaf]) for other in others for member in one):
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            with np.errstate(invalid="ignore"):
                ratio = np.abs(a - b) / (1 + np.abs(a))
            at.append(np.max(np.where(same, 0.0, np.nan_to_num(ratio, nan=np.inf)), initial=0.0))
        largest.append(float(max(at)))
    return largest


def _host(leaf: jax.Array) -> np.ndarray:
    return np.array(_plain(leaf))


def _like(leaf: jax.Array, values: np.ndarray) -> jax.Array:
    """Return values on the host as an array of the kind and in the place of `leaf`."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(jax.random.wrap_key_data(values, impl=jax.random.key_impl(leaf)), leaf.sharding)
    return jax.device_put(values, leaf.sharding)


class Cuts(Callback):
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
    with quick.as_shipped():
        reference = check_watching_changes_nothing(population, steps)
        check_same_seed_same_result(population, steps, reference)
        check_members_are_alone(population, steps, reference)
        check_resume_is_exact(population, steps, folder)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
