"""What a network saw, before and after the fit to the photons."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.pairs import Pairs
from cloudtrainer.detector.photon_fit.solve import Solved

# A fit that leaves the network's position by more than this, px, has found something else.
_STAYS_WITHIN_PX = 1.5
# In widths of the spot: a dim spot's photons alone are not sharper than the network, which knows
# what spots look like; this is a signal-to-noise ratio of about 8.
_SHARP = 0.12
# Both errors are estimates: a fit is left only where it is clearly less sharp than the network.
_SHARPER = 2.0


@dataclass(frozen=True)
class Seen:
    """Spots of a few frames; every tensor has shape (spots,).

    Attributes
    ----------
    frame : Tensor
        Which frame a spot is in, int64.
    x, y, x_error, y_error : Tensor
        Position and its standard errors, px.
    probability : Tensor
        That a particle is there, 0 to 1.
    """

    frame: Tensor
    x: Tensor
    y: Tensor
    x_error: Tensor
    y_error: Tensor
    probability: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def of(self, chosen: Tensor) -> "Seen":
        """Return some of the spots."""
        return Seen(**{name: values[chosen] for name, values in vars(self).items()})

    def parted(self, pairs: Pairs) -> "Seen":
        """Return the spots with pairs in the place of single ones; their second spots last."""
        more = self.of(pairs.of)
        both = Seen(
            **{name: torch.cat([values, vars(more)[name]]) for name, values in vars(self).items()}
        )
        places = {}
        for name in ("x", "y"):
            one = vars(self)[name].index_copy(0, pairs.of, vars(pairs.first)[name])
            places[name] = torch.cat([one, vars(pairs.second)[name]])
        return replace(both, **places)

    def fitted(self, fits: Solved) -> "Seen":
        """Return the spots at their fitted positions, where the fit is sharp and stays near."""
        spots = fits.spots
        excess = (fits.surprise / fits.freedom - 0.25).clamp(min=1).sqrt()
        x_error, y_error = excess * fits.x_error, excess * fits.y_error
        near = torch.hypot(spots.x - self.x, spots.y - self.y) < _STAYS_WITHIN_PX
        sharp = torch.maximum(x_error, y_error) < _SHARP * spots.sigma
        sharp &= x_error + y_error < _SHARPER * (self.x_error + self.y_error)
        good = near & sharp & spots.x.isfinite() & spots.y.isfinite()
        return replace(
            self,
            x=torch.where(good, spots.x, self.x),
            y=torch.where(good, spots.y, self.y),
            x_error=torch.where(good, x_error, _not_below(self.x_error, x_error)),
            y_error=torch.where(good, y_error, _not_below(self.y_error, y_error)),
        )


def _not_below(stated: Tensor, by_photons: Tensor) -> Tensor:
    """Return the network's errors where they are no smaller than the photons allow, else these.

    The photons of a spot that is hardly there say little of that, either: at most twice as much.
    """
    least = torch.where(by_photons.isfinite(), by_photons, 0.0).minimum(_SHARPER * stated)
    return torch.maximum(stated, least)
