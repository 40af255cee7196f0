"""One reader of what is given: the same input is accepted, or refused with one line that names the place."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from populace.core.errors import UsageError
from populace.data import given

TABLE = np.array([[1.0, 0.5], [2.0, -1.0], [3.0, 4.0]])
A, B = TABLE.T.tolist()
BOTH = {"a": A, "b": B}


@pytest.mark.parametrize("x", [
    TABLE, TABLE.tolist(), TABLE.astype(object), jnp.asarray(TABLE, jnp.bfloat16), np.ma.array(TABLE),
    pd.DataFrame(TABLE), pd.DataFrame(BOTH).convert_dtypes(), pd.DataFrame(BOTH, dtype=object),
    pd.DataFrame({"a": pd.array([1, 2, 3], "Int64"), "b": pd.array(B, "Float64")}),
    pd.DataFrame({"a": pd.Series([1, 2, 3], dtype="int64[pyarrow]"), "b": pd.Categorical(B)}),
    pl.DataFrame(BOTH), pl.DataFrame(BOTH).with_columns(pl.col("a").cast(pl.UInt8)),
    pl.DataFrame(BOTH).with_columns(pl.col("b").cast(pl.Decimal(10, 2))),
    pa.table(BOTH), pa.RecordBatch.from_pydict(BOTH),
], ids=lambda x: type(x).__module__)  # fmt: skip
def test_tables_are_read_alike(x):
    np.testing.assert_array_equal(given.numbers("x", x), TABLE)


def test_names_of_columns_are_those_of_frames_that_have_them():
    for frame in (pd.DataFrame(BOTH), pl.DataFrame(BOTH), pa.table(BOTH)):
        assert given.columns(frame) == ("a", "b")
    for other in (TABLE, TABLE.tolist(), pd.DataFrame(TABLE), pd.Series(A), pa.array(A), "x.npy", None):
        assert given.columns(other) == ()


@pytest.mark.parametrize("column", [
    [True, False], np.array([True, False]), pd.array([True, False], "boolean"), pl.Series([True, False]),
    pa.array([True, False]), pa.chunked_array([[True], [False]]), np.array([True, False], object),
], ids=lambda x: type(x).__module__)  # fmt: skip
def test_yes_and_no_are_numbers(column):
    found = given.numbers("x", column)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize("y", [
    ["cat", "dog"], ("cat", "dog"), np.array(["cat", "dog"]), np.array(["cat", "dog"], object),
    np.array(["cat", "dog"], np.dtypes.StringDType()), pd.Series(["cat", "dog"], dtype="string"),
    pd.Series(["cat", "dog"], dtype=object), pd.Categorical(["cat", "dog"]), pd.Index(["cat", "dog"]),
    pd.Series(pd.Categorical(["cat", "dog"])), pd.Series(["cat", "dog"], dtype="string[pyarrow]"),
    pl.Series(["cat", "dog"]), pl.Series(["cat", "dog"], dtype=pl.Categorical), pa.array(["cat", "dog"]),
    pl.Series(["cat", "dog"], dtype=pl.Enum(["dog", "cat"])), pa.array(["cat", "dog"]).dictionary_encode(),
], ids=lambda y: type(y).__module__)  # fmt: skip
def test_labels_may_be_text_of_any_kind(y):
    found = given.labels("y", y)
    assert found.dtype.kind == "U"
    assert found.tolist() == ["cat", "dog"]


MISSING = "has a missing value in row 1"


@pytest.mark.parametrize(("x", "message"), [
    (pd.DataFrame({"a": pd.array([1, None], "Int64")}), f"column 'a' of x {MISSING}; remove or fill it"),
    (pd.DataFrame({"a": [1.0, None]}), f"column 'a' of x {MISSING}"),
    (pd.DataFrame({"a": pd.array([True, None], "boolean")}), f"column 'a' of x {MISSING}"),
    (pl.DataFrame({"a": [1, None]}), f"column 'a' of x {MISSING}"),
    (pa.table({"a": [1, None]}), f"column 'a' of x {MISSING}"),
    (pd.Series([1, None], dtype="Int64"), f"x {MISSING}"),
    (pl.Series([True, None]), f"x {MISSING}"),
    (pa.array([1, None]), f"x {MISSING}"),
    ([1, None], f"x {MISSING}"),
    (np.ma.array([1, 2], mask=[0, 1]), f"x {MISSING}"),
    (np.array([[1.0, 2.0], [3.0, pd.NA]], object), "x has a missing value in row 1, column 1"),
    (sp.csr_matrix(TABLE), r"x is a sparse csr_matrix of shape \(3, 2\); give it dense, by x.toarray\(\)"),
    (sp.lil_array(TABLE), "x is a sparse lil_array"),
    (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), "column 'a' of x is sparse; give it dense"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "x has the column 'a' more than once; rename or drop one"),
    (pa.table([pa.array([1]), pa.array([2])], ["a", "a"]), "x has the column 'a' more than once"),
    (pl.DataFrame({"a": A}).lazy(), "x is a polars.LazyFrame, which is not in memory; collect or compute it"),
    ([[1, "u"], [2, "v"]], "x must hold numbers, not text; row 0, column 1 has 'u'"),
    (np.array([["1"]]), "x must hold numbers, not text; row 0, column 0 has '1'"),
    (pl.DataFrame({"a": [1], "b": ["u"]}), "column 'b' of x must hold numbers, not text; row 0 has 'u'"),
    (pd.DataFrame({"b": ["u"]}), "column 'b' of x must hold numbers, not text; row 0 has 'u'"),
    (pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}), "column 't' of x must hold numbers, got date"),
    ([[1, 2], [3]], "x must be one array; its rows differ in length"),
    (pl.Series([[1, 2], [3]]), "x must hold numbers; row 0 has numpy.ndarray"),
    ({"a": A}, "x must be an array, a data frame or lists, got dict"),
    (None, "x must be an array, a data frame or lists, got NoneType"),
    ([10**400], "x is too large in row 0; rescale it"),
    ([1, 2j], "Complex data not supported: x is complex128"),
    (["a" * 99], r"row 0 has 'a{39}\.\.\.$"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_what_holds_no_numbers_is_refused_in_one_line(x, message):
    with pytest.raises(UsageError, match=message) as caught:
        given.numbers("x", x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("y", "message"), [
    (["cat", None], f"y {MISSING}"),
    (["cat", np.nan], f"y {MISSING}"),
    (pd.Series(["cat", pd.NA], dtype="string"), f"y {MISSING}"),
    (pl.Series(["cat", None]), f"y {MISSING}"),
    (pa.array(["cat", None]).dictionary_encode(), f"y {MISSING}"),
    (["cat", 1], "y holds both text, 'cat' in row 0, and 1 in row 1; make all labels text, or all numbers"),
    ([True, "cat"], "y holds both text, 'cat' in row 1, and True in row 0"),
    (np.array([b"cat"]), r"y holds bytes; give text, such as by y.astype\(str\)"),
    (pd.Series(pd.to_datetime(["2020-01-01"])), "y must hold numbers or text, got datetime64"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_labels_that_are_none_are_refused_in_one_line(y, message):
    with pytest.raises(UsageError, match=message) as caught:
        given.labels("y", y)
    assert "\n" not in str(caught.value)
