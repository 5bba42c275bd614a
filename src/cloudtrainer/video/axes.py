"""Which axis of a file is time, and which channel and Z-plane of the others are meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtrainer.errors import VideoError


@dataclass(frozen=True)
class Selection:
    """The frames of a video within an array of more axes.

    Attributes
    ----------
    time
        Position of the axis that is time, or None for a single frame.
    fixed
        Position of every other axis, apart from those of the frame itself, and the index taken.
    """

    time: int | None
    fixed: dict[int, int]


def select_frames(
    axes: str, shape: Sequence[int], channel: int | None, plane: int | None, where: str
) -> Selection:
    """Return which axis is time and which index is taken on each of the others.

    A single axis of images is time whatever its name: ImageJ calls plain stacks Z, tifffile
    calls them C.

    Parameters
    ----------
    axes
        One letter an axis, as in tifffile: T time, C channel, Z plane; Y, X and S (colour samples)
        are the frame's own.
    shape
        Length of each axis.
    channel, plane
        Index on the axes C and Z; None when not chosen.
    where
        Name of the file, for messages.

    Raises
    ------
    VideoError
        If the choice does not exist, or several axes remain: the message names the choices.
    """
    fixed = {i: 0 for i, axis in enumerate(axes) if axis not in "YXS" and shape[i] == 1}
    for axis, index, argument in (("C", channel, "channel"), ("Z", plane, "plane")):
        if index is None:
            continue
        found = [i for i, letter in enumerate(axes) if letter == axis]
        size = shape[found[0]] if found else 1
        if not 0 <= index < size:
            raise VideoError(
                f"{where}: {argument} {index} does not exist; {_choices(argument, size)}"
            )
        if found:
            fixed[found[0]] = index
    open_axes = [i for i, axis in enumerate(axes) if axis not in "YXS" and i not in fixed]
    letters = "".join(axes[i] for i in open_axes)
    if not open_axes:
        return Selection(None, fixed)
    if len(open_axes) == 1:
        return Selection(open_axes[0], fixed)
    sizes = {axes[i]: shape[i] for i in open_axes}
    if len(set(letters)) == len(letters) and set(letters) <= set("TCZ"):
        # What is left without channels, and without planes beside a time axis, is the video.
        needs = [name for axis, name in (("C", "channel"), ("Z", "plane")) if axis in letters]
        if "T" not in letters and "C" in letters:
            needs = ["channel"]
        wanted = " and ".join(
            _choices(name, sizes["C" if name == "channel" else "Z"]) for name in needs
        )
        raise VideoError(f"{where}: {wanted}")
    lengths = " x ".join(str(shape[i]) for i in open_axes)
    raise VideoError(
        f"{where}: axes {letters} of {lengths} images do not say which is time; save the file as "
        "an ImageJ hyperstack or OME-TIFF with named axes, or read it as an array and pass "
        f"{_array_choices(open_axes, shape)}"
    )


def _choices(argument: str, size: int) -> str:
    noun = "channel" if argument == "channel" else "Z-plane"
    if size == 1:
        return f"it has 1 {noun}: leave {argument} out or pass {argument}=0"
    if size == 2:
        return f"2 {noun}s: pass {argument}=0 or 1"
    return f"{size} {noun}s: pass {argument}=0 to {size - 1}"


def _array_choices(open_axes: list[int], shape: Sequence[int]) -> str:
    options = []
    for time in open_axes:
        index = ", ".join(":" if i == time else "0" for i in open_axes)
        options.append(f"array[{index}] for {shape[time]} frames")
    return " or ".join(options)
