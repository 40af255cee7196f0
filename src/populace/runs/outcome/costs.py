"""Costs: what each setting of a sweep costs to train, to keep and to use, and how far it over-fits.

Parameters are counted, memory is the compiler's, times are measured: of one prediction by itself, and of
training by sharing out the time that the run took.
"""

import statistics
import time
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.core.learner import Learner
from populace.core.model import weights
from populace.core.numerics.precision import precision
from populace.core.system.single_call import Timer, memory_of
from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch
from populace.engine.programs.carry import STOPPED
from populace.engine.training_loop import Engine

_TIMINGS = 5
_TRIAL_SECONDS = 0.05
_TRIAL_STEPS = 4096


def measured(engine: Engine, train_seconds: float) -> list[dict[str, Any]]:
    """Return what each setting costs, in the order of the sweep; see docs/run-folder.md.

    `parameters` are those of the model that is kept; `train_s` is the setting's share of the time in compiled
    training; `prediction` has `seconds` (median) and `bytes` (peak memory) of one prediction, None where the
    learner makes no single ones; `training_scores` are of its members' kept models on examples that were
    trained on, None where there are none.

    Args:
        engine: trained.
        train_seconds: time in compiled training, of all members.

    """
    population, states = engine.population, engine.group_states
    predictions = [_prediction(group_state) for group_state in states]
    training = _training_scores(engine)
    seconds = _train_seconds(engine, train_seconds)
    found = []
    for setting in range(len(population.settings)):
        members = list(population.members_of(setting))
        group, _ = engine.find(members[0])
        number = next(i for i, one in enumerate(states) if one is group)
        own = None if training is None else [_number(x) for x in training[members]]
        found.append(
            {
                "setting": setting,
                "parameters": weights.count(group.program.model_template()) // group.program.slots,
                "train_s": None if seconds is None else float(seconds[members].sum()),
                "prediction": predictions[number],
                "training_scores": None if own is None or None in own else own,
            }
        )
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _training_scores(engine: Engine) -> np.ndarray | None:
    """Return the score of every member's kept model on its training part; NaN where it diverged."""
    score = engine.population.learner.score
    found = [state.program.on_training_part(state.best.model) for state in engine.group_states]
    if any(metrics is None or score not in metrics for metrics in found):
        return None
    values = engine.columns([metrics for metrics in found if metrics is not None])[score]
    return np.where(engine.diverged_at() < 0, values, np.nan)


def _train_seconds(engine: Engine, whole: float) -> np.ndarray | None:
    """Return each member's share of the time in training: its steps times what one takes in its group.

    Where there is one program all members take the same; otherwise a step of each is timed. None where that
    cannot be done.
    """
    ended, diverged = engine.control.stopped_at(), engine.diverged_at()
    steps = np.asarray([ended.get(m, engine.step) for m in range(len(engine.population))], float)
    steps = np.where(diverged >= 0, np.minimum(steps, np.maximum(diverged, 0)), steps)
    each = np.ones(len(steps))
    if len(engine.group_states) > 1:
        for state in engine.group_states:
            seconds = _seconds_per_step(state.running)
            if seconds is None:
                return None
            each[state.group.indices] = seconds / len(state.running.group.members)
    share = steps * each
    return whole * share / share.sum() if share.sum() else None


def _seconds_per_step(state: GroupState) -> float | None:
    """Return the time of one step of a group, going on from a copy of where training has come to."""
    program, carry = state.program, state.carry
    step = fetch(carry.step)
    # A step of whoever was stopped takes no time, and files are read by a thread that keeps no copies.
    if step.min() >= STOPPED or program.learner.feed is not None:
        return None
    if 2 * program.signature.state_bytes * program.slots > program.placement.memory:
        return None
    start = int(step.min())
    carry = jax.tree.map(lambda x: x.copy(), carry)
    done, steps = 0, 1
    while True:
        since = time.perf_counter()
        carry, _ = program.advance(carry, start + done + steps)
        reached = int(fetch(carry.step).min())
        seconds = time.perf_counter() - since
        if reached < start + done + steps:  # it halted on a member that diverges beyond the end
            return None
        if done and (seconds > _TRIAL_SECONDS or steps >= _TRIAL_STEPS):
            return seconds / steps
        done, steps = done + steps, steps * 4


def _prediction(state: GroupState) -> dict[str, Any] | None:
    """Return time and memory of one prediction; None where the learner makes no single ones."""
    learner = state.program.learner
    with precision(learner.x64):
        x = learner.single_input()
        if x is None:
            return None
        arrays, rest = eqx.partition((learner, state.best_model(0), x), eqx.is_array)

        def predict(arrays: Any) -> Any:
            own: tuple[Learner, Any, Any] = eqx.combine(arrays, rest)
            return own[0].predict_single(own[1], own[2])

        arrays = jax.device_put(arrays, jax.local_devices()[0])
        compiled = jax.jit(predict).lower(arrays).compile()
        timer = Timer(lambda: compiled(arrays))
        seconds = statistics.median(timer.seconds() for _ in range(_TIMINGS))
        return {"seconds": seconds, "bytes": memory_of(compiled)}
