"""Stacks on disk: read back as they were, and made anew where they cannot be."""

import numpy as np
import pytest

from cloudtrainer.config import OpticsSettings
from cloudtrainer.errors import ConfigError
from cloudtrainer.simulation.optics import cache, deeptrack2

FLUORESCENCE = OpticsSettings(kind="fluorescence")


@pytest.fixture
def computed(monkeypatch, tmp_path, gaussian_stack):
    """Count how often a stack is computed; the cache is in a folder of its own."""
    asked = []

    def compute(optics):
        asked.append(optics)
        return gaussian_stack(optics.kind, contrast=0.1)

    monkeypatch.setattr(cache, "compute_stack", compute)
    monkeypatch.setattr(cache, "deeptrack_version", lambda: "2.0.2")
    monkeypatch.setenv("CLOUDTRAINER_CACHE", str(tmp_path / "cache"))
    return asked


def same(first, second):
    return all(np.array_equal(own, vars(second)[name]) for name, own in vars(first).items())


@pytest.mark.parametrize("kind", ["fluorescence", "brightfield", "darkfield"])
def test_a_stack_is_computed_once_and_read_back_the_same(computed, kind):
    first = cache.load_stack(OpticsSettings(kind=kind))
    again = cache.load_stack(OpticsSettings(kind=kind))
    assert len(computed) == 1
    assert same(first, again)
    assert again.planes.dtype == np.float32
    assert [file.suffix for file in cache.cache_folder().iterdir()] == [".npz"]


def test_other_parameters_are_another_stack(computed, monkeypatch):
    others = [
        {"numerical_aperture": 0.8},
        {"wavelength_nm": 551.0},
        {"defocus_um": [-1, 2]},
        {"particle_radius_um": 0.1},
        {"kind": "darkfield"},
    ]
    cache.load_stack(FLUORESCENCE)
    for other in others:
        cache.load_stack(OpticsSettings(**{"kind": "fluorescence", **other}))
    monkeypatch.setattr(cache, "deeptrack_version", lambda: "2.0.3")
    cache.load_stack(FLUORESCENCE)
    assert len(computed) == 2 + len(others)


def test_what_does_not_change_a_stack_asks_for_no_other(computed):
    cache.load_stack(FLUORESCENCE)
    cache.load_stack(OpticsSettings(kind="fluorescence", pixel_fill=0.5))
    cache.load_stack(OpticsSettings(kind="fluorescence", refractive_index_particle=1.4))
    assert len(computed) == 1


def damage_nothing(file):
    file.write_bytes(b"")


def damage_cut(file):
    file.write_bytes(file.read_bytes()[:-200])


def damage_bits(file):
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 4, len(content) // 2, 7):
        content[place] ^= 0xFF
    file.write_bytes(bytes(content))


def damage_other(file):
    with file.open("wb") as opened:
        np.savez(opened, planes=np.zeros((3, 2), np.float32), heights_um=np.zeros(3), samples=1)


def damage_nan(file):
    with file.open("wb") as opened:
        planes = np.full((2, 1, 3, 3), np.nan, np.float32)
        np.savez(opened, planes=planes, heights_um=np.zeros(2), samples=1)


def damage_pickle(file):
    with file.open("wb") as opened:
        np.savez(opened, planes=np.array([{}], object), heights_um=np.zeros(1), samples=1)


@pytest.mark.parametrize(
    "damage",
    [damage_nothing, damage_cut, damage_bits, damage_other, damage_nan, damage_pickle],
)
def test_a_damaged_file_is_computed_anew(computed, damage):
    first = cache.load_stack(FLUORESCENCE)
    (file,) = cache.cache_folder().iterdir()
    damage(file)
    assert same(cache.load_stack(FLUORESCENCE), first)
    assert len(computed) == 2
    assert same(cache.load_stack(FLUORESCENCE), first)
    assert len(computed) == 2


def test_where_no_file_can_be_written_the_stack_is_there_all_the_same(
    computed, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLOUDTRAINER_CACHE", str(tmp_path / "file"))
    cache.load_stack(FLUORESCENCE)
    cache.load_stack(FLUORESCENCE)
    assert len(computed) == 2
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_cache_is_in_the_users_own_folder_unless_told(monkeypatch):
    monkeypatch.delenv("CLOUDTRAINER_CACHE", raising=False)
    assert cache.cache_folder().parts[-2:] == (".cache", "cloudtrainer")
    monkeypatch.setenv("CLOUDTRAINER_CACHE", "~/elsewhere")
    assert cache.cache_folder().name == "elsewhere"
    assert "~" not in str(cache.cache_folder())


def test_a_missing_deeptrack_is_a_line_that_says_what_to_install(monkeypatch, tmp_path):
    def missing(name):
        raise deeptrack2.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(deeptrack2.importlib.metadata, "version", missing)
    monkeypatch.setenv("CLOUDTRAINER_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"\[optics\].*--no-deps deeptrack") as caught:
        cache.load_stack(FLUORESCENCE)
    assert "\n" not in str(caught.value)
