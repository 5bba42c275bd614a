"""Whether a video's particles are bright or dark, from what a detector finds in a few frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Particles of the other sign: this many times as many as of its own, and more than a few.
_TURNED, _FEW_PARTICLES = 2.0, 2.0
_BOTH_SIGNS = 0.35


@dataclass(frozen=True)
class SignsSeen:
    """What a detector finds of both signs.

    Attributes
    ----------
    frames : list of int
        The frames looked at.
    evidence : ndarray
        Summed probability of bright and of dark particles in each of them, (frames, 2).
    """

    frames: list[int]
    evidence: NDArray[np.float64]

    @property
    def sign(self) -> int:
        """1 where bright particles are more, and surer; -1 where dark ones are."""
        bright, dark = self.evidence.sum(axis=0)
        return -1 if dark > bright else 1

    def doubt(self, sign: int) -> str:
        """Say where particles have the other sign than is looked for; nothing if nowhere."""
        own, other = (0, 1) if sign > 0 else (1, 0)
        name, contrary = ("bright", "dark") if sign > 0 else ("dark", "bright")
        total = self.evidence.sum(axis=0)
        typical = float(np.median(self.evidence[:, own]))
        turned = self.evidence[:, other] > np.maximum(
            _TURNED * self.evidence[:, own], max(0.5 * typical, _FEW_PARTICLES)
        )
        if turned.any() and not turned.all():
            when = ", ".join(str(self.frames[n]) for n in np.flatnonzero(turned))
            return (
                f"The particles are {name} in most of the video, but {contrary} in frame {when}: "
                f"they are looked for as {name} ones throughout; analyse the parts apart "
                "(--frames)."
            )
        if total[other] < _BOTH_SIGNS * total[own] or total[own] == 0:
            return ""
        if total[other] < _FEW_PARTICLES * len(self.evidence):
            return ""
        return (
            f"There are {name} spots and {contrary} ones ({total[own]:.0f} to {total[other]:.0f} "
            f"in the frames compared): only the {name} ones are looked for (--polarity {contrary} "
            "for the others)."
        )
