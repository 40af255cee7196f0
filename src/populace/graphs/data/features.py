"""Sparse node features."""

from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from populace.core.values import to_float32
from populace.nn.graph.aggregate import aggregate
from populace.nn.graph.edges import EdgeIndex


class SparseFeatures(eqx.Module):
    """Sparse node features (N, F), such as bags of words, stored as edges from features to nodes.

    Attributes:
        edges: from features (sources) to nodes (targets), one for each nonzero value.
        values: (nnz,) float32, in the order of `edges`.

    """

    edges: EdgeIndex
    values: Any

    @classmethod
    def of(cls, matrix: Any) -> Self:
        """Build from a SciPy sparse matrix (nodes, features); stored zeros are dropped."""
        rows: Any = sparse.coo_array(matrix)
        rows.sum_duplicates()
        kept = rows.data != 0  # keeps NaN, which a later check reports
        edges, places = EdgeIndex.of(rows.col[kept], rows.row[kept], rows.shape)
        return cls(edges, to_float32(rows.data[kept][places]))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of nodes, number of features."""
        return self.edges.size

    def __matmul__(self, weight: Any) -> jax.Array:
        """Return the product (N, K) with a dense matrix (F, K), computed over the nonzero values only."""
        return aggregate(self.edges, weight, "sum", jnp.asarray(self.values))

    def to_scipy(self) -> sparse.csr_array:
        """Return the features as a SciPy matrix (nodes, features)."""
        return sparse.csr_array((self.values, self.edges.sources, self.edges.rows.offsets), shape=self.shape)

    def row_normalized(self) -> Self:
        """Return the features with each row divided by its sum; a row that sums to 0 stays as it is."""
        sums = np.bincount(self.edges.targets, self.values, minlength=self.shape[0])
        sums[sums == 0] = 1
        return type(self)(self.edges, (self.values / sums[self.edges.targets]).astype(np.float32))
