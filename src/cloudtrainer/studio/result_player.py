"""The player of a result: its tracks, and the video that they were found in."""

from pathlib import Path

from cloudtrainer.errors import VideoError
from cloudtrainer.studio.result_files import ResultFiles
from cloudtrainer.studio.track_player import Trajectories
from cloudtrainer.video import Video


def video_and_tracks(files: ResultFiles, videos: Path) -> tuple[Video, Trajectories]:
    """Return the video that results are of, and the tracks as they lie in it.

    Parameters
    ----------
    files : ResultFiles
        The results.
    videos : Path
        The folder of videos.

    Raises
    ------
    CloudTrainerError
        The video is not there, or another one has its name; or the tracks do not lie in it.
    """
    name = files.video_name
    path = videos / name
    # A name from a file of results leads nowhere else.
    if Path(name).name != name or not path.exists():
        raise VideoError(
            f"{name}: this video is not among those of the workspace; put it there to see the "
            "tracks over it"
        )
    video = Video(path)
    if video.sha256 != files.summary["video"].get("sha256"):
        raise VideoError(
            f"{name}: this video is not the one that was analysed, though it has its name; analyse "
            "again"
        )
    tracks = files.tracks_in_video()
    return video, Trajectories.of(tracks, files.particles(), files.diffusion_unit)
