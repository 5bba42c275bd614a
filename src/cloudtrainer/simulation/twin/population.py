"""The particles of a video, from its candidates: shapes, shares, brightness and focus."""

import numpy as np
import torch
from numpy.typing import NDArray

from cloudtrainer.simulation.twin.focus import Focus
from cloudtrainer.simulation.twin.profiles import Floats
from cloudtrainer.simulation.twin.shapes import Sorted, half_width_px
from cloudtrainer.simulation.twin.twin import SpotShape

_QUANTILES = 21
_NARROWEST_PX = 0.75
_RARE = 0.1
_FAINT, _FAINTEST = 3.0, 1.5
_WIDER = 1.15


def particle_shapes(
    by_shape: Sorted, peaks: Floats, sd: float, per_frame: float
) -> tuple[tuple[SpotShape, ...], Focus | None]:
    """Return the shapes that are particles or specks, and what tells those in focus."""
    number = len(by_shape.profiles)
    share = np.bincount(by_shape.shape, minlength=number) / len(by_shape.shape)
    own = [by_shape.amplitude[by_shape.shape == k] for k in range(number)]
    typical = [float(np.median(some)) if len(some) else 0.0 for some in own]
    specks = [half_width_px(profile) < _NARROWEST_PX for profile in by_shape.profiles]
    kept = [k for k in range(number) if share[k] > 0 and not _is_rubbish(share[k], typical[k], sd)]
    particle = np.isin(by_shape.shape, [k for k in kept if not specks[k]])
    focus = Focus.of(peaks[particle]) if particle.any() else None
    if focus is not None and not _some_out_of_focus(by_shape, peaks, focus, particle):
        focus = None
    shapes = []
    for k in kept:
        here = peaks[by_shape.shape == k]
        in_focus = 1.0 if focus is None else float((here >= focus.least).mean())
        shapes.append(
            SpotShape(
                profile=torch.as_tensor(by_shape.profiles[k]),
                amplitude=torch.as_tensor(_amplitudes(own[k])),
                per_frame=per_frame * float(share[k]),
                in_focus=0.0 if specks[k] else in_focus,
                is_speck=specks[k],
            )
        )
    return tuple(sorted(shapes, key=lambda one: -one.per_frame)), focus


def _is_rubbish(share: float, typical: float, sd: float) -> bool:
    """Tell shapes of no particle: rare and hardly above the noise."""
    return typical < (_FAINT if share < _RARE else _FAINTEST) * sd


def _some_out_of_focus(
    by_shape: Sorted, peaks: Floats, focus: Focus, particle: NDArray[np.bool_]
) -> bool:
    """Tell whether a tenth of the particles or more are both wider and half as high."""
    bright = particle & (peaks >= focus.peak)
    sharp = int(np.bincount(by_shape.shape[bright], minlength=1).argmax()) if bright.any() else 0
    width = np.array([_light_radius(profile) for profile in by_shape.profiles])
    wide = width[by_shape.shape] > _WIDER * width[sharp]
    return float((wide & (peaks < focus.least))[particle].mean()) >= _RARE


def _light_radius(profile: Floats) -> float:
    """Return the radius within which half of a shape's light falls, px."""
    distance = np.arange(len(profile)) / 2
    light = np.cumsum(np.abs(profile) * distance)
    return float(np.interp(light[-1] / 2, light, distance))


def _amplitudes(values: Floats) -> Floats:
    """Return quantiles; the lowest is half the 5th percentile, for dimmer ones are not found."""
    quantiles = np.quantile(values, np.linspace(0, 1, _QUANTILES)).astype(np.float32)
    quantiles[0] = quantiles[1] / 2
    return quantiles
