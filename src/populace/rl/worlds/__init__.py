"""Worlds of our own: Gymnax environments, drawn, and each also a `gymnasium.Env`."""

WORLDS: dict[str, str] = {
    "Braking-v0": "populace.rl.worlds.braking:Braking",
    "GridRobot-v0": "populace.rl.worlds.grid_robot:GridRobot",
    "LineWorld-v0": "populace.rl.worlds.line_world:LineWorld",
    "RandomReward-v0": "populace.rl.worlds.random_reward:RandomReward",
}
"""Name of each world to where its class is, which is imported when it is first asked for."""
