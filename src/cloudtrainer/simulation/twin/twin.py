"""The twin of a video: what was measured in it, and how it is told."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cloudtrainer.simulation.noise import Noise
from cloudtrainer.simulation.twin.focus import Focus
from cloudtrainer.simulation.twin.shapes import half_width_px, reach_px, ring_of

_ENDS_AT = 0.03
_DRAWN_TO = 0.003


@dataclass(frozen=True)
class SpotShape:
    """Particles whose light falls off alike.

    Attributes
    ----------
    profile : Tensor
        Light at 0, 0.5, 1, ... px from the middle, float32; its largest value is 1.
    amplitude : Tensor
        Quantiles of what the profile is multiplied by, evenly spaced from 0 to 1, counts, float32.
    per_frame : float
        Particles of this shape in a frame, on average.
    in_focus : float
        Share of them that is in focus.
    is_speck : bool
        Narrower than any lens can make it: a hot pixel, not a particle.
    """

    profile: Tensor
    amplitude: Tensor
    per_frame: float
    in_focus: float
    is_speck: bool = False

    @property
    def half_width_px(self) -> float:
        """Distance from the middle at which the light has fallen to half."""
        return half_width_px(self.profile.cpu().numpy())

    @property
    def reach_px(self) -> float:
        """Distance beyond which there is less than 3% of the largest light."""
        return reach_px(self.profile.cpu().numpy(), _ENDS_AT)

    @property
    def drawn_px(self) -> int:
        """Distance to which it is drawn: where less than 0.3% of the largest light is left."""
        return max(1, math.ceil(reach_px(self.profile.cpu().numpy(), _DRAWN_TO)))

    @property
    def ring(self) -> tuple[float, float] | None:
        """Radius (px) and height (relative to the middle) of a ring; None without one."""
        return ring_of(self.profile.cpu().numpy())

    @property
    def typical_amplitude(self) -> float:
        """Median of the amplitude, counts."""
        return float(self.amplitude[len(self.amplitude) // 2])


@dataclass(frozen=True)
class Twin:
    """What simulated scenes need to look like a video; see `measure_twin` and `draw_twin`.

    Of a video with dark particles all counts are turned over: the largest becomes 0.

    Attributes
    ----------
    name : str
        The video.
    polarity : int
        1 if its particles are bright, -1 if they are dark.
    grounds : Tensor
        What a few frames show without particles and noise, counts, float32,
        (frames, height, width).
    noise : Noise
        The noise of a pixel.
    step, lowest, highest : float
        Distance of neighbouring values, least and largest counts.
    turned_at : float
        The video's own counts are this less those of the twin, where particles are dark.
    saturated : float
        Share of the particles whose brightest pixel is at the largest count.
    shapes : tuple of SpotShape
        The particles, and specks.
    focus : Focus or None
        What tells particles in focus from others; None where all are alike.
    found_per_frame, false_per_frame : float
        Candidates in a frame of the video, and in one of the same ground and noise alone.
    doubts : tuple of str
        What the twin cannot follow, in sentences.
    """

    name: str
    polarity: int
    grounds: Tensor
    noise: Noise
    step: float
    lowest: float
    highest: float
    turned_at: float
    saturated: float
    shapes: tuple[SpotShape, ...]
    focus: Focus | None
    found_per_frame: float
    false_per_frame: float
    doubts: tuple[str, ...] = ()

    def to(self, device: torch.device) -> "Twin":
        """Return the twin on a device."""
        shapes = tuple(
            replace(one, profile=one.profile.to(device), amplitude=one.amplitude.to(device))
            for one in self.shapes
        )
        return replace(self, grounds=self.grounds.to(device), shapes=shapes)

    def multiplied(self, factor: float) -> "Twin":
        """Return a twin with this many times as many particles."""
        shapes = tuple(replace(one, per_frame=factor * one.per_frame) for one in self.shapes)
        return replace(self, shapes=shapes)

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return int(self.grounds.shape[1] * self.grounds.shape[2])

    @property
    def particles_per_frame(self) -> float:
        """Particles in a frame, in focus or not, without specks."""
        return sum(one.per_frame for one in self.shapes if not one.is_speck)

    @property
    def in_focus_per_frame(self) -> float:
        """Of the particles found in a frame, those in focus."""
        particles = [one for one in self.shapes if not one.is_speck]
        in_focus = sum(one.per_frame * one.in_focus for one in particles)
        found = max(self.found_per_frame - self.false_per_frame, 0.0)
        return found * in_focus / max(sum(one.per_frame for one in particles), 1e-12)

    @property
    def density_per_1000_px2(self) -> float:
        """Particles on 1000 px²."""
        return 1000 * self.particles_per_frame / self.pixels

    @property
    def reach_px(self) -> float:
        """Reach of the widest shape."""
        return max(one.reach_px for one in self.shapes)

    @property
    def background(self) -> float:
        """Median of the ground in the counts of the video itself."""
        return self._as_filmed(float(self.grounds.median()))

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise of a pixel at the median of the ground, counts."""
        return float(self.noise.variance(self.grounds.median()).sqrt())

    def _as_filmed(self, counts: float) -> float:
        return counts if self.polarity > 0 else self.turned_at - counts

    def to_dict(self) -> dict[str, Any]:
        """Return what was measured as plain numbers and text, each number with its unit."""
        background = [
            self._as_filmed(float(torch.quantile(self.grounds.flatten()[::17], share)))
            for share in (0.01, 0.5, 0.99)
        ]
        return {
            "video": self.name,
            "frame_px": list(self.grounds.shape[1:]),
            "polarity": "bright" if self.polarity > 0 else "dark",
            "background_counts": {
                "median": background[1],
                "percentile_1": min(background),
                "percentile_99": max(background),
            },
            "noise": {
                "sd_counts": self.noise_sd,
                "gain_counts_per_photon": abs(self.noise.gain),
                "read_noise_counts": self.noise.read_noise,
                "smoothed_px": self.noise.blur_px,
                "step_counts": self.step,
            },
            "particles": {
                "simulated_per_frame": self.particles_per_frame,
                "simulated_per_1000_px2": self.density_per_1000_px2,
                "found_per_frame": self.found_per_frame,
                "found_in_focus_per_frame": self.in_focus_per_frame,
                "false_candidates_per_frame": self.false_per_frame,
            },
            "focus": None
            if self.focus is None
            else {"peak_counts": self.focus.peak, "least_peak_counts": self.focus.least},
            "shapes": [_shape_entry(one, self.noise_sd) for one in self.shapes],
            "doubts": list(self.doubts),
        }

    def __str__(self) -> str:
        return "\n".join([*self.sentences(), *(f"warning: {doubt}" for doubt in self.doubts)])

    def sentences(self) -> list[str]:
        """Say what was measured."""
        kind = "bright" if self.polarity > 0 else "dark"
        lines = [
            f"{self.name}: {self.found_per_frame:.3g} {kind} particles a frame were found; "
            f"simulated are {self.particles_per_frame:.3g} ({self.density_per_1000_px2:.2g} on "
            f"1000 px²), over a background of {self.background:.4g} counts with a noise of "
            f"{self.noise_sd:.3g} counts.",
            self._about_noise(),
        ]
        lines += [self._about(one) for one in self.shapes]
        if self.focus is None:
            lines.append("Their shapes do not differ by focus: all are taken to be in focus.")
        else:
            lines.append(
                f"In focus, and measured: {self.in_focus_per_frame:.3g} a frame, with a peak of at "
                f"least {self.focus.least:.3g} counts, half of the {self.focus.peak:.3g} in the "
                "focal plane (the 95th percentile of all peaks). The others are found and tracked, "
                "and left out of D."
            )
        return lines

    def _about_noise(self) -> str:
        gain = abs(self.noise.gain)
        smoothed = f", smoothed over {self.noise.blur_px:.1f} px" if self.noise.blur_px > 0 else ""
        if gain == 0:
            return f"The noise is taken to be the same at every intensity{smoothed}."
        like_photons = "" if smoothed else " as that of photons"
        return (
            f"The noise grows with the intensity{like_photons}, {gain:.3g} counts a photon, over a "
            f"read noise of {self.noise.read_noise:.3g} counts{smoothed}."
        )

    def _about(self, one: SpotShape) -> str:
        if one.is_speck:
            return f"  {one.per_frame:.3g} hot pixels a frame: drawn, not to be found"
        ring = one.ring
        ringed = "" if ring is None else f", with a ring of radius {ring[0]:.0f} px"
        return (
            f"  {one.per_frame:.3g} a frame: half width {one.half_width_px:.2g} px{ringed}, "
            f"{one.typical_amplitude:.3g} counts high ({one.typical_amplitude / self.noise_sd:.2g} "
            f"x noise){f', {100 * one.in_focus:.0f}% in focus' if self.focus else ''}"
        )


def _shape_entry(one: SpotShape, noise_sd: float) -> dict[str, Any]:
    ring = one.ring
    quantiles = one.amplitude.cpu()
    last = len(quantiles) - 1
    return {
        "per_frame": one.per_frame,
        "kind": "speck" if one.is_speck else "particle",
        "in_focus_share": one.in_focus,
        "half_width_px": one.half_width_px,
        "reach_px": one.reach_px,
        "ring_radius_px": None if ring is None else ring[0],
        "ring_height": None if ring is None else ring[1],
        "amplitude_counts": {
            f"percentile_{share}": float(quantiles[round(last * share / 100)])
            for share in (5, 25, 50, 75, 95)
        },
        "amplitude_over_noise": one.typical_amplitude / noise_sd if noise_sd > 0 else None,
        "profile_every_half_px": [round(float(value), 4) for value in one.profile.cpu()],
    }
