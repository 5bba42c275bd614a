"""Variations of labelled crops: the particles turned, scaled and seen through another camera."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from cloudtrainer.config import AugmentationSettings
from cloudtrainer.detector.normalise import noise_of
from cloudtrainer.simulation.scenes import Scenes

# How far the pixels that an interpolated value is made of are from its place.
_SUPPORT_PX = 2


def source_side(settings: AugmentationSettings, size_px: int) -> int:
    """Return the side of the crop to cut, so that every variation of it fills ``size_px``.

    It differs from ``size_px`` by an even number, so that both have the same centre.
    """
    if not settings.enabled or not (settings.free_rotation or settings.scale):
        return size_px
    reach = (size_px - 1) / 2 / (1 - settings.scale)
    if settings.free_rotation:
        reach *= math.sqrt(2)
    side = math.ceil(2 * (reach + _SUPPORT_PX)) + 1
    return side + (side - size_px) % 2


def augment(
    crops: Scenes, settings: AugmentationSettings, size_px: int, generator: torch.Generator
) -> Scenes:
    """Vary each crop at random; positions move with the pixels.

    The order is that of a microscope: the particles are moved, blurred and lit unevenly, then the
    camera adds its noise, then the intensities are stretched, bent and multiplied. Neighbouring
    frames are varied like their crop; only the noise that is added is new in each.

    Parameters
    ----------
    crops : Scenes
        Crops of side ``source_side(settings, size_px)``, in any units of intensity; negative ones
        too, where dark particles were made bright.
    settings : AugmentationSettings
        Which variations, and how strong at most; each crop draws its own strengths.
    size_px : int
        Side of the crops that are returned, in pixels.
    generator : torch.Generator
        Source of every random number, on the device of the crops.

    Returns
    -------
    Scenes
        Crops of side ``size_px``. Particles that are no longer inside are not ``present``.
        ``brightest`` stays, or a model that divides by it would never see another brightness.
    """
    varied = straight = _centre(crops, size_px)
    if settings.enabled:
        if settings.free_rotation or settings.scale:
            varied = _turned_and_scaled(crops, straight, settings, generator)
        varied = _mirrored(varied, settings, generator)
        # The crop's own noise is that of the camera: before interpolation smooths it.
        varied = varied.with_frames(_seen(varied.frames, straight.frames, settings, generator))
    inside = (varied.x >= -0.5) & (varied.x < size_px - 0.5)
    inside &= (varied.y >= -0.5) & (varied.y < size_px - 0.5)
    return replace(varied, present=varied.present & inside)


def _centre(crops: Scenes, size_px: int) -> Scenes:
    start = (crops.images.shape[-1] - size_px) // 2
    kept = slice(start, start + size_px)
    centred = replace(crops, x=crops.x - start, y=crops.y - start)
    return centred.with_frames(crops.frames[..., kept, kept])


def _turned_and_scaled(
    crops: Scenes, straight: Scenes, settings: AugmentationSettings, generator: torch.Generator
) -> Scenes:
    """Turn half of the crops and scale half of them; the others stay ``straight``, bit for bit."""
    number, size_px = len(straight.images), straight.images.shape[-1]
    angle = _between(0.0, 2 * math.pi, number, generator)
    turned = _chance(0.5 * settings.free_rotation, number, generator)
    angle = torch.where(turned, angle, 0.0)
    factor = _between(1 - settings.scale, 1 + settings.scale, number, generator)
    factor = torch.where(_chance(0.5, number, generator), factor, 1.0)
    moved = (angle != 0) | (factor != 1)
    which = moved.nonzero()[:, 0]
    if len(which) == 0:
        return straight

    cos, sin = torch.cos(angle), torch.sin(angle)
    old_centre, new_centre = (crops.images.shape[-1] - 1) / 2, (size_px - 1) / 2
    right, down = crops.x - old_centre, crops.y - old_centre
    x = new_centre + factor[:, None] * (cos[:, None] * right - sin[:, None] * down)
    y = new_centre + factor[:, None] * (sin[:, None] * right + cos[:, None] * down)

    pixel = torch.arange(size_px, device=angle.device) - new_centre
    back_cos, back_sin = ((part / factor)[which, None, None] for part in (cos, sin))
    column = old_centre + back_cos * pixel[None, None, :] + back_sin * pixel[None, :, None]
    row = old_centre - back_sin * pixel[None, None, :] + back_cos * pixel[None, :, None]
    seen = straight.frames.clone()
    seen[which] = _interpolated(crops.frames[which], column, row)
    varied = replace(
        straight,
        x=torch.where(moved[:, None], x, straight.x),
        y=torch.where(moved[:, None], y, straight.y),
    )
    return varied.with_frames(seen)


def _interpolated(frames: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Read frames between their pixels, by the cubic spline through all of these.

    ``frames`` are (images, frames, side, side); all of an image are read at the same places,
    ``column`` and ``row``, (images, size, size).

    PyTorch's own bicubic interpolation does not reproduce slopes: it moves spots by up to 0.05 px.
    A cubic B-spline is the sum of four bilinear readings of its coefficients, each between two
    pixels along both axes (Sigg and Hadwiger, GPU Gems 2, chapter 20, 2005).
    """
    side = frames.shape[-1]
    own = torch.eye(side, device=frames.device)
    to_values = (4 * own + own.roll(1, 0) + own.roll(-1, 0)) / 6
    # Beyond its border the image goes on as its mirror image.
    to_values[0, -1] = to_values[-1, 0] = 0
    to_values[0, 1] = to_values[-1, -2] = 2 / 6
    to_coefficients = torch.linalg.inv(to_values)
    coefficients = to_coefficients @ frames @ to_coefficients.T

    readings = [
        (weight_x * weight_y, torch.stack([x, y], dim=-1))
        for weight_y, y in _pairs(row)
        for weight_x, x in _pairs(column)
    ]
    weights = torch.stack([weight for weight, _ in readings], dim=1)
    places = torch.cat([place for _, place in readings], dim=1) * (2 / (side - 1)) - 1
    read = functional.grid_sample(coefficients, places, align_corners=True)
    read = read.view(*read.shape[:2], *weights.shape[1:])
    values: Tensor = (weights[:, None] * read).sum(dim=2)
    return values


def _pairs(place: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return weights and places of the two readings that stand for four pixels of a line."""
    pixel = place.floor()
    after = place - pixel
    before = 1 - after
    left, right = before**3 / 6, after**3 / 6
    near_left = 2 / 3 - after**2 * (1 + before) / 2
    near_right = 2 / 3 - before**2 * (1 + after) / 2
    return [
        (left + near_left, pixel - 1 + near_left / (left + near_left)),
        (near_right + right, pixel + 1 + right / (near_right + right)),
    ]


def _mirrored(crops: Scenes, settings: AugmentationSettings, generator: torch.Generator) -> Scenes:
    """Mirror and turn by quarter turns: together, all eight orientations are equally likely."""
    number, size_px = len(crops.images), crops.images.shape[-1]
    swap, flip_x, flip_y = torch.zeros(3, number, dtype=torch.bool, device=generator.device)
    if settings.flip_lr:
        flip_x = _chance(0.5, number, generator)
    if settings.flip_ud:
        flip_y = _chance(0.5, number, generator)
    if settings.rotate:
        # A quarter turn swaps the axes and mirrors one of them; a half turn mirrors both.
        swap, half = _chance(0.5, number, generator), _chance(0.5, number, generator)
        flip_x, flip_y = flip_x ^ swap ^ half, flip_y ^ half
    frames, x, y = crops.frames, crops.x, crops.y
    frames = torch.where(swap[:, None, None, None], frames.transpose(2, 3), frames)
    frames = torch.where(flip_x[:, None, None, None], frames.flip(3), frames)
    frames = torch.where(flip_y[:, None, None, None], frames.flip(2), frames)
    x, y = torch.where(swap[:, None], y, x), torch.where(swap[:, None], x, y)
    x = torch.where(flip_x[:, None], size_px - 1 - x, x)
    y = torch.where(flip_y[:, None], size_px - 1 - y, y)
    return replace(crops, x=x, y=y).with_frames(frames)


def _seen(
    frames: Tensor, straight: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> Tensor:
    """Change light, noise and intensities; ``straight`` are the crops as the camera took them.

    Both are (crops, frames, side, side); all frames of a crop are changed alike.
    """
    number = len(frames)

    def strength(low: float, high: float) -> Tensor:
        return _between(low, high, number, generator)[:, None, None, None]

    if settings.blur_px:
        chosen = _chance(0.25, number, generator).nonzero()[:, 0]
        sigma = _between(0.0, settings.blur_px, number, generator)
        frames = frames.index_copy(
            0, chosen, _blurred(frames[chosen], sigma[chosen], math.ceil(4 * settings.blur_px))
        )
    ground = frames.flatten(1).median(dim=1).values[:, None, None, None]
    if settings.gradient:
        rise = strength(0.0, settings.gradient) * (_highest(frames) - ground)
        frames = frames + rise * _slope(strength(0.0, 2 * math.pi), frames.shape[-1])
    if settings.gaussian_noise or settings.poisson_noise:
        above = frames - _lowest(frames)
        # Relative to the mean, so that this noise too has its stated level over the whole crop.
        relative = above / above.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        even = strength(0.0, settings.gaussian_noise)
        growing = strength(0.0, settings.poisson_noise)
        own = noise_of(straight[:, straight.shape[1] // 2])[:, None, None, None]
        level = own * torch.sqrt(even**2 + growing**2 * relative)
        frames = frames + level * torch.randn(
            frames.shape, generator=generator, device=generator.device
        )
    if settings.contrast:
        stretch = strength(1 - settings.contrast, 1 + settings.contrast)
        frames = ground + stretch * (frames - ground)
    if settings.gamma:
        low, high = _lowest(frames), _highest(frames)
        between = (frames - low) / (high - low).clamp(min=1e-12)
        bent = between ** strength(1 - settings.gamma, 1 + settings.gamma)
        frames = low + (high - low) * bent
    if settings.brightness:
        frames = frames * strength(0.8, 1.2)
    return frames


def _blurred(frames: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Blur all frames of a crop by its own Gaussian; borders go on as their outermost pixels."""
    steps = torch.arange(-reach, reach + 1, device=frames.device)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    padded = functional.pad(frames, (reach,) * 4, mode="replicate")
    for axis in (2, 3):
        padded = torch.einsum("nfrck,nk->nfrc", padded.unfold(axis, len(steps), 1), kernel)
    return padded


def _slope(angle: Tensor, size_px: int) -> Tensor:
    """Return planes that rise by 1 from one corner to the opposite one, 0 at the centre."""
    across = torch.linspace(-0.5, 0.5, size_px, device=angle.device)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return (cos * across + sin * across[:, None]) / (cos.abs() + sin.abs())


def _lowest(frames: Tensor) -> Tensor:
    return frames.amin(dim=(1, 2, 3), keepdim=True)


def _highest(frames: Tensor) -> Tensor:
    return frames.amax(dim=(1, 2, 3), keepdim=True)


def _between(low: float, high: float, number: int, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(number, generator=generator, device=generator.device)
    return low + (high - low) * drawn


def _chance(share: float, number: int, generator: torch.Generator) -> Tensor:
    return _between(0.0, 1.0, number, generator) < share
