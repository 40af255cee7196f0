"""Start weights: all members begin from them, exactly; what does not fit is refused at once."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from populace.core.errors import RunError, UsageError
from populace.core.learner import Learner
from populace.core.model import weights
from populace.core.population import Member, sweep
from populace.engine.training_loop import Engine
from populace.rl import DQN, PPO, AveragedDQN, Tabular
from populace.runs.run import Run
from populace.runs.trained_member import Trained
from populace.runs.training.launch import train
from populace.runs.weights import start
from populace.supervised import MLP, Classifier, Data
from tests.conftest import Reached, outcome_of
from tests.learners import Quadratic

RNG = np.random.default_rng(0)
DATA = Data.from_classes(RNG.normal(size=(24, 3)), np.arange(24) % 2)
LEARNER = Classifier(DATA, network=MLP(hidden_sizes=(4,), dropout=0.5, norm="batch"), batch_size=8)
OPTIONS: dict[str, Any] = {"strategy": "vmap", "log_every": 5, "evaluate_every": 10}


def drawn(learner: Learner) -> dict[str, np.ndarray]:
    """Return weights for a learner, drawn by NumPy."""
    learner.check()
    template = eqx.filter_eval_shape(lambda key: learner.model(learner.init(key)), jax.random.key(0))
    rng = np.random.default_rng(1)
    found = {name: rng.normal(size=x.shape).astype(np.float32) for name, x in weights.start_entries(template)}
    return {name: abs(x) if name.endswith("variance") else x for name, x in found.items()}


LEARNERS = {
    "classifier": (LEARNER, lambda state: [state.network]),
    "dqn": (DQN(hidden_sizes=(8,)), lambda state: [state.network, state.target]),
    "ppo": (PPO(hidden_sizes=(8,), normalize_observations=True), lambda state: [state.model]),
    "tabular": (Tabular(), lambda state: [state.tables]),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_member_begins_with_the_weights_and_keeps_its_settings(name):
    learner, parts = LEARNERS[name]
    axes = {"network.dropout": [0.25, 0.75]} if name == "classifier" else {"learning_rate": [0.1, 0.2]}
    population = sweep(learner, axes, seeds=2)
    given = drawn(learner)
    engine = Engine(population, "vmap")
    (group,) = engine.group_states
    group.start_from(start.start_weights(population, given))
    state = group.program.signature.whole_state(group.state())
    for part in parts(state):
        found = weights.named(part)
        assert found.keys() >= given.keys()
        for tensor, x in given.items():
            np.testing.assert_array_equal(found[tensor][:4], np.broadcast_to(x, (4, *x.shape)))
    if name == "classifier":
        rates = weights.named(state.network)["layers.4.rate"]
        np.testing.assert_array_equal(rates[:4], np.float32([0.25, 0.25, 0.75, 0.75]))
    np.testing.assert_array_equal(
        weights.named(group.best_model(3)).get(next(iter(given))), given[next(iter(given))]
    )


def test_averaged_learners_all_begin_with_the_weights():
    learner = AveragedDQN(hidden_sizes=(8,), learners=2)
    given = drawn(learner)
    model = weights.replaced(
        eqx.filter_eval_shape(lambda: learner.model(learner.init(jax.random.key(0)))),
        {name: jnp.asarray(x) for name, x in given.items()},
    )
    begun = learner.with_model(eqx.filter_eval_shape(lambda: learner.init(jax.random.key(0))), model)
    for part in (begun.network, begun.target):
        for name, x in weights.named(part).items():
            np.testing.assert_array_equal(x, np.broadcast_to(given[name], x.shape))


def test_a_run_that_is_killed_at_once_begins_again_with_the_same_weights(tmp_path):
    population = sweep(Quadratic(), seeds=2)
    given = {"weights": np.float32([5, -3, 2])}
    whole = train(population, 20, out=tmp_path / "whole", start_from=given, **OPTIONS)

    class Killed(Reached):
        def on_window(self, window: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(population, 20, out=tmp_path / "run", start_from=given, callbacks=[Killed(1)], **OPTIONS)
    assert not list((tmp_path / "run" / "checkpoints").glob("[0-9]*"))
    moved = (tmp_path / "run").rename(tmp_path / "moved")  # the weights move with the folder
    again = Run.load(moved).resume()
    assert outcome_of(again.path) == outcome_of(whole.path)
    other = train(population, 20, out=tmp_path / "other", **OPTIONS)
    assert outcome_of(other.path) != outcome_of(whole.path)
    assert 'start_from = "start.safetensors"' in whole.recipe_text()
    assert whole.results()["start_weights"]
    assert not other.results()["start_weights"]
    longer = train(population, 40, out=tmp_path / "longer", start_from=given, **OPTIONS)
    assert outcome_of(Run.load(moved).resume(steps=40).path) == outcome_of(longer.path)

    from populace.runs.recipe.parsing import parse
    from populace.runs.training.launch import run_recipe

    recipe = parse(whole.recipe_text(), str(whole.path / "recipe.toml"))
    assert outcome_of(run_recipe(recipe, tmp_path / "replayed").path) == outcome_of(whole.path)


def test_weights_come_from_members_files_and_pytorch(tmp_path):
    population, given = sweep(LEARNER), drawn(LEARNER)
    template = eqx.filter_eval_shape(lambda key: LEARNER.model(LEARNER.init(key)), jax.random.key(0))
    model = weights.filled(template, given | {"layers.4.rate": np.float32(0.5)})
    trained = Trained(Member(0, 0, 0), {}, LEARNER, model)
    save_file(trained.weights(), tmp_path / "own.safetensors")
    torch = {
        "0.weight": given["layers.1.weight"], "1.weight": given["layers.2.scale"],
        "1.bias": given["layers.2.shift"], "1.running_mean": given["layers.2.mean"],
        "1.running_var": given["layers.2.variance"], "4.weight": given["layers.5.weight"],
        "4.bias": given["layers.5.bias"],
    }  # fmt: skip
    save_file(torch, tmp_path / "torch.safetensors")
    sources = (
        trained, trained.save(tmp_path / "member"), tmp_path / "own.safetensors", torch,
        str(tmp_path / "torch.safetensors"),
    )  # fmt: skip
    for source in sources:
        found = start.start_weights(population, source)
        assert found.keys() == given.keys()
        for name, x in given.items():
            np.testing.assert_array_equal(found[name], x)


def test_what_does_not_fit_is_refused_before_there_is_a_folder(tmp_path):
    given = drawn(LEARNER)
    (tmp_path / "text.safetensors").write_text("no")
    nan = given["layers.1.weight"] * np.nan
    cases: dict[str, Any] = {
        r"tensor 'layers.1.weight' has shape \(3, 4\), expected \(4, 3\)": given
        | {"layers.1.weight": given["layers.1.weight"].T},
        r"tensor 'layers.5.bias' is missing": {k: v for k, v in given.items() if k != "layers.5.bias"},
        r"unknown tensor 'layers.9.bias'; did you mean": given | {"layers.9.bias": np.zeros(1)},
        "tensor 'layers.1.weight' holds NaN or infinity": given | {"layers.1.weight": nan},
        r"no tensor has a name of the model's \(layers.1.weight, .*\), nor is it PyTorch's: the netw": {
            "weight": np.zeros((4, 3))
        },
        "there is no file or folder '.*gone'": tmp_path / "gone",
        "text.safetensors' is not a .safetensors file": tmp_path / "text.safetensors",
        "start_from takes weights by name, a Trained, a PyTorch state_dict or a path, got int": 3,
    }
    for line, weights_given in cases.items():
        with pytest.raises(UsageError, match=line) as caught:
            train(sweep(LEARNER), 10, out=tmp_path / "run", start_from=weights_given)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()
    line = (
        r"does not fit the model \(setting network.hidden_sizes \(8,\)\): tensor 'layers.1.weight' has shape"
    )
    with pytest.raises(UsageError, match=line):
        start.start_weights(sweep(LEARNER, {"network.hidden_sizes": [(4,), (8,)]}), given)


def test_start_weights_that_were_changed_are_named(tmp_path):
    start.keep(tmp_path, {"w": np.float32([1, 2])})
    assert start.read(tmp_path)["w"].tolist() == [1, 2]
    file = tmp_path / start.FILE
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(
        RunError, match=r"start.safetensors' was changed or damaged, and the run starts from it"
    ):
        start.read(tmp_path)
    for damaged in (content[:-1], b""):
        file.write_bytes(damaged)
        with pytest.raises(RunError, match=r"cannot read '.*', which the run starts from"):
            start.read(tmp_path)
    Path(file).unlink()
    with pytest.raises(RunError, match=r"cannot read '.*', which the run starts from: No such file"):
        start.read(tmp_path)


def test_a_learner_whose_model_is_computed_must_say_how_it_begins():
    class Computed(Quadratic):
        def model(self, state: dict[str, Any]) -> dict[str, Any]:
            return {"weights": jnp.zeros(3)}

    with pytest.raises(UsageError, match=r"Computed.model computes a model; its with_model must say how"):
        Computed().with_model({"weights": np.zeros(3)}, {"weights": np.zeros(3)})
