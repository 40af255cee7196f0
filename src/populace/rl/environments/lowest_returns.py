"""The lowest return that an episode can have, of environments whose rewards and length are bounded."""

from populace.rl.environments import names

# Sources: the reward and the time limit in each environment's own documentation.
_LOWEST = {
    "Acrobot-v1": -500.0,
    "CartPole-v0": 0.0,
    "CartPole-v1": 0.0,
    "FrozenLake-v1": 0.0,
    "MountainCar-v0": -200.0,
    "MountainCarContinuous-v0": -99.9,  # 999 steps of the largest force, at 0.1 each
    "Pendulum-v1": -3254.8,  # 200 steps of pi^2 + 0.1 * 8^2 + 0.001 * 2^2
    "Asterix-MinAtar": 0.0,
    "Breakout-MinAtar": 0.0,
    "Freeway-MinAtar": 0.0,
    "SpaceInvaders-MinAtar": 0.0,
}


def lowest_return(name: str) -> float | None:
    """Return the lowest return of an environment; None where it is not known, as with arguments."""
    asked = names.parse(name)
    return None if asked.arguments else _LOWEST.get(asked.identifier)
