"""Division: which members of each group are whose, of several processes.

Each group is divided evenly, for its members take equally long, and those of other groups may not. What is
left over goes to the processes in turn, group after group, so that none has two members more than another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import equinox as eqx
import jax

from populace.core.errors import UsageError
from populace.core.population import Group


@dataclass(frozen=True)
class Share:
    """The members of a group that one process trains: those from `start` to before `stop`.

    Attributes:
        group: its number in the population.
        start: place of the first one in the group.
        stop: place after the last one.

    """

    group: int
    start: int
    stop: int


def shares(sizes: Sequence[int], processes: int) -> list[list[Share]]:
    """Return what each process trains of groups of these sizes; a group it has nothing of is left out.

    Raises:
        UsageError: there are more processes than members.

    """
    if processes > (members := sum(sizes)):
        raise UsageError(
            f"{processes} processes were started for {members} member{'s' if members > 1 else ''}; "
            "start at most as many as there are members, or train more seeds"
        )
    found: list[list[Share]] = [[] for _ in range(processes)]
    turn = 0
    for number, size in enumerate(sizes):
        each, over = divmod(size, processes)
        more = {(turn + i) % processes for i in range(over)}
        turn = (turn + over) % processes
        at = 0
        for process in range(processes):
            stop = at + each + (process in more)
            if stop > at:
                found[process].append(Share(number, at, stop))
            at = stop
    return found


def part(group: Group, share: Share) -> Group:
    """Return the members of a share as a group."""
    if share.stop - share.start == len(group.members):
        return group
    own, shared = eqx.partition(group.learner, group.varied)
    own = jax.tree.map(lambda x: x[share.start : share.stop], own)
    members = group.members[share.start : share.stop]
    return replace(group, learner=eqx.combine(own, shared), members=members)
