"""The program of a worker process, which holds environments and steps them.

An exception of an environment is sent back as text, and its slot gets a new environment at its next use.
"""

import dataclasses
import os
import pickle
import select
import socket
import threading
import traceback
import warnings
import zlib
from typing import Any

import gymnasium
import numpy as np

from populace.rl.vector_env.process.interface import Interface, InvalidResult
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.process.messages import STEP, mapped, receive, send
from populace.rl.vector_env.process.probing import EnvInfo, probe

_RESET_TRIES = 3  # seeds to try before the reset counts as failed
_SEED_MASK = 0x7FFFFFFF


class Server:
    """The environments of one worker process, by slot number."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._envs: dict[int, Any] = {}

    def probe(self) -> EnvInfo:
        """Take random actions; environments created from now on are truncated at the limit that was found."""
        found = probe(self.spec)
        self.spec = dataclasses.replace(self.spec, max_episode_steps=found.max_episode_steps)
        return found

    def attach(self, number: int, memory: int, layout: np.dtype) -> None:
        """Map the shared memory, as worker `number`."""
        progress, self._records = mapped(memory, layout)
        self._progress = progress[number]
        self._observations = self._records["observation"]
        env = self.spec.make()
        self._interface = Interface(env.action_space, env.observation_space)
        self._spare = [env]

    def begin(self, slots: list[int]) -> dict[str, Any]:
        """Start an episode in each slot, with the seed in `next_seed`; report as `step` does."""
        failed, recovered, invalid = {}, {}, {}
        for slot, seed in zip(slots, self._records["next_seed"][slots].tolist()):
            self._report_progress(slot)
            try:
                self._begin(slot, seed, recovered)
            except InvalidResult as error:
                invalid[slot] = self._discard(slot, error)
            except Exception as error:
                failed[slot] = self._discard(slot, error)
        return {"failed": failed, "recovered": recovered, "invalid": invalid, "mismatched": []}

    def step(self, slots: list[int], replays: dict[int, tuple[int, np.ndarray]]) -> dict[str, Any] | None:
        """Take the step in `action` in each slot; after the end of an episode start the next one.

        Args:
            slots: numbers of the environments.
            replays: (seed, actions) to replay before the step, for slots that are at another point.

        Returns:
            None if nothing went wrong, else a dictionary of `failed` (slot to error), `recovered` (slot to
            an error that a second attempt fixed), `invalid` (slot to what the environment returned, if it
            does not fit), and `mismatched` (slots where a replay led to another observation).

        """
        failed, recovered, invalid, mismatched = {}, {}, {}, []
        rewards, terminations, truncations, checksums = [], [], [], []
        records, envs, observations, take = (
            self._records, self._envs, self._observations, self._interface.step,
        )  # fmt: skip
        for slot, action in zip(slots, records["action"][slots]):
            reward, terminated, truncated = 0.0, False, False
            self._report_progress(slot)
            try:
                if slot in replays and self._replay(slot, *replays[slot]):
                    mismatched.append(slot)
                observation, reward, terminated, truncated = take(envs[slot], action)
                if terminated or truncated:
                    records["final_observation"][slot] = observation
                    self._begin(slot, int(records["next_seed"][slot]), recovered)
                else:
                    observations[slot] = observation
            except InvalidResult as error:
                invalid[slot] = self._discard(slot, error)
            except Exception as error:
                failed[slot] = self._discard(slot, error)
            rewards.append(reward)
            terminations.append(terminated)
            truncations.append(truncated)
            checksums.append(zlib.crc32(observations[slot]))
        records["reward"][slots] = rewards
        records["terminated"][slots] = terminations
        records["truncated"][slots] = truncations
        records["obs_checksum"][slots] = checksums
        if not (failed or recovered or invalid or mismatched):
            return None
        return {"failed": failed, "recovered": recovered, "invalid": invalid, "mismatched": mismatched}

    def close(self) -> None:
        """Close every environment."""
        for slot in list(self._envs):
            self._drop(slot)

    def _begin(self, slot: int, seed: int, recovered: dict[int, str]) -> None:
        """Reset a slot; if that fails, try again with a new environment and the next seed."""
        for attempt in range(1, _RESET_TRIES + 1):
            try:
                self._observations[slot] = self._interface.reset(self._env(slot), seed)
                break
            except InvalidResult:
                raise
            except Exception as error:
                if attempt == _RESET_TRIES:
                    raise
                recovered[slot] = f"{self._discard(slot, error)}, in the reset with seed {seed}"
                seed = (seed + 1) & _SEED_MASK
        self._records["next_seed"][slot] = seed
        self._records["obs_checksum"][slot] = zlib.crc32(self._observations[slot])

    def _replay(self, slot: int, seed: int, actions: np.ndarray) -> bool:
        """Replay an episode up to some point; return whether the observation there differs from before."""
        env, interface = self._env(slot), self._interface
        observation = interface.reset(env, seed)
        for action in actions:
            self._report_progress(slot)
            observation, _, terminated, truncated = interface.step(env, action)
            if terminated or truncated:  # the first time, the episode did not end here
                observation = interface.reset(env, seed)
        self._report_progress(slot)
        self._observations[slot] = observation
        return zlib.crc32(self._observations[slot]) != int(self._records["obs_checksum"][slot])

    def _report_progress(self, slot: int) -> None:
        """Write down the current slot, so that the run can tell a slow batch from a step that hangs."""
        self._progress[0] = slot
        self._progress[1] += 1

    def _env(self, slot: int) -> Any:
        if slot not in self._envs:
            self._envs[slot] = self._spare.pop() if self._spare else self.spec.make()
        return self._envs[slot]

    def _discard(self, slot: int, error: BaseException) -> str:
        """Drop the environment that raised an error; return the error as text."""
        self._drop(slot)
        return text(error)

    def _drop(self, slot: int) -> None:
        """Close a slot's environment; the next use creates another one."""
        env = self._envs.pop(slot, None)
        try:
            if env is not None:
                env.close()
        except Exception as error:  # of an environment that is broken already, which has been reported
            text(error)


def text(error: BaseException) -> str:
    """Return an error as one line; `POPULACE_DEBUG` prints the traceback too."""
    if os.environ.get("POPULACE_DEBUG"):
        traceback.print_exception(error)
    lines = str(error).strip().splitlines()
    if isinstance(error, InvalidResult):
        return f"it returned {lines[0]}"
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def refusal(error: BaseException) -> dict[str, Any]:
    """Return why no environment could be created, with all registered ids if this id is unknown."""
    unknown = isinstance(error, gymnasium.error.UnregisteredEnv)
    missing = isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError)
    return {
        "refused": text(error), "missing": missing, "known": sorted(gymnasium.registry) if unknown else [],
    }  # fmt: skip


def exit_with(channel: socket.socket) -> None:
    """End this process when the other side of the socket closes, whatever an environment is doing."""
    watch, closed = select.poll(), select.POLLHUP | select.POLLERR | select.POLLNVAL
    watch.register(channel, 0)
    while not any(event & closed for _, event in watch.poll()):
        pass
    os._exit(0)


def main(number: int) -> None:
    """Serve the socket with this file descriptor until it is closed."""
    channel = socket.socket(fileno=number)
    os.dup2(2, 1)  # what environments print must not mix with the output of the run
    threading.Thread(target=exit_with, args=(channel,), daemon=True).start()
    if not os.environ.get("POPULACE_DEBUG"):
        warnings.simplefilter("ignore")
    try:
        server = Server(pickle.loads(receive(channel)))
        send(channel, b"")  # from now on the timeout applies to the environment, not to Python's start
        while True:
            message = receive(channel)
            if message[: len(STEP)] == STEP:
                slots = np.frombuffer(message, np.uint32, offset=len(STEP)).tolist()
                answer = server.step(slots, {})
            else:
                answer = _answer(server, *pickle.loads(message[len(STEP) :]))
            send(channel, b"" if answer is None else _pickled(answer))
    except (EOFError, ConnectionError):  # the run closed the socket
        os._exit(0)


def _answer(server: Server, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return getattr(server, name)(*arguments)
    except Exception as error:  # from `probe` and `attach`, which create the first environment
        return refusal(error)


def _pickled(answer: Any) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception as error:  # from `probe`: a space of the user's own class
        return pickle.dumps(refusal(error))
