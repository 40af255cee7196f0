"""No learner uses a random key twice: in its start, its steps, its epochs and its evaluations."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.graphs import GraphSet
from populace.graphs.data.formats.convert import from_edges
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.learners.node_classifier import NodeClassifier
from populace.graphs.models.graph_networks import GraphGIN
from populace.graphs.models.node_networks import GAT, GCN
from populace.images.autoencoders.vae import VAE, ConditionalVAE
from populace.images.classification.classifier import ImageClassifier
from populace.images.classification.networks import CNN
from populace.images.diffusion.learner import Diffusion
from populace.images.gans.dcgan import ConditionalGAN
from populace.images.gans.networks import GANNetworks
from populace.images.gans.wgan_gp import WGANGP
from populace.images.judge.judge import Judge
from populace.images.pixelcnn.learner import PixelCNNLearner
from populace.images.pixelcnn.network import GatedPixelCNN
from populace.nn import MultiHeadAttention, WaveNet
from populace.rl.agents.a2c import A2C
from populace.rl.agents.averaged_dqn import AveragedDQN
from populace.rl.agents.deep_sarsa import DeepSARSA
from populace.rl.agents.dqn import DQN
from populace.rl.agents.ppo import PPO
from populace.rl.agents.reinforce import Reinforce
from populace.rl.exploration.strategies import Boltzmann
from populace.supervised import MLP
from tests.images.shapes import DATA
from tests.keys import misused_keys
from tests.supervised.problems import classifier

PIECES = {"train_nodes": 9, "validation_nodes": 5, "test_nodes": 5, "split": "random"}


def cycles() -> GraphSet:
    """Return 30 rings of 3 to 5 nodes."""
    sizes = [3 + i % 3 for i in range(30)]
    rings = [from_edges([(j, (j + 1) % n) for j in range(n)], x=np.ones((n, 1))) for n in sizes]
    return GraphSet.of(rings, np.arange(30) % 2)


def gan(kind: Any) -> Any:
    """Return a GAN with a judge that nobody trained."""
    network = eqx.filter_jit(CNN().build)((8, 8, 1), 2, key=jax.random.key(0))
    plan = GANNetworks(generator_channels=(4,), critic_channels=(4,), critic_norm="none")
    return kind(
        data=DATA, judge=Judge.of(network, DATA, 0.5), network=plan, critic_steps=2, evaluation_samples=100,
        test_samples=100,
    )  # fmt: skip


LEARNERS = {
    "DQN": lambda: DQN(),
    "a convolution, two streams and noise": lambda: DQN(env="Breakout-MinAtar", dueling=True, noisy=True),
    "all of replay": lambda: DQN(
        exploration=Boltzmann(), rollout=2, gradient_steps=2, prioritized=True, n_step=2
    ),
    "averaged": lambda: AveragedDQN(learners=2),
    "SARSA": lambda: DeepSARSA(),
    "PPO": lambda: PPO(),
    "PPO, continuous": lambda: PPO(env="Pendulum-v1"),
    "A2C": lambda: A2C(),
    "REINFORCE": lambda: Reinforce(),
    "perceptron": lambda: classifier(network=MLP(hidden_sizes=(8, 8), norm="batch", dropout=0.1)),
    "images": lambda: ImageClassifier(dataset="digits", mirror=True, shift=1),
    "VAE": lambda: VAE(dataset="digits"),
    "conditional VAE, static, tested": lambda: ConditionalVAE(
        dataset="digits", binarization="static", evaluation_split="test", importance_samples=20
    ),
    "conditional GAN": lambda: gan(ConditionalGAN),
    "WGAN-GP": lambda: gan(WGANGP),
    "PixelCNN, static": lambda: PixelCNNLearner(
        dataset="digits", quantization="static", conditional=True, network=GatedPixelCNN(blocks=1, hidden=2)
    ),
    "diffusion": lambda: Diffusion(dataset="digits", conditional=True),
    "GCN": lambda: NodeClassifier(network=GCN(), **PIECES),
    "GAT": lambda: NodeClassifier(network=GAT(), **PIECES),
    "graphs": lambda: GraphClassifier(data=cycles(), batch_size=8, network=GraphGIN(readout="attention")),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_no_key_is_used_twice(name: str) -> None:
    learner: Any = LEARNERS[name]().load_data()
    learner.check()
    key = jax.random.key(0)
    state, rest = eqx.partition(
        eqx.filter_eval_shape(learner.init, key), lambda x: isinstance(x, jax.ShapeDtypeStruct)
    )

    def of(state: Any) -> Any:
        return eqx.combine(state, rest)

    def arrays(function: Any) -> Any:
        return lambda *given: eqx.filter(function(*given), eqx.is_array)

    assert misused_keys(arrays(learner.init), key) == []
    assert misused_keys(arrays(lambda s, k: learner.step(of(s), k)), state, key) == []
    assert misused_keys(lambda s, k: learner.evaluate(learner.model(of(s)), k), state, key) == []
    if learner.epoch_steps:
        assert misused_keys(arrays(lambda s, k: learner.on_epoch_start(of(s), k)), state, key) == []


@pytest.mark.parametrize("make", [
    lambda key: MultiHeadAttention(4, 2, key=key), lambda key: WaveNet(2, 3, dilations=(1, 2), key=key),
])  # fmt: skip
def test_no_layer_uses_a_key_twice(make: Any) -> None:
    assert misused_keys(lambda key: eqx.filter(make(key), eqx.is_array), jax.random.key(0)) == []


@pytest.mark.parametrize(("wrong", "message"), [
    (lambda k: (jax.random.split(k, 3), jax.random.fold_in(k, 1)), "folded and split"),
    (lambda k: jax.random.normal(k) + jax.random.uniform(k), "drawn from 2 times"),
    (lambda k: [jax.random.fold_in(k, i % 2) for i in range(3)], "folded 3 times with the same number"),
    (lambda k: [jax.random.normal(jax.random.split(k)[0]), jax.random.split(k)], "split 2 times"),
    (lambda k: jax.lax.scan(lambda c, _: (c, jax.random.normal(k)), 0, None, 3), "drawn from 2 times"),
    (lambda k: jax.lax.fori_loop(0, 3, lambda _, x: x + jax.random.normal(k), 0.0), "drawn from 2 times"),
])  # fmt: skip
def test_the_audit_sees(wrong: Any, message: str) -> None:
    (found,) = misused_keys(wrong, jax.random.key(0))
    assert message in found


def test_the_audit_sees_nothing_in_what_is_right() -> None:
    def right(key: jax.Array) -> Any:
        first, second, third = jax.random.split(key, 3)
        each = jax.lax.scan(lambda c, k: (c, jax.random.normal(k)), 0, jax.random.split(first, 4))
        turns = jax.lax.fori_loop(
            0, 4, lambda i, x: x + jax.random.normal(jax.random.fold_in(second, i)), 0.0
        )
        return each, turns, jax.random.permutation(third, 5)

    assert misused_keys(right, jax.random.key(0)) == []
