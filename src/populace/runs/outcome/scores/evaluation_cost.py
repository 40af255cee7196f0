"""What the evaluations during training cost: units that choosing models took, beside training."""

import numpy as np
import pyarrow as pa

from populace.core.learner import Learner


def per_member(learner: Learner, evaluations: pa.Table, members: int) -> float | None:
    """Return the units that a member's evaluations took on average; None where the unit is none of them."""
    names = [n for n in evaluations.column_names if pa.types.is_floating(evaluations.schema.field(n).type)]
    columns = {n: evaluations[n].to_numpy(zero_copy_only=False).astype(float) for n in names}
    units = learner.evaluation_cost(columns)
    return None if units is None else float(np.nansum(units)) / members
