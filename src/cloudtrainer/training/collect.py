"""What a workspace offers to learn from: its videos, their labels, and what was learned before."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cloudtrainer.config import TrainingSettings
from cloudtrainer.detector import load_model
from cloudtrainer.errors import VideoError
from cloudtrainer.inference import video_maximum
from cloudtrainer.simulation.backdrop import Backdrop
from cloudtrainer.simulation.twin import Twin
from cloudtrainer.training.found_videos import FoundVideo, find_videos
from cloudtrainer.training.frame_cache import FrameCache
from cloudtrainer.training.hashes import ContentHashes
from cloudtrainer.training.hold_out import (
    frames_of,
    hold_out_frames,
    hold_out_videos,
    is_held_out,
    stretches_of,
)
from cloudtrainer.training.labelled import LabelledVideo, labelled_video
from cloudtrainer.training.ledger import Ledger, Ranges, VideoRecord
from cloudtrainer.training.neighbours import Neighbours, numbers_around
from cloudtrainer.training.rehearsal import kept_videos
from cloudtrainer.training.unlabelled import backdrop_of, twin_of
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace, label_names


@dataclass
class TrainingData:
    """What a run learns from.

    Attributes
    ----------
    new : list of LabelledVideo
        Videos that the model has not learned.
    earlier : list of LabelledVideo
        Videos that it has, to be rehearsed.
    records : dict of str to VideoRecord
        What is to be written into the ledger of each of them, by its name; those of earlier ones
        name the model that learned them.
    backdrops : list of Backdrop
        Backgrounds of videos without labels, where particles are to be simulated over them.
    drawn_over : list of str
        The names of those videos.
    left_out : list of str
        Videos that are not learned from, each with the reason.
    notes : list of str
        What else the user must be told.
    hashes : dict of str to str
        What tells each video from others, by its name: content, labels and frames held out.
    twins : list of Twin
        Videos without labels whose particles are to be simulated as well.
    """

    new: list[LabelledVideo] = field(default_factory=list)
    earlier: list[LabelledVideo] = field(default_factory=list)
    records: dict[str, VideoRecord] = field(default_factory=dict)
    backdrops: list[Backdrop] = field(default_factory=list)
    drawn_over: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    twins: list[Twin] = field(default_factory=list)

    def add(self, video: LabelledVideo, record: VideoRecord) -> None:
        """Add a video, to those that the model has learned where the record names one."""
        (self.earlier if record.model_version else self.new).append(video)
        self.records[video.name] = record
        self.hashes[video.name] = f"{record.sha256} {record.labels_sha256} {record.held_out}"
        if video.held_out.all():
            self.notes.append(f"{video.name}: all of it is held out; no model learns from it")

    def identity(self) -> list[str]:
        """Return what tells this data from other data: content, labels and use of each video."""
        learned = [f"new {self.hashes[video.name]}" for video in self.new]
        rehearsed = [f"earlier {self.hashes[video.name]}" for video in self.earlier]
        simulated = [f"drawn over {self.hashes[name]}" for name in self.drawn_over]
        twins = [f"twin {self.hashes[f'twin of {twin.name}']}" for twin in self.twins]
        return sorted(learned + rehearsed + simulated + twins)

    def add_twin(self, video: Video) -> None:
        """Measure the twin of a video.

        Raises
        ------
        VideoError
            No particle can be seen in the video, or it cannot be used.
        """
        twin = twin_of(video)
        self.twins.append(twin)
        self.hashes[f"twin of {twin.name}"] = video.sha256
        self.notes += str(twin).splitlines()

    def agree_on_polarity(self) -> None:
        """Take videos without a particle for those of the others: bright ones, or dark ones."""
        videos = [*self.new, *self.earlier]
        common = sum(video.polarity for video in videos if video.particles)
        self.new, self.earlier = (
            [
                video if video.particles else replace(video, polarity=1 if common >= 0 else -1)
                for video in part
            ]
            for part in (self.new, self.earlier)
        )

    def without_history(self) -> "TrainingData":
        """Return the same data as if no video had been learned before."""
        unlearned = {
            name: replace(record, model_version="", trained_date="")
            for name, record in self.records.items()
        }
        return replace(self, new=self.new + self.earlier, earlier=[], records=unlearned)


def collect(
    place: Workspace,
    ledger: Ledger,
    settings: TrainingSettings,
    learned_by: set[str],
    *,
    whole_maximum: bool = False,
    write: bool = True,
    context_frames: int = 0,
) -> TrainingData:
    """Find the labelled videos of a workspace, and tell new ones from those learned before.

    A video that cannot be read is left out, with the reason; what was kept of it when it was
    learned takes its place, as it does for a video that is gone.

    Parameters
    ----------
    place : Workspace
        The workspace.
    ledger : Ledger
        What was learned before.
    settings : TrainingSettings
        What is held out, and what happens to videos without labels.
    learned_by : set of str
        Versions of the model that is continued and of those it came from: a video that one of
        them learned is an earlier one.
    whole_maximum : bool
        Read every video to its end for its largest intensity, which models of versions 2.0 and
        3.0 divide by; otherwise that of its labelled frames is taken.
    write : bool
        Whether decoded frames and hashes are put into the cache; without, nothing is written.
    context_frames : int
        Frames before and after each labelled one that are wanted with it.

    Raises
    ------
    LabelError
        Labels are not valid, or it is not clear which video they belong to.
    """
    data = TrainingData(notes=list(ledger.notes))
    hashes = ContentHashes(place.cache / "content_hashes.json")
    found = find_videos(place, hashes)
    data.left_out += found.left_out
    data.notes += found.notes
    cache = FrameCache(place.cache, write=write)
    known = {one.record.sha256: ledger.find(one.record) for one in found.labelled}
    stretches = _held_out(found.labelled, known, settings)
    for one in found.labelled:
        sha256 = one.record.sha256
        before = known[sha256]
        blank = one.labels.empty
        ever = np.union1d(one.numbers, frames_of(before.labelled if before else ()))
        record = replace(one.record, held_out=stretches[sha256], labelled=stretches_of(ever))
        try:
            wanted = numbers_around(one.numbers, context_frames, len(one.video))
            frames, around = cache.frames(one.video, sha256, wanted), None
            if context_frames:
                around = Neighbours(wanted, frames, context_frames)
                frames = around.chosen(one.numbers)
            brightest = video_maximum(one.video) if whole_maximum else None
            video = labelled_video(
                record.name, frames, one.labels, record.held_out, brightest, around, one.empty
            )
        except (VideoError, OSError) as error:
            data.left_out.append(str(error))
            continue
        data.add(video, _with_model(record, known[sha256], ledger, learned_by, data))
        if settings.hold_out == "frames" and not blank and not video.scores:
            data.notes.append(
                f"{video.name}: none of its labelled frames is held out: a model has learned them "
                "all, or there is but one. Label more, to know how good a model is on it"
            )
    _add_kept(place, ledger, learned_by, data, context_frames)
    data.agree_on_polarity()
    if settings.unlabelled == "simulate" and (settings.simulated_share > 0 or not data.records):
        _draw_over(found.unlabelled, hashes, data)
    else:
        data.left_out += [
            f"{path.name}: no labels; they are expected as "
            f"{place.annotations / next(iter(label_names(path)))}"
            for path in found.unlabelled
        ]
    if write:
        hashes.save()
        cache.remove_unused()
    return data


def _held_out(
    found: list[FoundVideo], known: dict[str, VideoRecord | None], settings: TrainingSettings
) -> dict[str, Ranges]:
    """Choose what is held out of each video; what was held out before stays so."""
    share = settings.validation_split
    before = {sha256: record.held_out if record else () for sha256, record in known.items()}
    labelled = {sha256: record.labelled if record else () for sha256, record in known.items()}
    with_particles = [one for one in found if not one.labels.empty]
    if settings.hold_out == "frames" or len(with_particles) < 2:
        return {
            one.record.sha256: hold_out_frames(
                one.with_particles,
                share,
                before[one.record.sha256],
                labelled[one.record.sha256],
                one.empty,
            )
            for one in found
        }
    whole = {one.record.sha256: (0, len(one.video) - 1) for one in with_particles}
    earlier = {sha256 for sha256 in whole if whole[sha256] in before[sha256]}
    learned = {sha256 for sha256, record in known.items() if record is not None}
    chosen = hold_out_videos(whole, share, earlier, learned)
    # A block of frames that was held out before stays so in a video that is learned from.
    return {sha256: (whole[sha256],) if sha256 in chosen else before[sha256] for sha256 in known}


def _with_model(
    record: VideoRecord,
    known: VideoRecord | None,
    ledger: Ledger,
    learned_by: set[str],
    data: TrainingData,
) -> VideoRecord:
    """Name the model that knows this video with these labels; say what has changed."""
    if known is None:
        if ledger.named(record.name) is not None:
            data.notes.append(
                f"{record.name}: another video than the one learned under this name; "
                "it is learned as a new one"
            )
        return record
    if known.labels_sha256 and known.labels_sha256 != record.labels_sha256:
        data.notes.append(f"{record.name}: its labels have changed; it is learned again")
        return record
    if not known.known_to(learned_by):
        return record
    return replace(record, model_version=known.model_version, trained_date=known.trained_date)


def _add_kept(
    place: Workspace,
    ledger: Ledger,
    learned_by: set[str],
    data: TrainingData,
    context_frames: int,
) -> None:
    """Add the frames kept of videos that are gone, unlabelled now, or cannot be read."""
    kept, unreadable = kept_videos(
        place.rehearsal, {record.sha256 for record in data.records.values()}
    )
    data.notes += unreadable
    for one in kept:
        known, record = ledger.find(one.record), one.record
        if known is not None:
            both = tuple(dict.fromkeys(known.held_out + record.held_out))
            record = _with_model(
                replace(record, name=known.name, held_out=both, labelled=known.labelled),
                known,
                ledger,
                learned_by,
                data,
            )
        if record.name in data.records:
            record = replace(record, name=record.own_name)
        held_out = one.video.held_out | is_held_out(one.video.numbers, record.held_out)
        data.add(replace(one.video, name=record.name, held_out=held_out), record)
        data.notes.append(
            f"{record.name}: is no longer there with its labels; {len(held_out)} frames that were "
            f"kept of it take its place. To forget them, remove {one.path}"
        )
        kept_context = one.video.around.context_frames if one.video.around is not None else 0
        if kept_context < context_frames:
            data.notes.append(
                f"{record.name}: {kept_context or 'none'} of the {context_frames} frames before "
                "and after each were kept with them; the nearest that are there stand for the "
                "others"
            )


def _draw_over(unlabelled: dict[Path, Video], hashes: ContentHashes, data: TrainingData) -> None:
    """Measure the backgrounds of videos without labels."""
    if not unlabelled:
        return
    detector = load_model()
    labelled = {record.sha256: record.name for record in data.records.values()}
    for path, video in unlabelled.items():
        try:
            _, sha256 = hashes.of(path)
            if sha256 in labelled:
                data.left_out.append(f"{path.name}: the same video as {labelled[sha256]}")
                continue
            backdrop = backdrop_of(video, detector)
        except (VideoError, OSError) as error:
            data.left_out.append(f"{path.name}: no labels, and no particles can be drawn: {error}")
            continue
        data.backdrops.append(backdrop)
        data.drawn_over.append(path.name)
        data.hashes[path.name] = sha256
        data.notes.append(
            f"{path.name}: no labels; simulated particles are drawn over its background"
        )
