"""Group programs: those of the members that a process trains, with the strategies that all agree on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from populace.core.population import Population
from populace.engine import hosts
from populace.engine.hosts import division
from populace.engine.hosts.division import Share
from populace.engine.placement import place
from populace.engine.programs.program import Program
from populace.engine.strategy import BatchingChoice, choose


@dataclass
class GroupPrograms:
    """What a process trains: shares of groups, a program for each, and the strategy of every group."""

    shares: list[Share]
    programs: list[tuple[BatchingChoice, Program]]
    strategies: list[str]


def choices(
    population: Population, names: Sequence[str], devices: int, phase: Callable[[str], None], *, divided: bool
) -> GroupPrograms:
    """Return the programs of this process's share of the groups.

    Where strategies are timed, several processes take what the first of them chose that has members of
    the group.

    Args:
        population: who trains.
        names: strategy of each group.
        devices: use at most so many devices; 0 means all.
        phase: is told what is being done, where that takes long.
        divided: whether there are other processes, with the other members.

    Raises:
        UsageError: there are more processes than members.

    """
    sizes = [len(group.members) for group in population.groups]
    shares = division.shares(sizes, hosts.count() if divided else 1)[hosts.index() if divided else 0]

    def made(share: Share, name: str) -> tuple[BatchingChoice, Program]:
        part = division.part(population.groups[share.group], share)
        # `auto` takes `map` for a single member, and what it took is what the recipe names in a replay.
        placement = place(len(part.members), devices, alike=name in ("map", "auto"))
        return choose(name, part, population.seed, placement, phase)

    found = [made(share, names[share.group]) for share in shares]
    own = {share.group: choice.strategy for share, (choice, _) in zip(shares, found)}
    strategies = [own.get(group, "") for group in range(len(sizes))]
    if divided:
        every = hosts.gathered(strategies, "the choice of strategies")
        strategies = [next(filter(None, chosen)) for chosen in zip(*every)]
        for i, share in enumerate(shares):
            if own[share.group] != strategies[share.group]:
                found[i] = made(share, strategies[share.group])
    return GroupPrograms(shares, found, strategies)
