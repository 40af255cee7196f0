"""Tables of observations: any data frame, a dictionary of columns, or a CSV or Parquet file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from populace.core.errors import RunError, UsageError, first_line, unknown
from populace.data.given import frame


@dataclass(frozen=True)
class Table:
    """Columns by name, and how a row of them is called in a message.

    Attributes:
        frame: the columns; pandas, polars and Arrow alike, through narwhals.
        source: the file, or what else the table is.
        file: whether it came from a text file, whose rows are counted as lines.

    """

    frame: Any
    source: str
    file: bool = False

    @classmethod
    def read(cls, given: Any, *, text: Sequence[str] = ()) -> "Table":
        """Return the table in a frame, a dictionary of columns, or a file's path.

        Args:
            given: a pandas, polars or Arrow frame, a dictionary, a `Table`, or the path of a `.csv` (which
                may be packed: `.csv.gz`) or a `.parquet`.
            text: columns of a CSV file to leave as the text they are.

        Raises:
            UsageError: anything else, no rows, or columns of one name.
            RunError: a file that cannot be read.

        """
        if isinstance(given, Table):
            return given
        if isinstance(given, str | Path):
            table = _file(Path(given), text)
        elif isinstance(given, Mapping):
            table = cls(_dictionary(given), "the table")
        else:
            found = frame(given, "the data frame")
            if not isinstance(found, nw.DataFrame):
                raise UsageError(
                    "expected a data frame (pandas, polars or Arrow), a dictionary of columns, or a path, "
                    f"got {type(given).__name__}"
                )
            table = cls(found, "the table")
        if not len(table.frame):
            raise UsageError(f"{table.source} has no rows")
        return table

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def row(self, index: int) -> str:
        """Return what a row is called: `data.csv, line 18` (line 1 is the header), `row 16 of the table`."""
        return f"{self.source}, line {index + 2}" if self.file else f"row {index} of {self.source}"

    def column(self, name: str) -> Any:
        """Return a column as a narwhals series.

        Raises:
            UsageError: there is none of that name.

        """
        if name not in self.frame.columns:
            raise unknown("column", str(name), self.columns, where=f" in {self.source}")
        return self.frame.get_column(name)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64, (rows,); what is missing is NaN.

        Raises:
            UsageError: text or infinity, with the row it is in.

        """
        column = self.column(name)
        kind = column.dtype
        if not (kind.is_numeric() or kind in (nw.Boolean, nw.Unknown) or kind.is_decimal()):
            raise self._not_a_number(name, column.to_list())
        try:
            values = column.cast(nw.Float64).to_numpy()
        except Exception:  # whichever library holds the column has its own
            raise self._not_a_number(name, column.to_list()) from None
        values = np.asarray(values, np.float64)
        bad = np.flatnonzero(np.isinf(values))
        if bad.size:
            raise UsageError(f"{self.row(int(bad[0]))}: '{name}' is infinite; expected a number, or nothing")
        return values

    def _not_a_number(self, name: str, values: list[Any]) -> UsageError:
        """Return the error of a column that holds something else than numbers, with its first row."""
        for index, value in enumerate(values):
            if value is not None and not (_is_number(value) and (self.file or not isinstance(value, str))):
                shown = f"{value!r:.40}"
                return UsageError(f"{self.row(index)}: '{name}' is {shown}; expected a number, or nothing")
        return UsageError(f"'{name}' of {self.source} holds no numbers; expected a column of numbers")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _dictionary(given: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    columns = {
        str(name): np.asarray(values) if not isinstance(values, list) else values
        for name, values in given.items()
    }
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        seen = ", ".join(f"'{name}' {length}" for name, length in list(lengths.items())[:6])
        raise UsageError(f"the columns differ in length ({seen}); expected one length")
    try:
        return nw.from_native(pa.table(columns), eager_only=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"the columns cannot be read: {first_line(error)}") from None


def _file(path: Path, text: Sequence[str]) -> Table:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if not path.is_file():
        raise UsageError(f"there is no file {path}; expected a .csv or a .parquet")
    try:
        if path.suffix == ".parquet":
            return Table(nw.from_native(pyarrow.parquet.read_table(path), eager_only=True), path.name)
        options = pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in text}, timestamp_parsers=[], strings_can_be_null=True
        )
        try:
            found = pyarrow.csv.read_csv(path, convert_options=options)
        except pa.ArrowInvalid:  # one thread says which row it was
            found = pyarrow.csv.read_csv(
                path, convert_options=options, read_options=pyarrow.csv.ReadOptions(use_threads=False)
            )
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        why = first_line(error).replace("CSV parse error: Row #", "line ")
        raise RunError(f"{path} cannot be read: {why}{_separator(path)}") from None
    names = found.column_names
    if len(names) == 1 and _separator(path):
        raise RunError(f"{path} has one column{_separator(path)}")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise RunError(f"{path} has two columns '{twice[0]}'; expected names that differ")
    return Table(nw.from_native(found, eager_only=True), path.name, file=True)


def _separator(path: Path) -> str:
    """Return what separates the columns of a text file, where that is no comma."""
    if path.suffix == ".parquet":
        return ""
    with path.open(errors="replace") as file:
        header = file.readline()
    mark = next((mark for mark in (";", "\t") if mark in header and "," not in header), None)
    if mark is None:
        return ""
    return f"; columns seem to be separated by {'tabs' if mark != ';' else 'semicolons'}; expected commas"
