"""Several frames at once: which frames each one is seen with, and models that learn to see them."""

import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, load_model, tiles
from cloudtrainer.detector.context import middle_frames, widened, with_neighbours
from cloudtrainer.detector.onnx_export import onnx_bytes
from cloudtrainer.errors import ConfigError, ModelError, VideoError


def numbered(frames, side=2):
    """Return frames whose pixels say their number."""
    return torch.arange(float(frames))[:, None, None].expand(frames, side, side)


@pytest.mark.parametrize(
    ("frames", "context", "order"),
    [
        (3, 0, [[0], [1], [2]]),
        (4, 1, [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]),
        (3, 2, [[0, 0, 0, 1, 2], [0, 0, 1, 2, 2], [0, 1, 2, 2, 2]]),
        (1, 3, [[0] * 7]),
    ],
)
def test_each_frame_is_between_its_neighbours_and_ends_are_repeated(frames, context, order):
    stacks = with_neighbours(numbered(frames), context)
    assert stacks.shape == (frames, 2 * context + 1, 2, 2)
    assert stacks[:, :, 0, 0].tolist() == order


@pytest.mark.parametrize(
    ("there", "wanted", "order"),
    [
        (3, 1, [0, 1, 2]),
        (5, 1, [1, 2, 3]),
        (7, 0, [3]),
        (3, 3, [0, 0, 0, 1, 2, 2, 2]),
        (1, 2, [0] * 5),
    ],
)
def test_a_model_of_another_context_sees_the_middle_of_a_stack(there, wanted, order):
    stacks = numbered(there)[None].expand(2, there, 2, 2)
    seen = middle_frames(stacks, wanted)
    assert seen[:, :, 0, 0].tolist() == [order] * 2


def seeing(plain, context, **training):
    """Return a detector of the same settings that sees neighbours, its weights drawn anew."""
    settings = plain.config.to_dict()
    settings["model"]["context_frames"] = context
    settings["training"] |= training
    reading = {"threshold": plain.threshold, "error_scale": plain.error_scale}
    return ParticleDetector(settings, **reading).eval()


def grown(plain, context, share=0.0):
    """Return a detector with the same weights, the neighbours as heavy as a share of the middle."""
    detector = seeing(plain, context)
    detector.model.load_state_dict(widened(plain.model.state_dict(), detector.model.state_dict()))
    weight = detector.model.stem[0].weight
    channels = weight.shape[1] // (2 * context + 1)
    with torch.no_grad():
        for frame in range(2 * context + 1):
            if frame != context:
                own = slice(frame * channels, (frame + 1) * channels)
                weight[:, own] = share * plain.model.stem[0].weight
    return detector


@pytest.mark.parametrize("context", [1, 2, 3])
def test_widened_weights_give_the_same_answers_whatever_the_neighbours(detector_of, context):
    plain = detector_of("grid")
    wide = seeing(plain, context)
    wide.model.load_state_dict(widened(plain.model.state_dict(), wide.model.state_dict()))
    stacks = torch.randn(3, 2 * context + 1, 24, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = plain.answer(stacks[:, context, None])
        torch.testing.assert_close(wide.answer(stacks), wanted, rtol=1e-5, atol=1e-5)


def test_an_ensemble_is_widened_member_by_member(detector_of):
    plain = seeing(detector_of("grid"), 0, ensemble=2)
    wide = seeing(detector_of("grid"), 1, ensemble=2)
    wide.model.load_state_dict(widened(plain.model.state_dict(), wide.model.state_dict()))
    stacks = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            wide.answer(stacks), plain.answer(stacks[:, 1:2]), rtol=1e-5, atol=1e-5
        )


def test_weights_of_another_network_are_refused(detector_of):
    plain, unet = detector_of("grid"), detector_of("unet")
    wide = seeing(plain, 1)
    with pytest.raises(ModelError, match="same layers"):
        widened(unet.model.state_dict(), wide.model.state_dict())
    with pytest.raises(ModelError, match=r"stem\.0\.weight: weights of shape"):
        widened(wide.model.state_dict(), plain.model.state_dict())


def moving(frames=6, height=48, width=63, seed=0):
    """Return raw frames with a few spots that move to the right."""
    rng = np.random.default_rng(seed)
    film = rng.normal(100, 5, (frames, height, width))
    row, column = np.indices((height, width))
    for x, y in rng.uniform(8, 40, (6, 2)):
        for frame in range(frames):
            film[frame] += 60 * np.exp(-((column - x - frame) ** 2 + (row - y) ** 2) / 4.5)
    return film


def test_detecting_shows_the_network_the_frames_before_and_after(detector_of):
    detector = grown(detector_of("grid"), 1, 0.5)
    shown = []
    own = detector.model.forward
    detector.model.forward = lambda stacks: shown.append(stacks) or own(stacks)
    # Each frame has its own trace after normalising: a bright pixel where its number says.
    film = np.random.default_rng(0).normal(100, 5, (4, 32, 32))
    film[range(4), range(4), 0] = 1000
    detector.detect(film)
    [stacks] = shown
    assert stacks.shape == (4, 3, 32, 32)
    bright = stacks[:, :, :4, 0].argmax(dim=2)
    assert bright.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]


def test_margins_are_seen_and_not_searched(detector_of):
    detector = grown(detector_of("grid"), 1, 0.3)
    film = moving()
    whole = detector.detect(film, fit=False)
    part = detector.detect(film, margins=(1, 2), fit=False)
    wanted = whole[whole["frame"].isin([1, 2, 3])].reset_index(drop=True)
    assert len(wanted) > 3
    pd.testing.assert_frame_equal(part, wanted, rtol=1e-4, atol=1e-3)
    # Neighbours count: without them the answer is another one.
    alone = detector.detect(film[1:4], fit=False)
    assert len(alone) != len(wanted) or not np.allclose(alone["x"], wanted["x"], atol=1e-3)
    for margins in ((3, 3), (6, 0), (-1, 0)):
        with pytest.raises(VideoError, match="leave none of 6 frames"):
            detector.detect(film, margins=margins)


def test_a_single_frame_is_its_own_neighbour(detector_of):
    detector = grown(detector_of("grid"), 2, 0.3)
    frame = moving(1)
    found = detector.detect(frame, fit=False)
    again = detector.detect(frame.repeat(5, axis=0), margins=(2, 2), fit=False)
    assert len(found) > 0
    pd.testing.assert_frame_equal(
        found, again.assign(frame=again["frame"] - 2), rtol=1e-4, atol=1e-3
    )


def test_tiles_are_cut_through_all_frames(monkeypatch):
    stacks = torch.randn(2, 3, 150, 171, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(tiles, "_TILE_PX", 16)
    shapes = []

    def mean_of_cells(tile):
        shapes.append(tile.shape)
        return torch.nn.functional.avg_pool2d(tile, 2, ceil_mode=True)

    tiled = tiles.answer_in_tiles(mean_of_cells, stacks, 2)
    assert len(shapes) > 10
    assert {shape[1] for shape in shapes} == {3}
    torch.testing.assert_close(tiled, mean_of_cells(stacks))


def test_each_frame_is_normalised_by_itself_so_a_flickering_lamp_drops_out(detector_of):
    detector = grown(detector_of("grid"), 1, 0.3)
    film = moving(4)
    lamp = np.array([1.0, 1.3, 0.7, 1.1])[:, None, None]
    even = detector.normalise(torch.as_tensor(film))
    flickering = detector.normalise(torch.as_tensor(lamp * film + 20))
    torch.testing.assert_close(even, flickering, rtol=1e-3, atol=1e-3)
    stacks = with_neighbours(torch.as_tensor(lamp * film), 1)
    torch.testing.assert_close(
        detector.normalise(stacks), with_neighbours(even, 1), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("context", [1, 3])
def test_the_u_net_sees_each_frame_alone(context):
    settings = {"model": {"architecture": "unet", "context_frames": context}}
    with pytest.raises(ConfigError, match="needs the grid network"):
        Config.from_dict(settings)
    with pytest.raises(ConfigError, match=r"model\.context_frames=0"):
        Config.version_3().with_values([f"model.context_frames={context}"])


@pytest.mark.parametrize("context", [-1, 4, 1.5])
def test_the_number_of_neighbours_has_limits(context):
    with pytest.raises(ConfigError, match="context_frames"):
        Config.from_dict({"model": {"context_frames": context}})


def test_the_portable_network_takes_stacks_of_any_size(detector_of, tmp_path):
    pytest.importorskip("onnxruntime")
    detector = grown(detector_of("grid"), 1, 0.3)
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_bytes(detector))
    portable = load_model(path)
    assert portable.context_frames == 1
    film = moving(4, 45, 37)
    wanted = detector.detect(film, fit=False)
    assert len(wanted) > 0
    pd.testing.assert_frame_equal(portable.detect(film, fit=False), wanted, rtol=1e-3, atol=1e-3)
    import onnx

    stored = onnx.load(path)
    assert stored.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3
    assert "3 channels" in stored.doc_string
    wrong = detector.config.to_dict()
    wrong["model"]["context_frames"] = 0
    with pytest.raises(ModelError, match="stacks of 3 frames"):
        ParticleDetector.load_from_checkpoint(path, wrong)
