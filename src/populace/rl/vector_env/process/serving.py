"""Serving: the program of a process that holds environments and steps them.

Whatever an environment raises is sent back as text, and its slot gets a new environment at its next use.
"""

import os
import pickle
import select
import socket
import sys
import threading
import traceback
import warnings
import zlib
from typing import Any

import gymnasium
import numpy as np

from .making import Spec, seen, taken
from .messages import STEP, mapped, receive, send
from .probing import probe

_TRIES = 3  # seeds tried before an episode is given up
_SEEDS = 0x7FFFFFFF


class Server:
    """The environments of one process, by the number of their slot."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._envs: dict[int, Any] = {}

    def attach(self, number: int, memory: int, layout: np.dtype) -> None:
        """Map the shared memory, as the process of that number."""
        busy, self._records = mapped(memory, layout)
        self._busy = busy[number]
        self._observations = self._records["observation"]
        env = self.spec.make()
        self._taken, self._seen = taken(env.action_space), seen(env.observation_space)
        self._spare = [env]

    def begin(self, slots: list[int]) -> dict[str, Any]:
        """Start an episode in each slot, from the seed in `next`; return what went wrong, as `step` does."""
        faults, told = {}, {}
        for slot, seed in zip(slots, self._records["next"][slots].tolist()):
            self._at(slot)
            try:
                self._begin(slot, seed, told)
            except Exception as error:
                faults[slot] = self._fault(slot, error)
        return {"faults": faults, "told": told, "drifted": []}

    def step(self, slots: list[int], replays: dict[int, tuple[int, np.ndarray]]) -> dict[str, Any] | None:
        """Take the step in `action` in each slot; an episode that ends is followed by the next.

        Args:
            slots: which environments.
            replays: of those that do not stand where the step is taken from, seed and actions that
                lead there.

        Returns:
            None if nothing went wrong, else: `faults` (slot to text), `told` (the same, overcome), and
            `drifted` (slots where the replay led elsewhere).

        """
        faults, told, drifted = {}, {}, []
        rewards, ends, cuts, checksums = [], [], [], []
        records, envs, observations, take, see = (
            self._records, self._envs, self._observations, self._taken, self._seen,
        )  # fmt: skip
        for slot, action in zip(slots, records["action"][slots]):
            reward, terminated, truncated = 0.0, False, False
            self._at(slot)
            try:
                if slot in replays and self._replay(slot, *replays[slot]):
                    drifted.append(slot)
                observation, reward, terminated, truncated, _ = envs[slot].step(take(action))
                if terminated or truncated:
                    records["final"][slot] = see(observation)
                    self._begin(slot, int(records["next"][slot]), told)
                else:
                    observations[slot] = see(observation)
            except Exception as error:
                faults[slot] = self._fault(slot, error)
            rewards.append(reward)
            ends.append(terminated)
            cuts.append(truncated)
            checksums.append(zlib.crc32(observations[slot]))
        records["reward"][slots] = rewards
        records["terminated"][slots] = ends
        records["truncated"][slots] = cuts
        records["seen"][slots] = checksums
        return {"faults": faults, "told": told, "drifted": drifted} if faults or told or drifted else None

    def close(self) -> None:
        """Close every environment."""
        for slot in list(self._envs):
            self._drop(slot)

    def _begin(self, slot: int, seed: int, told: dict[int, str]) -> None:
        """Reset a slot; where that fails, another environment and another seed are tried."""
        for tried in range(1, _TRIES + 1):
            try:
                observation, _ = self._env(slot).reset(seed=seed)
                self._observations[slot] = self._seen(observation)
                break
            except Exception as error:
                if tried == _TRIES:
                    raise
                told[slot] = f"{self._fault(slot, error)}, in the reset with seed {seed}"
                seed = (seed + 1) & _SEEDS
        self._records["next"][slot] = seed
        self._records["seen"][slot] = zlib.crc32(self._observations[slot])

    def _replay(self, slot: int, seed: int, actions: np.ndarray) -> bool:
        """Bring a slot to where these actions lead; return whether something else is seen there."""
        env = self._env(slot)
        observation, _ = env.reset(seed=seed)
        for action in actions:
            self._at(slot)
            observation, _, terminated, truncated, _ = env.step(self._taken(action))
            if terminated or truncated:  # it did not end here when it was played first
                observation, _ = env.reset(seed=seed)
        self._at(slot)
        self._observations[slot] = self._seen(observation)
        return zlib.crc32(self._observations[slot]) != int(self._records["seen"][slot])

    def _at(self, slot: int) -> None:
        """Leave word of what is being done, for who waits to see that something is."""
        self._busy[0] = slot
        self._busy[1] += 1

    def _env(self, slot: int) -> Any:
        if slot not in self._envs:
            self._envs[slot] = self._spare.pop() if self._spare else self.spec.make()
        return self._envs[slot]

    def _fault(self, slot: int, error: BaseException) -> str:
        self._drop(slot)
        return text(error)

    def _drop(self, slot: int) -> None:
        """Close a slot's environment; the next use makes another one."""
        env = self._envs.pop(slot, None)
        try:
            if env is not None:
                env.close()
        except Exception as error:  # it is broken already, and what comes of that has been told
            text(error)


def text(error: BaseException) -> str:
    """Return an error as one line; `POPULACE_DEBUG` prints the whole of it."""
    if os.environ.get("POPULACE_DEBUG"):
        traceback.print_exception(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def refusal(error: BaseException) -> dict[str, Any]:
    """Return why no environment could be made, and the ids that are known where this one is not."""
    unknown = isinstance(error, gymnasium.error.UnregisteredEnv)
    missing = isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError)
    return {
        "refused": text(error), "missing": missing, "known": sorted(gymnasium.registry) if unknown else [],
    }  # fmt: skip


def leave_with(channel: socket.socket) -> None:
    """End this process when the other side of the socket is gone, whatever an environment is doing."""
    watch, gone = select.poll(), select.POLLHUP | select.POLLERR | select.POLLNVAL
    watch.register(channel, 0)
    while not any(event & gone for _, event in watch.poll()):
        pass
    os._exit(0)


def main(number: int) -> None:
    """Serve the socket of that number until it is closed."""
    channel = socket.socket(fileno=number)
    os.dup2(2, 1)  # what environments print is no result of the run
    threading.Thread(target=leave_with, args=(channel,), daemon=True).start()
    if not os.environ.get("POPULACE_DEBUG"):
        warnings.simplefilter("ignore")
    try:
        sys.path[:] = pickle.loads(receive(channel))
        server = Server(Spec(*pickle.loads(receive(channel))))
        send(channel, b"")  # from here on it is the environment that takes time, not Python's start
        while True:
            message = receive(channel)
            if message[: len(STEP)] == STEP:
                slots = np.frombuffer(message, np.uint32, offset=len(STEP)).tolist()
                answer = server.step(slots, {})
            else:
                answer = _answer(server, *pickle.loads(message[len(STEP) :]))
            send(channel, b"" if answer is None else pickle.dumps(answer))
    except (EOFError, ConnectionError):  # the other side has left
        os._exit(0)


def _answer(server: Server, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        # As a dictionary: in this process the class goes by another module's name.
        return vars(probe(server.spec)) if name == "probe" else getattr(server, name)(*arguments)
    except Exception as error:  # of `probe` and `attach`, which make the first environment
        return refusal(error)
