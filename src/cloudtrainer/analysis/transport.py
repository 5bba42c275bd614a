"""The mobility of an analysis, and what a reader must know of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloudtrainer.analysis.material import Material
from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.diffusion import Mobility, TransportLimits, mobility
from cloudtrainer.diffusion.mobility import REFERENCE_S

_MANY_UNDETERMINED = 0.1
# Places that were masked, as a share of the tracks, that do not change a fraction.
_FEW_SPECKS = 0.01


@dataclass(frozen=True)
class Transport:
    """The mobility with what else a reader must know of it.

    Attributes
    ----------
    mobility : Mobility
    warnings : tuple of str
    """

    mobility: Mobility
    warnings: tuple[str, ...]


def transport_of(
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    material: Material,
    time_scales_s: Sequence[float],
    seed: int,
) -> Transport | None:
    """Return the mobility of a calibrated source that has tracks, otherwise None."""
    pixel, interval = source.pixel_size_um, source.frame_interval_s
    if pixel is None or interval is None or tracked.tracks.empty:
        return None
    limits, warnings = _limits(tracked, measured)
    both = material.particle_radius_um is not None and material.viscosity_Pa_s is not None
    found = mobility(
        tracked.tracks,
        interval,
        pixel,
        exposure_s=source.exposure_s,
        time_scales_s=time_scales_s,
        reference_s=REFERENCE_S,
        temperature_K=material.temperature_K if both else None,
        particle_radius_um=material.particle_radius_um,
        viscosity_Pa_s=material.viscosity_Pa_s,
        wall_distance_um=material.wall_distance_um,
        localisation_error_um=material.static_error_um,
        limits=limits,
        estimates=measured.particles,
        stride=measured.diffusion.stride,
        seed=seed,
    )
    if tracked.specks > _FEW_SPECKS * len(found.tracks):
        warnings.append(_masked(tracked.specks, found))
    warnings += _from_long_lags(measured.diffusion.stride, found)
    # What `free_diffusion` says of the material is said there.
    repeated = found.free.warnings if found.free is not None else ()
    own = [said for said in found.warnings if said not in repeated]
    return Transport(found, (*warnings, *own))


def _limits(tracked: Tracked, measured: Measurement) -> tuple[TransportLimits, list[str]]:
    """Return the limits of the classes, the least motion above the noise of the drift's mean."""
    limits = TransportLimits()
    D = measured.diffusion.value
    if tracked.drift.method != "mean" or not D > 0:
        return limits, []
    together = float(tracked.drift.table["particles"].mean())
    # A mean over M particles wanders with D / M; twice its mean square leaves few above.
    least = float(np.sqrt(2 * 4 * D / max(together, 1.0) * REFERENCE_S))
    if least <= limits.immobile_um:
        return limits, []
    cause = "Let the liquid come to rest" if tracked.drift.at_rest else "Keep the stage still"
    return replace(limits, immobile_um=least), [
        f"The drift taken out is the mean of {together:.0f} particles and wanders with them: "
        f"particles that move by less than {least:.2g} um in {REFERENCE_S:g} s count as immobile, "
        f"not those under {limits.immobile_um:g} um. {cause} to see slower motion."
    ]


def _from_long_lags(stride: int, found: Mobility) -> list[str]:
    """Say that it is not the tracks alone that leave many without a class."""
    undetermined = (found.tracks["class"] == "undetermined").mean()
    if stride == 1 or not undetermined > _MANY_UNDETERMINED:
        return []
    return [
        f"Classes of transport rest on displacements over {stride} frames here, as D does: a track "
        "must be longer for a class than it would have to be otherwise, and so "
        f"{undetermined:.0%} of the tracks have none."
    ]


def _masked(specks: int, found: Mobility) -> str:
    tracks = len(found.tracks)
    immobile = int((found.tracks["class"] == "immobile").sum())
    return (
        f"{specks} places that never move were masked and are in none of the fractions of "
        f"transport: were they all stuck particles, {(immobile + specks) / (tracks + specks):.0%} "
        f"of the particles would be immobile, not {immobile / tracks:.0%}. --static-specks keep "
        "counts them; hot pixels and dirt are then counted too."
    )
