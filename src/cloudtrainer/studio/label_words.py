"""What the part *Label* says."""

from datetime import datetime

HOW = (
    "Click: add a label, or take the proposal in whose circle you click. Drag: move a label. "
    "Click on a label (it turns red), then Delete: remove it. Wheel: zoom; to move the frame, "
    "choose the arrows beside it.\n"
    "Label every particle of a frame: training takes one without a label for background.\n"
    "Strip below the slider: blue, has labels; grey, confirmed as empty; triangle, suggested. "
    "A click goes there.\n"
    "Keys, once the pointer was over the frame: left and right arrow, the frame before and after; "
    "A, accept all; N, next suggested frame; Ctrl+Z and Ctrl+Y, undo and redo."
)
_NAMED = 5


def frame_in_words(
    frame: int,
    labels: int,
    proposed: int,
    model: str,
    *,
    empty: bool,
    looking: bool,
    screen_px: float,
) -> str:
    """Say what a frame holds, and what training makes of it.

    Parameters
    ----------
    frame : int
        Its number.
    labels, proposed : int
        How many labels it has, and how many proposals without a label.
    model : str
        Whose proposals.
    empty : bool
        Whether it was confirmed to hold no particle.
    looking : bool
        Whether the model is still looking at it.
    screen_px : float
        The side of a pixel of the screen, in pixels of the frame.
    """
    circles = f"{_count(proposed, 'proposal')} of {model} (orange circles)"
    if labels:
        said = f"Frame {frame}: {_count(labels, 'label')} (blue squares)."
        if proposed:
            said += f" {circles} without a label: training takes what has none for background."
    elif empty:
        said = (
            f"Frame {frame}: confirmed as empty, and not suggested again. Training learns from it "
            "that nothing here is a particle."
        )
    else:
        said = f"Frame {frame}: no labels; training leaves it alone."
        if proposed:
            said += f" {circles}: no labels before you accept them."
    if looking:
        said += " Looking for proposals ..."
    if screen_px > 1:
        said += (
            f"\nA pixel of the screen is {screen_px:.1f} px of the frame: zoom in before you add "
            "or move labels by hand."
        )
    return said


def saved_in_words(file: str, frames: int) -> str:
    """Say what was saved."""
    now = f"{datetime.now():%H:%M:%S}"
    if frames:
        return f"Saved: {_count(frames, 'frame')} with labels in {file} ({now})."
    return f"Saved: no labels are left, {file} was taken away ({now})."


def conflict_in_words(changed: list[int], both: list[int]) -> str:
    """Say which frames were changed elsewhere, and which of them here as well."""
    said = f"changed elsewhere, and shown as it is now: {_frames(changed)}."
    if both:
        said += (
            f" You had changed {_frames(both)} at the same time: Undo puts yours in the place of "
            "theirs."
        )
    return said


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _frames(frames: list[int]) -> str:
    if len(frames) == 1:
        return f"frame {frames[0]}"
    first = ", ".join(str(frame) for frame in frames[:_NAMED])
    more = f" and {len(frames) - _NAMED} more" if len(frames) > _NAMED else ""
    return f"frames {first}{more}"
