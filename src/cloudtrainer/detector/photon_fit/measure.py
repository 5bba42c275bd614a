"""What the spots of some frames have in common, measured by fitting the surest of them."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from cloudtrainer.detector.photon_fit.appearance import Appearance
from cloudtrainer.detector.photon_fit.fitting import fit_spots
from cloudtrainer.detector.photon_fit.patches import Patches
from cloudtrainer.detector.photon_fit.solve import Solved

# As many as decide it, the surest first.
_ENOUGH_SPOTS = 400
_LEAST_SPOTS = 8
_SPREAD_LIMITS = (0.03, 0.4)
# The noise that light adds is not known in the first round.
_ROUNDS = 3
# Squared signal-to-noise ratio from which on the shape of a spot can be judged.
_BRIGHT = 200.0
_UNKNOWN = Appearance(sigma_px=1.5, sigma_spread=0.35, gain=0.0, misfit=0.01)


def measure_appearance(
    frames: Tensor, variance: Tensor, frame: Tensor, x: Tensor, y: Tensor
) -> Appearance:
    """Measure what the spots of some frames have in common.

    Parameters
    ----------
    frames : Tensor
        Intensities with bright particles, (frames, height, width).
    variance : Tensor
        Variance of the noise of each frame's ground, counts², (frames,).
    frame, x, y : Tensor
        Spots, the surest first: number of the frame and position in pixels, (spots,).
    """
    if len(x) == 0:
        return _UNKNOWN
    guess = Patches.around(frames, variance, frame, x, y, 7).first_guess(frame, x, y)
    usual = replace(_UNKNOWN, sigma_px=float(guess.sigma[:_ENOUGH_SPOTS].median()))
    looked = torch.arange(min(len(x), _ENOUGH_SPOTS), device=x.device)
    for _ in range(_ROUNDS):
        usual = _common(fit_spots(frames, variance, guess, looked, usual, leverage=True), usual)
    return usual


def _common(fitted: Solved, before: Appearance) -> Appearance:
    chance = torch.sqrt(2 / fitted.freedom)
    sound = fitted.surprise / fitted.freedom < 1.5 + 3 * chance
    sharp = fitted.log_sigma_error < 0.15
    sigma, spread = before.sigma_px, before.sigma_spread
    if int((sound & sharp).sum()) >= _LEAST_SPOTS:
        log_sigma = fitted.spots.sigma[sound & sharp].log()
        middle = log_sigma.median()
        seen = 1.4826 * (log_sigma - middle).abs().median()
        by_noise = fitted.log_sigma_error[sound & sharp].square().median()
        spread = math.sqrt(max(0.0, float(seen**2 - by_noise)))
        sigma, spread = float(middle.exp()), min(max(spread, _SPREAD_LIMITS[0]), _SPREAD_LIMITS[1])
    gain = _gain(fitted, sound)
    bright = (fitted.weight * fitted.light**2).sum(1)
    excess = (fitted.surprise - fitted.freedom) / bright.clamp(min=1)
    telling = bright > _BRIGHT
    enough = int(telling.sum()) >= _LEAST_SPOTS
    misfit = max(0.0, float(excess[telling].median())) if enough else _UNKNOWN.misfit
    return Appearance(sigma, spread, gain, misfit)


def _gain(fitted: Solved, sound: Tensor) -> float:
    """Regress the squared residuals, less those of the ground, on the light.

    The fit follows part of the noise: what is left of it is larger by 1 / (1 - leverage).
    """
    assert fitted.leverage is not None
    ground = fitted.variance[:, None]
    of_light = (fitted.weight > 0) & (fitted.light > 0.2 * ground.sqrt()) & sound[:, None]
    squared = fitted.residual**2 / (1 - fitted.leverage) - ground
    trust = of_light * (fitted.weight * (1 - fitted.leverage)) ** 2
    top, bottom = (trust * squared * fitted.light).sum(), (trust * fitted.light**2).sum()
    return float(top / bottom) if float(bottom) > 0 else 0.0
