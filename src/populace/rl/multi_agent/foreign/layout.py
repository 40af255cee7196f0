"""How everything that agents see and get in one step is one array, as it passes between two processes."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Layout:
    """Sizes of N agents, and the places of what they see in one array of float32.

    Attributes:
        agents: names of the agents.
        actions: number of actions of each.
        sizes: numbers in the observation of each.
        state: numbers in the global state, S.

    """

    agents: tuple[str, ...]
    actions: tuple[int, ...]
    sizes: tuple[int, ...]
    state: int

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts, in their order; agents with smaller spaces are padded at the end."""
        team = len(self.agents)
        return {
            "observation": (team, max(self.sizes)), "available": (team, max(self.actions)),
            "alive": (team,), "acting": (team,), "truncated": (team,), "reward": (team,),
            "state": (self.state,),
        }  # fmt: skip

    @property
    def size(self) -> int:
        """Numbers in the whole array, K."""
        return sum(math.prod(shape) for shape in self.parts.values())

    def split(self, whole: Any) -> dict[str, Any]:
        """Return the parts of an array (K,); of NumPy's, views that can be written to."""
        found, at = {}, 0
        for name, shape in self.parts.items():
            size = math.prod(shape)
            found[name] = whole[at : at + size].reshape(shape)
            at += size
        return found
