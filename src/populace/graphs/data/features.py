"""Features of nodes that are mostly zero."""

from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from populace.nn.graph.aggregate import aggregate
from populace.nn.graph.edges import Arcs


class SparseFeatures(eqx.Module):
    """Features of nodes that are mostly zero, such as words of documents, as arcs from features to nodes.

    Attributes:
        arcs: from features (sources) to nodes (targets), one for each value.
        values: (nnz,) float32, in the numbering of the arcs.

    """

    arcs: Arcs
    values: Any

    @classmethod
    def of(cls, matrix: Any) -> Self:
        """Return the features of a SciPy sparse matrix (nodes, features), less its zeros."""
        rows: Any = sparse.coo_array(matrix)
        rows.sum_duplicates()
        kept = rows.data != 0  # NaN is kept, for the check to find
        arcs, places = Arcs.of(rows.col[kept], rows.row[kept], rows.shape)
        return cls(arcs, rows.data[kept][places].astype(np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of nodes, and of features."""
        return self.arcs.size

    def __matmul__(self, weight: Any) -> jax.Array:
        """Return the product (N, K) with a dense matrix (features, K); only what is there is multiplied."""
        return aggregate(self.arcs, weight, "sum", jnp.asarray(self.values))

    def to_scipy(self) -> sparse.csr_array:
        """Return the matrix (nodes, features)."""
        return sparse.csr_array((self.values, self.arcs.sources, self.arcs.rows.offsets), shape=self.shape)

    def row_normalised(self) -> Self:
        """Return the features with each row divided by its sum; a row that sums to 0 stays as it is."""
        sums = np.bincount(self.arcs.targets, self.values, minlength=self.shape[0])
        sums[sums == 0] = 1
        return type(self)(self.arcs, (self.values / sums[self.arcs.targets]).astype(np.float32))
