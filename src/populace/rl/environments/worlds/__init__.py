"""populace's own environments: Gymnax environments with rendering, each also a `gymnasium.Env`."""

WORLDS: dict[str, str] = {
    "Braking-v0": "populace.rl.environments.worlds.braking:Braking",
    "GridRobot-v0": "populace.rl.environments.worlds.grid_robot:GridRobot",
    "LineWorld-v0": "populace.rl.environments.worlds.line_world:LineWorld",
    "RandomReward-v0": "populace.rl.environments.worlds.random_reward:RandomReward",
}
"""Import path of each world's class by name; classes are imported when they are first used."""
