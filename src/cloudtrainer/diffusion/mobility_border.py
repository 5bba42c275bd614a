"""What the border of the field takes from the mean effective diffusivity of particles."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays

# Share of an effective diffusivity that the border of the field may take unsaid.
_WORTH_A_LARGER_FIELD = 0.02
# Nothing is simulated where the share of a long track is so many times smaller.
_TIMES_A_LONG_TRACK = 10
# Simulated positions of a time scale, and frames of a simulated track: in lags, and at least.
_POSITIONS, _LAGS, _FRAMES = 6_000_000, 10, 300
# A track that ends farther from the border than so many steps did not leave over it.
_STEPS_AWAY = 3.0


def field_too_small(
    arrays: TrackArrays, table: pd.DataFrame, pixel_size_um: float, seed: int
) -> tuple[str, ...]:
    """Say at which time scale the displacements that lead out of the field are missed.

    Of displacements of standard deviation s along an axis, those that begin and end within a field
    of side L have a mean square that is smaller by the share ``sqrt(2 / pi) s / L``: one of length
    d stays inside from the share 1 - d / L of all places. Tracks that soon leave are short, lack
    more, and count by particle as whole ones: what both means lack is simulated (`_missed`). Told
    where the tracks say how far the border is (`with_distance_to_border`).
    """
    if arrays.to_border is None or not len(arrays.position):
        return ()
    sides = np.ptp(arrays.position, axis=0) * pixel_size_um
    for row in table.to_dict("records"):
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(2 * row["mean_by_frame"] * row["time_scale_s"])
            least = float(np.sqrt(2 / np.pi) * spread * np.mean(1 / sides))
        if not least * _TIMES_A_LONG_TRACK > _WORTH_A_LARGER_FIELD:
            continue
        by_particle, by_frame, error = _missed(
            arrays, arrays.to_border, row["lag_frames"], float(spread / pixel_size_um), seed
        )
        if max(least, by_particle - 2 * error) > _WORTH_A_LARGER_FIELD:
            return (
                f"Over {row['time_scale_s']:.3g} s, particles go so far that long displacements "
                "lead out of the field and are not seen: the effective diffusivity of Brownian "
                f"particles there is about {max(by_frame, least):.0%} too small by frame and "
                f"{by_particle:.0%} by particle, where tracks that soon leave are short, lack more "
                "and count as whole ones; at longer times it is more. Quote shorter times, or film "
                "a larger field.",
            )
    return ()


def _missed(
    arrays: TrackArrays, to_border: FloatArray, lag: int, spread_px: float, seed: int
) -> tuple[float, float, float]:
    """Return the shares that means by particle and by frame lack at a lag, the first's error.

    Brownian particles whose displacements over the lag have this standard deviation along an axis
    begin where and when the tracks begin, and are seen until they leave the field, the video ends,
    or they are lost for another reason, as often as the tracks are that end far from the border.
    """
    step = spread_px / np.sqrt(lag)
    first, last = arrays.start[:-1], arrays.start[1:] - 1
    end = arrays.frame.max()
    far = to_border > _STEPS_AWAY * step
    lost = int((far[last] & (arrays.frame[last] < end)).sum())
    staying = 1 - lost / max(int(far.sum()), 1)
    fewest = int(arrays.lengths.min())
    left = end - arrays.frame[first] + 1
    generator = np.random.default_rng(seed)
    frames = int(min(max(_LAGS * lag, _FRAMES), left.max()))
    chosen = generator.integers(len(first), size=max(_POSITIONS // frames, 200))
    seen_for = np.minimum(left[chosen], frames)
    if staying < 1:
        seen_for = np.minimum(seen_for, generator.geometric(1 - staying, len(chosen)))
    place = generator.normal(0, step, (frames, len(chosen), 2)).astype(np.float32)
    place[0] = arrays.position[first[chosen]]
    np.cumsum(place, axis=0, out=place)
    low, high = arrays.position.min(axis=0), arrays.position.max(axis=0)
    inside = ((place >= low) & (place <= high)).all(axis=2)
    inside &= np.arange(frames)[:, None] < seen_for
    inside = np.logical_and.accumulate(inside, axis=0)
    pairs = inside[lag:].sum(axis=0)
    squares = np.where(inside[lag:], ((place[lag:] - place[:-lag]) ** 2).sum(axis=2), 0.0)
    seen = inside.sum(axis=0)
    used = (pairs > 0) & (seen >= fewest)
    if used.sum() < 2:
        return 0.0, 0.0, 0.0
    ratio: FloatArray = squares.sum(axis=0)[used] / pairs[used] / (2 * spread_px**2)
    by_frame = 1 - float(np.average(ratio, weights=seen[used]))
    return 1 - float(ratio.mean()), by_frame, float(ratio.std() / np.sqrt(len(ratio)))
