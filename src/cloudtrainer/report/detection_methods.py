"""What a methods section says of how particles were found."""

from collections.abc import Sequence

from cloudtrainer.report.references import References
from cloudtrainer.report.wording import Summary, among, counted, grouped, span

# Digits of a hash that tell one model from another.
_HASH_DIGITS = 12
_HASHES_LISTED = 3


def detection(singles: Sequence[Summary], references: References) -> list[str]:
    """Return sentences on the detector, static specks and smears; none for tables of tracks."""
    filmed = [one for one in singles if one["model"] is not None]
    said = []
    for (kind, architecture, _, _), group in grouped(filmed, _kind):
        where = among(len(group), len(singles))
        said.append(_network(kind, group, references) + f"{where}.")
        if architecture == "grid":
            said.append(
                "Positions were refined, and close pairs parted where they could be told, by fits "
                "of Gaussian spots to the pixels around them, taken where they were sharper than "
                f"the network{where}."
            )
    weighed = [one for one in filmed if one["model"]["doubtful_spots_weighed"]]
    if weighed:
        said.append(
            "Isolated detections that the network was not sure of were given the probability that "
            "Poisson-distributed photons give them, with the width and the distribution of "
            f"brightness of the recording's own particles {references.cite('robbins')}, except in "
            "frames that differ from those these were told from"
            f"{among(len(weighed), len(singles))}."
        )
    masked = [one for one in filmed if one["measured"]["static_specks"]]
    if masked:
        specks = sum(one["measured"]["static_specks"] for one in masked)
        said.append(
            f"{counted(specks, 'static speck')}, found at one place in most frames and scattered "
            f"about it like noise {references.cite('neumann')}, "
            f"{'was' if specks == 1 else 'were'} masked{among(len(masked), len(singles))}."
        )
    smeared = [one for one in filmed if one["measured"]["smeared_joined"]]
    if smeared:
        times = sum(one["measured"]["smeared_joined"] for one in smeared)
        said.append(
            f"{counted(times, 'pair')} of detections that were one particle in other frames "
            "(parts of one that its motion during the exposure smeared, or two that stay together) "
            f"{'was' if times == 1 else 'were'} joined at the centre of brightness"
            f"{among(len(smeared), len(singles))}."
        )
    return said


def _kind(single: Summary) -> tuple[str, str, int, int]:
    model = single["model"]
    twin = single.get("twin")
    kind = "bundled" if model["bundled"] else "given"
    if twin is not None:
        own = twin["video_sha256"] == single["video"]["sha256"]
        kind = "twin" if own else "twin of another"
    return kind, model["architecture"], model["networks"], model["context_frames"]


def _network(kind: str, group: Sequence[Summary], references: References) -> str:
    """Say what found the particles, without the full stop."""
    model = group[0]["model"]
    grid = model["architecture"] == "grid"
    what = "convolutional neural network" if grid else f"U-Net {references.cite('ronneberger')}"
    what = f"{model['networks']} {what}s together" if model["networks"] > 1 else f"a {what}"
    origin = {
        "bundled": "which comes with cloudtrainer",
        "given": "trained beforehand",
        "twin": "trained for the recording, without labels, on simulated scenes with the "
        "background, noise, shapes, brightness and density measured in it",
        "twin of another": "trained without labels on simulated scenes with the background, noise, "
        "shapes, brightness and density measured in another recording",
    }[kind]
    signs = sorted({one["model"]["polarity"] for one in group if one["model"]["polarity"]})
    looks = {"bright": "bright on dark ground", "dark": "dark on bright ground"}
    sign = f", {' or '.join(looks[one] for one in signs)}," if grid and signs else ""
    text = f"Particles{sign} were located by {what}, {origin}"
    if model["context_frames"]:
        text += (
            f" and shown each frame with the {counted(model['context_frames'], 'frame')} before "
            "it and after it"
        )
    threshold = span(one["model"]["threshold"] for one in group)
    hashes = dict.fromkeys(one["model"]["weights_sha256"][:_HASH_DIGITS] for one in group)
    if len(hashes) <= _HASHES_LISTED:
        text += f" (SHA-256 of the weights begins with {' or '.join(hashes)}; "
    else:
        text += " ("
    if grid:
        return f"{text}least probability of a detection: {threshold})"
    area = group[0]["config"]["min_area"]
    return f"{text}pixels of a probability above {threshold}, areas of {area} px² or more)"
