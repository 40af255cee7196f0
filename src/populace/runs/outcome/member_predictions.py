"""What several members say of the same inputs: the mean, and how far it may be off.

The mean of members that differ by their seed is a deep ensemble (Lakshminarayanan et al. 2017, "Simple and
Scalable Predictive Uncertainty Estimation using Deep Ensembles", arXiv:1612.01474).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.runs.trained_member import Trained
from populace.statistics import mean_intervals


@dataclass(frozen=True, eq=False)
class MemberPredictions:
    """Predictions of M members for each of N examples, nodes or graphs.

    Attributes:
        each: what each member says, (M, N, K): probabilities of classes or labels, or numbers in units of y.
        mean: the mean over members, (N, K).
        low: lower bounds of the mean, (N, K).
        high: upper bounds.
        range_of: 0 where the bounds are a confidence interval; M where there are fewer than 5 members, and
            the bounds are the lowest and the highest of them.

    """

    each: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    range_of: int


def member_predictions(
    members: Sequence[Trained], x: Any = None, *, confidence: float = 0.95
) -> MemberPredictions:
    """Return what members predict for inputs, their mean, and its interval over members.

    The interval is Student's, of the mean over all seeds that might have been trained: it says how far the
    mean of these members may be from that of many, and neither how far one member is from another (`each` has
    them) nor how far all are from the truth. Bounds of probabilities are cut off at 0 and 1.

    Args:
        members: such as those of one setting; each prepares the inputs as it was trained.
        x: inputs as [`Trained.predict`][populace.runs.trained_member.Trained.predict] takes them.
        confidence: of the intervals.

    Raises:
        UsageError: no members, members of agents, members that do not fit together, or a member whose
            predictions are not finite, and what `predict` refuses.

    """
    members = list(members)
    if not members:
        raise UsageError("predictions of no members have no mean; give at least one")
    if hasattr(members[0].learner, "policy"):
        raise UsageError(f"{type(members[0].learner).__name__} acts, and actions of members have no mean")
    probable = members[0].learner.has_probabilities
    said = [np.asarray(m.predict_proba(x) if probable else m.predict(x), np.float64) for m in members]
    if len(shapes := {a.shape for a in said}) > 1:
        found = " and ".join(map(str, sorted(shapes)))
        raise UsageError(f"the members predict arrays of shapes {found}; give members of one task")
    each = np.stack(said)
    wrong = ~np.isfinite(each).reshape(len(each), -1).all(1)
    if wrong.any():
        index = members[int(wrong.argmax())].member.index
        raise UsageError(f"the predictions of member {index} are not finite; leave it out")
    found = mean_intervals(each, confidence=confidence)
    low, high = (np.clip(b, 0, 1) if probable else b for b in (found.low, found.high))
    return MemberPredictions(each, found.value, low, high, found.range_of)
