import numpy as np
import pandas as pd
import pytest
import torch

from cloudtrainer.simulation.scenes import Scenes
from cloudtrainer.training.validation import calibrate, score_model
from cloudtrainer.training.validation_sets import ValidationSet, parts_of_an_epoch, validation_sets

COLUMNS = ["frame", "x", "y", "x_error", "y_error", "probability"]
SPACING = 10


class FakeDetector:
    """Finds every particle with known errors, and false ones of known probability."""

    context_frames = 0

    def __init__(
        self,
        scenes,
        error=0.3,
        stated=0.1,
        true=(0.6, 0.9),
        false=(0.1, 0.5),
        share=0.5,
    ):
        self.threshold, self.error_scale, self.device = 0.5, 1.0, torch.device("cpu")
        self.error_slope = 0.0
        rng = np.random.default_rng(0)
        self.tables = []
        for batch in scenes:
            image, place = (part.numpy() for part in torch.nonzero(batch.present, as_tuple=True))
            x, y = batch.x.numpy()[image, place], batch.y.numpy()[image, place]
            number = len(image)
            extra = int(share * number)
            # Lists are taken in turn.
            off = np.resize(error, number)
            says = np.resize(stated, number)[:, None] + np.zeros(2)
            right = np.column_stack(
                [
                    image,
                    x + rng.normal(0, off),
                    y + rng.normal(0, off),
                    says,
                    rng.uniform(*true, number),
                ]
            )
            wrong = np.column_stack(
                [
                    image[:extra],
                    x[:extra] + SPACING / 2,
                    y[:extra] + SPACING / 2,
                    says[:extra],
                    rng.uniform(*false, extra),
                ]
            )
            table = pd.DataFrame(np.concatenate([right, wrong]), columns=COLUMNS)
            self.tables.append(table.astype({"frame": np.int64}))
        self.asked = iter(self.tables)

    def eval(self):
        return self

    def to(self, device):
        return self

    def normalise(self, raw, video_maximum):
        return raw

    def answer(self, seen):
        return seen

    def read(self, answer, raw, seen, threshold, fit):
        table = next(self.asked)
        return table[table["probability"] >= threshold].reset_index(drop=True)


@pytest.fixture
def scenes():
    """Return batches of particles on a lattice."""
    places = torch.cartesian_prod(torch.arange(15.0), torch.arange(15.0)) * SPACING + 5
    x, y = places.T.repeat(1, 2, 1).reshape(2, 2, -1)
    present = torch.ones(x.shape, dtype=torch.bool)
    return [Scenes(torch.zeros(2, 160, 160), x, y, present, torch.ones(2)) for _ in range(2)]


def chosen(detector, scenes):
    return calibrate(detector, [ValidationSet("beads.tif", "new", scenes)], 2.0)


def test_the_threshold_parts_true_from_false(scenes):
    detector = FakeDetector(scenes)
    found = chosen(detector, scenes)
    # Between the surest false and the least sure true ones.
    assert 0.48 <= detector.threshold <= 0.61
    assert found.score.f1 > 0.97
    assert found.score.precision > 0.98
    assert found.score.truth == 900


def test_a_threshold_is_a_compromise_where_true_and_false_overlap(scenes):
    detector = FakeDetector(scenes, true=(0.2, 0.9), false=(0.1, 0.6), share=1.0)
    found = chosen(detector, scenes)
    # Of probabilities spread evenly, a share t of the true and f of the false pass a threshold p.
    p = np.linspace(0.1, 0.9, 801)
    t, f = np.clip((0.9 - p) / 0.7, 0, 1), np.clip((0.6 - p) / 0.5, 0, 1)
    f1 = 2 * t / (t + f + 1)
    assert detector.threshold == pytest.approx(p[f1 >= f1.max() - 0.001].max(), abs=0.08)
    assert found.score.f1 == pytest.approx(f1.max(), abs=0.03)


@pytest.mark.parametrize(("error", "stated"), [(0.3, 0.1), (0.2, 0.2), (0.1, 0.4)])
def test_the_scale_makes_stated_errors_the_true_ones(scenes, error, stated):
    detector = FakeDetector(scenes, error=error, stated=stated)
    chosen(detector, scenes)
    # The median of 1800 absolute errors is known to about 2 %.
    assert detector.error_scale == pytest.approx(error / stated, rel=0.08)


def test_a_scale_builds_on_the_one_there_was(scenes):
    detector = FakeDetector(scenes, error=0.3, stated=0.1)
    detector.error_scale = 2.0
    chosen(detector, scenes)
    assert detector.error_scale == pytest.approx(2.0 * 3.0, rel=0.08)


def test_the_scale_may_differ_for_small_and_large_errors(scenes):
    stated = np.geomspace(0.05, 0.4, 17)
    detector = FakeDetector(scenes, error=0.7 * stated * (stated / 0.2) ** 0.3, stated=stated)
    chosen(detector, scenes)
    assert detector.error_slope == pytest.approx(0.3, abs=0.06)
    assert detector.error_scale == pytest.approx(0.7, rel=0.08)


def test_a_few_gross_errors_do_not_widen_the_scale(scenes):
    detector = FakeDetector(scenes, error=0.1, stated=0.1)
    for table in detector.tables:
        table.loc[::20, "x"] += 1.5
    chosen(detector, scenes)
    assert detector.error_scale == pytest.approx(1.0, rel=0.1)


def test_errors_of_mask_models_are_not_scaled(scenes):
    detector = FakeDetector(scenes, stated=np.nan)
    chosen(detector, scenes)
    assert detector.error_scale == 1.0


def test_a_detector_that_finds_nothing_keeps_the_middle(scenes):
    detector = FakeDetector(scenes, true=(0.0, 0.01), false=(0.0, 0.01))
    found = chosen(detector, scenes)
    assert (detector.threshold, detector.error_scale) == (0.5, 1.0)
    assert found.score.f1 == 0.0


def test_scores_have_the_names_of_the_model_card(scenes):
    numbers = chosen(FakeDetector(scenes), scenes).numbers()
    assert numbers.keys() == {"val_f1", "val_precision", "val_recall", "val_rmse_px", "gate_px"}
    assert numbers["val_rmse_px"] == pytest.approx(0.3, rel=0.1)
    assert numbers["gate_px"] == 2.0


def test_each_video_and_each_kind_is_scored_by_itself(scenes):
    blind = FakeDetector(scenes, true=(0.0, 0.01), false=(0.0, 0.01))
    detector = FakeDetector(scenes, error=0.1)
    # Finds all in the first video and nothing in the second.
    detector.asked = iter([detector.tables[0], blind.tables[1]])
    sets = [
        ValidationSet("a.tif", "earlier", scenes[:1]),
        ValidationSet("b.tif", "new", scenes[1:]),
    ]
    detector.threshold = 0.55
    found = score_model(detector, sets, 2.0)
    assert found.by_set["a.tif"].f1 == found.by_kind["earlier"].f1 == 1.0
    assert found.by_set["b.tif"].f1 == found.by_kind["new"].f1 == 0.0
    assert found.score.recall == 0.5
    assert detector.threshold == 0.55


def test_validation_data_are_held_out_frames_and_fixed_scenes(experiment, tiny):
    from cloudtrainer.training import split_labelled
    from cloudtrainer.video import Video

    labelled = split_labelled(Video(experiment.frames), experiment.truth, 0.25)
    sets = validation_sets(tiny(), [labelled], [])
    assert [(one.name, one.kind) for one in sets] == [
        ("array", "new"),
        ("simulated scenes", "simulated"),
    ]
    assert len(sets[0].scenes) == 2
    again = validation_sets(tiny(), [labelled], [])
    assert torch.equal(sets[1].scenes[0].images, again[1].scenes[0].images)
    alone = validation_sets(tiny(simulated_share=0.0), [], [labelled])
    assert [(one.name, one.kind) for one in alone] == [("array", "earlier")]
    # Without labels there is nothing else to be scored on.
    assert len(validation_sets(tiny(simulated_share=0.0), [], [])) == 1


def test_an_epoch_is_scored_on_a_few_parts_of_every_set(scenes):
    sets = [
        ValidationSet("long", "new", scenes * 500),
        ValidationSet("short", "new", scenes[:1]),
    ]
    parts = parts_of_an_epoch(sets, most=64)
    assert len(parts) == 32 + 1
    # Each set counts as much as the other.
    assert sum(part.weight for part in parts[:32]) == pytest.approx(0.5)
    assert parts[32].weight == pytest.approx(0.5)
