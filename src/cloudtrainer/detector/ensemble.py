"""Networks that answer together: shares averaged, positions combined by their errors."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.detector.targets import as_answered, offset_errors
from cloudtrainer.errors import ModelError

_KEY = re.compile(r"members\.([0-9]{1,9})\.")


class EnsembleNet(nn.Module):
    """Several networks of one architecture, whose answers are made into one of the same form.

    Its weights are named ``members.<number>.<name>``, numbers from 0.

    Parameters
    ----------
    members : sequence of GridNet or UNet
        The networks, one or more; each its own object.
    """

    def __init__(self, members: Sequence[GridNet | UNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.cell_px = members[0].cell_px
        self.multiple = members[0].multiple

    def forward(self, frames: Tensor) -> Tensor:
        """Return the combined answer to normalised frames; in and out as of a single member."""
        # Half precision, where it is on, is for the networks alone.
        return combined(torch.stack([member(frames).float() for member in self.members]))


def combined(answers: Tensor) -> Tensor:
    """Make one answer of those of several networks.

    The share of a cell, or the probability of a pixel, is the mean over the members. A cell's
    offset is their mean weighted by share and precision, so that a member that sees nothing there
    does not pull at the position. Its variance is that of a mixture of Gaussians: the weighted mean
    of the members' own variances and the weighted variance of their offsets (Lakshminarayanan,
    Pritzel & Blundell 2017, Advances in Neural Information Processing Systems 30, section 2.4).
    Members that agree do not make it smaller, for they saw the same photons; members that disagree
    make it larger.

    Parameters
    ----------
    answers : Tensor
        Five numbers of each cell, or the logit alone of a mask, float32,
        (members, frames, channels, rows, columns).

    Returns
    -------
    Tensor
        (frames, channels, rows, columns); of one member, its own answer.
    """
    if len(answers) == 1:
        return answers[0]
    logit = answers[:, :, 0]
    present, absent = functional.logsigmoid(logit), functional.logsigmoid(-logit)
    # The logit of the mean; through logarithms, where a share is too near to 0 or 1 for float32.
    whole = torch.logsumexp(present, dim=0) - torch.logsumexp(absent, dim=0)
    if answers.shape[2] == 1:
        return whole[:, None]
    offset = answers[:, :, 1:3]
    variance = torch.stack([offset_errors(answer) for answer in answers]) ** 2
    weight = torch.softmax(present[:, :, None] - torch.log(variance), dim=0)
    place = (weight * offset).sum(dim=0)
    error = torch.sqrt((weight * (variance + (offset - place) ** 2)).sum(dim=0))
    return torch.cat([whole[:, None], place, as_answered(error)], dim=1)


def member_numbers(names: Collection[str]) -> set[int]:
    """Return the numbers of the members that weights of these names are of; none: one network."""
    found = (_KEY.match(name) for name in names)
    return {int(match[1]) for match in found if match is not None}


def without_member(name: str) -> str:
    """Return the name that a member's weights have in the member itself."""
    return _KEY.sub("", name, count=1) if _KEY.match(name) else name


def check_members(path: Path, numbers: set[int], ensemble: int) -> None:
    """Refuse weights that are not those of every member that the settings tell of.

    Parameters
    ----------
    path : Path
        Their file, for the message.
    numbers : set of int
        Members that there are weights of; none: they are of a single network.
    ensemble : int
        ``training.ensemble`` of the settings.

    Raises
    ------
    ModelError
        A member is missing, or there are more members than the settings say.
    """
    wanted = set(range(ensemble)) if ensemble > 1 else set()
    if numbers == wanted:
        return
    missing = sorted(wanted - numbers)
    if numbers and missing:
        listed = ", ".join(str(number + 1) for number in missing)
        raise ModelError(
            f"{path}: is an ensemble of {ensemble} and lacks the weights of member {listed}; take "
            "another copy of the model, whole"
        )
    holds = f"an ensemble of {len(numbers)}" if numbers else "a single network"
    raise ModelError(
        f"{path}: its weights are those of {holds}, its settings (training.ensemble) say "
        f"{ensemble}; give the config.json that it was trained with"
    )
