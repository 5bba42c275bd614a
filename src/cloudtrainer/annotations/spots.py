"""The positions that a file of labels or tracks holds, whatever its format."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spots:
    """Positions as they stand in a file, in pixels, not yet checked.

    Attributes
    ----------
    table : DataFrame
        ``frame, x, y`` (px) and, where the format carries tracks, ``particle``; perhaps further
        columns. Values may still be text.
    rows : ndarray of int64, shape (n,), or None
        Line of the file that each row of the table stands on; None where it has no lines.
    format : str
        Name of the format, for people.
    untracked : bool
        Whether an empty ``particle`` says that a position belongs to no track; elsewhere it is a
        fault of the file.
    repeats : bool
        Whether one position may stand in two tracks, as where a track splits; elsewhere it is a
        label given twice.
    """

    table: pd.DataFrame
    rows: NDArray[np.int64] | None
    format: str
    untracked: bool = False
    repeats: bool = False
