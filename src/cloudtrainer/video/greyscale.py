"""Colour to luminance."""

from typing import Any

import numpy as np
import numpy.typing as npt

REC709 = (0.2126, 0.7152, 0.0722)


def luminance(colour: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the luminance of colour pixels, on the scale of the input.

    The weights are those of Rec. ITU-R BT.709, applied to the stored values as they are: a camera's
    pixels are taken to be linear in intensity. Equal red, green and blue keep their value exactly.

    Parameters
    ----------
    colour
        Array (..., 3) or (..., 4): red, green, blue and, ignored, opacity.

    Returns
    -------
    numpy.ndarray
        Array (...), float32.
    """
    grey = np.zeros(colour.shape[:-1], dtype=np.float64)
    for sample, weight in enumerate(REC709):
        grey += weight * colour[..., sample]
    return grey.astype(np.float32)
