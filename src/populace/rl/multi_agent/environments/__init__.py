"""Compiled environments of several agents, each also a PettingZoo environment."""

_HERE = "populace.rl.multi_agent.environments"

WORLDS: dict[str, str] = {
    "CleaningRobots-v0": f"{_HERE}.cleaning_robots:CleaningRobots",
    "Climbing-v0": f"{_HERE}.matrix_games:Climbing",
    "Foraging-v0": f"{_HERE}.foraging:Foraging",
    "Penalty-v0": f"{_HERE}.matrix_games:Penalty",
    "SimpleAdversary-v0": f"{_HERE}.simple_adversary:SimpleAdversary",
    "SimpleSpeakerListener-v0": f"{_HERE}.simple_speaker_listener:SimpleSpeakerListener",
    "SimpleSpread-v0": f"{_HERE}.simple_spread:SimpleSpread",
    "SimpleTag-v0": f"{_HERE}.simple_tag:SimpleTag",
    "TwoStep-v0": f"{_HERE}.matrix_games:TwoStep",
}
"""Import path of each world's class by name; classes are imported when they are first used."""
