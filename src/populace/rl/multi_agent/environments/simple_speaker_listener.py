"""Speaker and listener: one knows the goal and cannot move, the other moves and does not know it."""

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.multi_agent.environments.particles import PUSHES, ParticleWorld, State

WORDS = ("first", "second", "third")
_COLORS = np.full((3, 3), 0.15, np.float32) + 0.5 * np.eye(3, dtype=np.float32)


class SimpleSpeakerListener(ParticleWorld):
    """Both get minus the squared distance of the listener from the goal, one of three landmarks.

    The speaker sees the color of the goal, and says one of three words; the listener sees its velocity, where
    the landmarks are from it, and the last word. Their spaces differ, so they share no parameters.
    """

    scenario = "simple_speaker_listener_v4"
    shared_reward = True
    landmark_radius = 0.04

    def __init__(self, horizon: int = 25) -> None:
        """Create the world."""
        # the speaker's push is 0: what it chooses are words
        super().__init__(("speaker_0", "listener_0"), 3, horizon, radius=0.075, push=(0.0, 5.0))
        self.actions = (WORDS, PUSHES)

    def said(self, action: jax.Array) -> jax.Array:
        """Return the speaker's word."""
        return jax.nn.one_hot(action[0], len(WORDS))

    def observe(self, state: State) -> list[jax.Array]:
        """Return the goal's color to the speaker; velocity, landmarks and the word to the listener."""
        listener = jnp.concatenate([state.velocity[1], self.landmarks_from(state)[1], state.message])
        return [jnp.asarray(_COLORS)[state.goal], listener]

    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return minus the squared distance of the listener from the goal, to both."""
        paid = -jnp.sum((state.place[1] - state.landmark[state.goal]) ** 2)
        return jnp.stack([paid, paid]), {}
