"""Row orders: which examples the steps of a group read, known on the host before the steps are taken.

The order of an epoch follows from a member's key, as its `on_epoch_start` draws it. In the middle of an epoch
it is the one in the member's state, which a checkpoint or another member may have brought.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.engine.hosts import fetch
from populace.engine.programs.carry import Carry
from populace.engine.streaming.fed_programs import FedCompiled


class RowOrders:
    """The rows of every slot, epoch by epoch.

    Args:
        learner: that of any member.
        compiled: the functions of its structure.
        members: returns what varies between slots, what is shared, and the keys.
        slots: how many there are.

    """

    def __init__(self, learner: Any, compiled: FedCompiled, members: Callable[[], Any], slots: int) -> None:
        self._learner, self._compiled, self._members, self._slots = learner, compiled, members, slots
        self._epoch = learner.epoch_steps
        self._orders: dict[int, Any] = {}

    def of(self, carry: Carry) -> Any:
        """Return the array of the carry that has the rows of every slot's epoch."""
        return self._learner.order(self._compiled.signature.whole_state(carry.state))

    def end_of_epoch(self, step: int) -> int:
        """Return the step at which the epoch of a step ends."""
        return (step // self._epoch + 1) * self._epoch

    def ask(self, first: int, steps: int) -> None:
        """Let the devices find the orders of these steps; nobody waits for them here."""
        for epoch in range(first // self._epoch, (first + steps - 1) // self._epoch + 1):
            if epoch not in self._orders:
                self._orders[epoch] = self._compiled.orders(*self._members(), np.int32(epoch * self._epoch))
        for epoch in [e for e in self._orders if e < first // self._epoch - 1]:
            del self._orders[epoch]

    def steps(self, first: int, steps: int) -> np.ndarray:
        """Return the rows of these steps, (slots, steps, B)."""
        found = []
        while steps:
            epoch, at = divmod(first, self._epoch)
            many = min(steps, self._epoch - at)
            order = np.asarray(self._orders[epoch]).reshape(self._slots, self._epoch, -1)
            found.append(order[:, at : at + many])
            first, steps = first + many, steps - many
        return np.concatenate(found, 1)

    def take_over(self, carry: Carry) -> bool:
        """Go by the rows in the states from here on; return whether any are others than was thought."""
        step = fetch(carry.step)
        inside = (fetch(carry.diverged_at) < 0) & (step % self._epoch != 0)
        changed = False
        for epoch in np.unique(step[inside] // self._epoch).tolist():
            self.ask(epoch * self._epoch, 1)
            thought, there = fetch(self._orders[epoch]), inside & (step // self._epoch == epoch)
            stated = fetch(self.of(carry))[there]
            if (thought[there] != stated).any():
                thought[there], changed = stated, True
                self._orders[epoch] = thought
        return changed
