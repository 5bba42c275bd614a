"""Gauss-Newton fits of Gaussian spots to their photons, each together with the spots beside it."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.patches import Patches, Spots

_LONGEST_STEP_PX = 0.5
_LARGEST_STEP_LOG_SIGMA = 0.25
_SIGMA_LIMITS_PX = (0.5, 8.0)
# How far a neighbour, which is fitted for itself elsewhere, may leave its place, px.
_NEIGHBOUR_LEEWAY_PX = 0.5


@dataclass(frozen=True)
class Solved:
    """Fitted spots; per-spot tensors have shape (spots,), the others (spots, pixels).

    Attributes
    ----------
    spots : Spots
        The spots as fitted.
    partner : Spots or None
        The second spot of each pair, where pairs were fitted.
    x_error, y_error : Tensor
        Standard errors from the Fisher information, px.
    log_sigma_error : Tensor
        Standard error of the logarithm of the width.
    column, row : Tensor
        Pixel at the centre of each patch.
    surprise : Tensor
        Squared residuals over their variance, summed over the patch, plus what a width costs that
        is unusual in these frames.
    freedom : Tensor
        Pixels less parameters: what ``surprise`` is on average.
    light : Tensor
        Fitted light above the ground, counts.
    residual : Tensor
        Counts less the fit.
    variance : Tensor
        Variance of the noise of the ground, counts², (spots,).
    weight : Tensor
        One over the variance; 0 outside the patch or the frame.
    leverage : Tensor or None
        Share of each pixel's noise that the fit follows, where it was asked for.
    """

    spots: Spots
    partner: Spots | None
    x_error: Tensor
    y_error: Tensor
    log_sigma_error: Tensor
    column: Tensor
    row: Tensor
    surprise: Tensor
    freedom: Tensor
    light: Tensor
    residual: Tensor
    variance: Tensor
    weight: Tensor
    leverage: Tensor | None

    def of(self, chosen: Tensor) -> "Solved":
        """Return some of the fits."""
        parts: dict[str, Any] = {name: _some(value, chosen) for name, value in vars(self).items()}
        return Solved(**parts)

    @classmethod
    def chosen(cls, which: Tensor, these: "Solved", others: "Solved") -> "Solved":
        """Return these fits where ``which`` is true, and the others elsewhere."""
        numbers = torch.arange(len(which), device=which.device)
        return cls.joined([others, these]).of(numbers + len(which) * which)

    @classmethod
    def joined(cls, parts: list["Solved"]) -> "Solved":
        """Put fits behind each other; of pairs, all or none."""
        names = vars(parts[0])
        return cls(**{name: _behind([vars(part)[name] for part in parts]) for name in names})


def _some(value: Spots | Tensor | None, chosen: Tensor) -> Spots | Tensor | None:
    if value is None:
        return None
    return value.of(chosen) if isinstance(value, Spots) else value[chosen]


def _behind(values: list[Any]) -> Any:
    if values[0] is None:
        return None
    if isinstance(values[0], Spots):
        return reduce(Spots.with_more, values)
    return torch.cat(values)


def solve(
    patches: Patches,
    spots: Spots,
    beside: Spots,
    there: Tensor,
    appearance: Appearance,
    *,
    iterations: int,
    pairs: bool = False,
    leverage: bool = False,
) -> Solved:
    """Fit spots, each on its own patch, with the spots beside it.

    Weighted least squares, which for photon noise with weights from the fit itself is as sharp as
    maximum likelihood (Smith et al. 2010, Nature Methods 7:373, reach the Cramer-Rao bound so). The
    width of a spot is free within what is usual in these frames; its neighbours keep their width
    and stay near their place.

    Parameters
    ----------
    patches : Patches
        The pixels around each spot.
    spots : Spots
        Where to begin, (spots,).
    beside : Spots
        Neighbours; every tensor has shape (spots, neighbours).
    there : Tensor
        Which of them exist, bool, (spots, neighbours).
    appearance : Appearance
        Widths that are usual, and how the noise grows with the light.
    iterations : int
        Steps to take.
    pairs : bool
        The first neighbour is the other half of a pair: free to move.
    leverage : bool
        Say how much of each pixel's noise the fit follows.
    """
    fit = _Fit(patches, spots, beside, there, appearance, pairs, leverage)
    for _ in range(iterations):
        fit.step()
    return fit.result()


class _Fit:
    """The running state: components are the spot itself (0) and its neighbours, (spots, C)."""

    def __init__(
        self,
        patches: Patches,
        spots: Spots,
        beside: Spots,
        there: Tensor,
        appearance: Appearance,
        pairs: bool,
        with_leverage: bool,
    ) -> None:
        self.patches, self.appearance, self.with_leverage = patches, appearance, with_leverage
        self.frame, self.ground = spots.frame, spots.ground
        self.free = 2 if pairs else 1
        self.exists = functional.pad(there.float(), (1, 0), value=1.0)
        self.components = self.exists.shape[1]

        def all_of(name: str) -> Tensor:
            own, others = getattr(spots, name), getattr(beside, name)
            return torch.cat([own[:, None], others], dim=1)

        self.peak = all_of("peak") * self.exists
        self.sigma = all_of("sigma")
        self.x = all_of("x") - patches.column[:, None]
        self.y = all_of("y") - patches.row[:, None]
        self.x_first, self.y_first = self.x, self.y
        self.parameters = 3 * self.components + 2

    def step(self) -> None:
        self._look()
        scale = self.information.diagonal(dim1=1, dim2=2).clamp(min=1e-12).rsqrt()
        scaled = self.information * scale[:, :, None] * scale[:, None, :]
        scaled = scaled + 1e-4 * torch.eye(self.parameters, device=scaled.device)
        factor, failed = torch.linalg.cholesky_ex(scaled)
        step = torch.cholesky_solve((self.slope * scale)[:, :, None], factor)[:, :, 0] * scale
        step = torch.where((failed == 0)[:, None] & step.isfinite(), step, 0.0)
        some = self.components
        peak = self.peak + step[:, :some]
        self.peak = torch.maximum(peak, 0.05 * self.peak) * self.exists
        longest = _LONGEST_STEP_PX
        self.x = self.x + step[:, some : 2 * some].clamp(-longest, longest) * self.exists
        self.y = self.y + step[:, 2 * some : 3 * some].clamp(-longest, longest) * self.exists
        growth = step[:, -2].clamp(-_LARGEST_STEP_LOG_SIGMA, _LARGEST_STEP_LOG_SIGMA).exp()
        own = (self.sigma[:, : self.free] * growth[:, None]).clamp(*_SIGMA_LIMITS_PX)
        self.sigma = torch.cat([own, self.sigma[:, self.free :]], dim=1)
        self.ground = self.ground + step[:, -1]

    def result(self) -> Solved:
        self._look()
        scale = self.information.diagonal(dim1=1, dim2=2).clamp(min=1e-12).rsqrt()
        scaled = self.information * scale[:, :, None] * scale[:, None, :]
        scaled = scaled + 1e-6 * torch.eye(self.parameters, device=scaled.device)
        factor, _ = torch.linalg.cholesky_ex(scaled)
        covariance = torch.cholesky_inverse(factor) * scale[:, :, None] * scale[:, None, :]
        some = self.components
        error = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
        unusual = self._unusual_width() ** 2
        parameters = 5 + 3 * self.exists[:, 1:].sum(1)
        return Solved(
            spots=self._component(0),
            partner=self._component(1) if self.free == 2 else None,
            x_error=error[:, some],
            y_error=error[:, 2 * some],
            log_sigma_error=error[:, -2],
            column=self.patches.column,
            row=self.patches.row,
            surprise=(self.weight * self.residual**2).sum(1) + unusual,
            freedom=(self.patches.inside.sum(1) - parameters).clamp(min=10),
            light=self.light,
            residual=self.residual,
            variance=self.patches.variance,
            weight=self.weight,
            leverage=self._leverage(covariance) if self.with_leverage else None,
        )

    def _leverage(self, covariance: Tensor) -> Tensor:
        return torch.bmm(covariance, self.slopes).mul_(self.slopes).sum(1).clamp(0, 0.9)

    def _look(self) -> None:
        """Compare the fit with the pixels: residuals, and slopes and information in noise sds."""
        steps, some = self.patches.steps, self.components
        right = (steps - self.x[..., None]) / self.sigma[..., None]
        down = (steps - self.y[..., None]) / self.sigma[..., None]
        across = torch.exp(-0.5 * right**2) * self.exists[..., None]
        along = torch.exp(-0.5 * down**2)
        tall = self.peak[..., None] * along
        slopes = across.new_empty(len(tall), self.parameters, len(steps), len(steps))
        torch.mul(along[..., :, None], across[..., None, :], out=slopes[:, :some])
        torch.mul(
            tall[..., :, None],
            (across * right / self.sigma[..., None])[..., None, :],
            out=slopes[:, some : 2 * some],
        )
        torch.mul(
            (tall * down / self.sigma[..., None])[..., :, None],
            across[..., None, :],
            out=slopes[:, 2 * some : 3 * some],
        )
        # Widening by a share: a pair widens together.
        wider = slopes[:, -2]
        wider.zero_()
        for own in range(self.free):
            wider += tall[:, own, :, None] * (across * right**2)[:, own, None, :]
            wider += (tall * down**2)[:, own, :, None] * across[:, own, None, :]
        slopes[:, -1] = 1
        self.slopes = slopes.flatten(2)
        self.light = torch.bmm(self.peak[:, None, :], self.slopes[:, :some])[:, 0]
        self.residual = self.patches.counts - self.light - self.ground[:, None]
        variance = self.appearance.variance(self.patches.variance[:, None], self.light)
        self.weight = self.patches.inside / variance
        sharpness = self.weight.sqrt()
        self.slopes *= sharpness[:, None, :]
        self.information = torch.bmm(self.slopes, self.slopes.transpose(1, 2))
        self.slope = torch.bmm(self.slopes, (sharpness * self.residual)[:, :, None])[:, :, 0]
        self._add_priors()

    def _add_priors(self) -> None:
        some, free = self.components, self.free
        more = torch.zeros_like(self.slope)
        spread = self.appearance.sigma_spread
        more[:, -2] = 1 / spread**2
        self.slope[:, -2] -= self._unusual_width() / spread
        kept = 1 / _NEIGHBOUR_LEEWAY_PX**2
        for first, now, began in ((some, self.x, self.x_first), (2 * some, self.y, self.y_first)):
            more[:, first + free : first + some] = kept
            self.slope[:, first + free : first + some] += kept * (began - now)[:, free:]
        # Neighbours that do not exist, and peaks of none, must not make it singular.
        absent = 1 - self.exists
        for first in (0, some, 2 * some):
            more[:, first : first + some] += absent
        more[:, :some] += 1e-6 / self.patches.variance[:, None]
        self.information.diagonal(dim1=1, dim2=2).add_(more)

    def _unusual_width(self) -> Tensor:
        """Return how many standard deviations the width is from what is usual."""
        usual = self.sigma[:, 0] / self.appearance.sigma_px
        return usual.log() / self.appearance.sigma_spread

    def _component(self, number: int) -> Spots:
        return Spots(
            self.frame,
            self.x[:, number] + self.patches.column,
            self.y[:, number] + self.patches.row,
            self.peak[:, number],
            self.sigma[:, number],
            self.ground,
        )
