"""Arrays that belong together row by row."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Self = TypeVar("Self", bound="Rows")


@dataclass
class Rows:
    """Base of dataclasses whose fields are all arrays of equal length."""

    def __getitem__(self: Self, rows: np.ndarray) -> Self:
        """The rows that a mask or indices choose, as copies."""
        if rows.dtype == bool:
            rows = rows.nonzero()[0]
        # A third of the time of values[rows], which the many small arrays of a moment add up.
        return type(self)(**{name: values.take(rows, 0) for name, values in vars(self).items()})

    def __setitem__(self: Self, rows: np.ndarray, other: Self) -> None:
        for name, values in vars(self).items():
            values[rows] = getattr(other, name)

    def __add__(self: Self, other: Self) -> Self:
        """These rows, then the other's."""
        return type(self)(
            **{
                name: np.concatenate([values, getattr(other, name)])
                for name, values in vars(self).items()
            }
        )
