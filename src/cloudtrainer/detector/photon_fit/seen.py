"""What a network saw, before and after the fit to the photons."""

from dataclasses import dataclass, replace

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from cloudtrainer.detector.photon_fit.pairs import Pairs
from cloudtrainer.detector.photon_fit.patches import places
from cloudtrainer.detector.photon_fit.solve import Solved

# A fit that leaves the network's position by more than this, px, has found something else.
_STAYS_WITHIN_PX = 1.5
# The light of a spot that is likelier than this, and reaches so many widths, is reckoned with.
LIKELY = 0.5
_ALONE_WIDTHS = 5.0
# In widths of the spot: a dim spot's photons alone are not sharper than the network, which knows
# what spots look like; this is a signal-to-noise ratio of about 12.
_SHARP = 0.12
# Both errors are estimates: a fit is left only where it is clearly less sharp than the network.
_SHARPER = 2.0
# A doubtful spot may be a peak of the noise nearby: its error grows with the doubt, by an exponent
# measured on simulated scenes.
_DOUBT, _LEAST_PROBABILITY = 0.5, 0.05


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

    def alone(self, sigma_px: float) -> Tensor:
        """Return whether no other spot that is likely sheds light on one, bool, (spots,)."""
        likely = self.probability >= LIKELY
        # A likely spot has itself within reach.
        return self.of(likely).shedding_light(self, sigma_px) == likely

    def shedding_light(self, at: "Seen", sigma_px: float) -> Tensor:
        """Return how many of the spots shed light on each of some places, (places,)."""
        if len(self) == 0:
            return torch.zeros_like(at.frame)
        number = cKDTree(places(self.frame, self.x, self.y)).query_ball_point(
            places(at.frame, at.x, at.y), _ALONE_WIDTHS * sigma_px, return_length=True
        )
        return torch.as_tensor(number, device=self.x.device)

    def pairs(self, within_px: float) -> Tensor:
        """Return the numbers of spots of one frame that are near each other, (pairs, 2)."""
        near = cKDTree(places(self.frame, self.x, self.y)).query_pairs(
            within_px, output_type="ndarray"
        )
        return torch.as_tensor(near, device=self.x.device)

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


def with_doubt(error: Tensor, probability: Tensor) -> Tensor:
    """Return errors, px, that allow for spots that are no particles."""
    return error / probability.clamp(min=_LEAST_PROBABILITY) ** _DOUBT
