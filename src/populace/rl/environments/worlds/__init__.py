"""Worlds of our own: Gymnax environments, drawn, and each also a `gymnasium.Env`."""

WORLDS: dict[str, str] = {
    "Braking-v0": "populace.rl.environments.worlds.braking:Braking",
    "GridRobot-v0": "populace.rl.environments.worlds.grid_robot:GridRobot",
    "LineWorld-v0": "populace.rl.environments.worlds.line_world:LineWorld",
    "RandomReward-v0": "populace.rl.environments.worlds.random_reward:RandomReward",
}
"""Name of each world to where its class is, which is imported when it is first asked for."""
