"""What is shown of a video beside its twin."""

import numpy as np
from known_films import film, gaussian

from cloudtrainer.simulation.twin import measure_twin
from cloudtrainer.simulation.twin.compare import compare
from cloudtrainer.video import Video


def test_of_a_video_with_few_particles_a_frame_that_holds_one_is_shown(detector):
    filmed = film([gaussian(1.8)], [300.0], particles=2, frames=30, step_px=1.0)
    empty = np.random.default_rng(1).poisson(200.0, (40, 128, 128)).astype(np.uint16)
    frames = np.concatenate([empty[:10], filmed.video.frames(), empty])
    shown = compare(measure_twin(Video(frames), detector), Video(frames))
    assert 10 <= shown.frame_number < 40
    assert shown.video.max() > 350
    assert shown.twin.max() > 350
    assert shown.shapes == 1
