"""The sections of the settings: every setting with its unit, its range and a line of help."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


def setting(default: Any, help_line: str, *, unit: str = "", **bounds: Any) -> Any:
    return Field(default, description=help_line, json_schema_extra={"unit": unit}, **bounds)


def _listed(default: list[int], help_line: str) -> Any:
    return Field(default_factory=lambda: list(default), description=help_line, min_length=1)


class Section(BaseModel):
    """Settings that belong together; unknown keys and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class Range(Section):
    """A pair of limits between which a property of simulated scenes is drawn."""

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        if not isinstance(value, dict | cls):
            raise ValueError("give two limits, such as [1, 3]")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"the range {self.low} to {self.high} must rise from 0 or more")
        return self


def _range(low: float, high: float, help_line: str, unit: str) -> Any:
    return Field(
        default_factory=lambda: Range(low=low, high=high),
        description=help_line,
        json_schema_extra={"unit": unit},
    )


class ModelSettings(Section):
    """Which network is taught."""

    name: str = setting("particle_detector", "Name written into the exported model.", min_length=1)
    architecture: Literal["grid", "unet"] = setting(
        "grid",
        "grid: sub-pixel positions with their errors, fast; unet: the masks of versions 2 and 3.",
    )
    unet_channels: list[Annotated[int, Field(ge=4, le=512)]] = _listed(
        [16, 32, 64], "Channels of the U-Net, from the frame's resolution down (architecture unet)."
    )
    grid_channels: list[Annotated[int, Field(ge=4, le=512)]] = _listed(
        [32, 48, 64], "Channels of the grid network, from half resolution down (architecture grid)."
    )
    context_frames: int = setting(
        0,
        "Frames before and after each one that the grid network sees with it, for dim particles.",
        unit="frames",
        ge=0,
        le=3,
    )

    @model_validator(mode="after")
    def _only_the_grid_network_sees_neighbours(self) -> Self:
        if self.context_frames and self.architecture == "unet":
            raise ValueError(
                f"context_frames {self.context_frames} needs the grid network; the U-Net of "
                "versions 2 and 3 sees each frame alone: set model.context_frames=0 or "
                "model.architecture=grid"
            )
        return self


class TrainingSettings(Section):
    """How long, how fast and on what the network is taught."""

    epochs: int = setting(30, "Epochs to train.", ge=1, le=1000)
    steps_per_epoch: int = setting(
        200, "Batches in an epoch; the state is saved after each epoch.", ge=1, le=10_000
    )
    batch_size: int = setting(32, "Crops in a batch.", ge=1, le=1024)
    crop_px: int = setting(64, "Side of a training crop.", unit="px", ge=32, le=512)
    learning_rate: float = setting(2e-3, "Peak learning rate.", ge=1e-6, le=1e-1)
    schedule: Literal["cosine", "plateau"] = setting(
        "cosine",
        "cosine: falls to a hundredth over the run; plateau: falls when the validation loss no "
        "longer does.",
    )
    plateau_factor: float = setting(
        0.5, "What the learning rate is multiplied by at a plateau.", ge=0.05, le=0.95
    )
    plateau_patience: int = setting(
        5, "Epochs without progress that make a plateau.", unit="epochs", ge=0, le=1000
    )
    plateau_threshold: float = setting(
        1e-4, "Relative fall of the validation loss that counts as progress.", ge=0, le=0.5
    )
    validation_split: float = setting(
        0.2, "Share of the labelled frames, or videos, that is held out.", ge=0.1, le=0.4
    )
    hold_out: Literal["frames", "videos"] = setting(
        "frames", "Hold out the last labelled frames of each video, or whole videos."
    )
    gate_px: float = setting(
        2.0, "Distance within which a detection is right.", unit="px", gt=0, le=20
    )
    simulated_share: float = setting(
        0.5, "Share of simulated crops where the workspace has labelled videos.", ge=0.0, le=1.0
    )
    unlabelled: Literal["leave_out", "simulate"] = setting(
        "leave_out",
        "Videos without labels: left out, or simulated particles drawn over their background.",
    )
    start: Literal["bundled", "scratch"] = setting(
        "bundled", "Weights to begin with where the workspace has no model to continue."
    )
    incremental: bool = setting(
        True, "Continue the workspace's current model: learn new videos, rehearse the earlier ones."
    )
    rehearsal_share: float = setting(
        0.5, "Share of the labelled crops that is from earlier videos.", ge=0.0, le=0.9
    )
    ensemble: int = setting(
        1,
        "Networks that are trained one after the other and answer together; each takes as long as "
        "one, in training and in analysis.",
        ge=1,
        le=20,
    )
    max_f1_loss: float = setting(
        0.01,
        "Largest fall of F1 on earlier videos with which a new model becomes the current one.",
        ge=0,
        le=1,
    )
    mixed_precision: bool = setting(
        True, "Half precision on GPUs, and on processors that compute bfloat16 themselves."
    )
    early_stopping: bool = setting(True, "Stop when the validation loss no longer falls.")
    patience: int = setting(10, "Epochs without progress before stopping.", ge=1, le=1000)
    gradient_clip: float = setting(1.0, "Largest norm of the gradient.", ge=0.1, le=5.0)
    devices: int = setting(1, "GPUs, or processes on CPUs, on each machine.", ge=1, le=64)
    num_nodes: int = setting(1, "Machines that train together.", ge=1, le=1024)
    strategy: str = setting(
        "auto", "How several devices work together, by its name in Lightning, such as ddp."
    )
    seed: int = setting(0, "Seed of weights, scenes and the order of the data.", ge=0)


class AugmentationSettings(Section):
    """How labelled crops are varied; simulated crops vary by themselves."""

    enabled: bool = setting(True, "Vary the labelled crops.")
    flip_lr: bool = setting(True, "Mirror left and right.")
    flip_ud: bool = setting(True, "Mirror up and down.")
    rotate: bool = setting(True, "Turn by quarter turns.")
    brightness: bool = setting(
        True, "Multiply the intensity by 0.8 to 1.2, as in version 3.0; normalising undoes it."
    )
    free_rotation: bool = setting(True, "Turn half of the crops by any angle.")
    scale: float = setting(
        0.1, "Enlarge or shrink half of the crops by up to this share; 0: never.", ge=0, le=0.5
    )
    contrast: float = setting(
        0.2, "Stretch or flatten intensities around the median by up to this share.", ge=0, le=0.9
    )
    gamma: float = setting(
        0.1, "Bend intensities by an exponent that differs from 1 by up to this.", ge=0, le=0.5
    )
    blur_px: float = setting(
        0.5, "Blur a quarter of the crops by up to this standard deviation.", unit="px", ge=0, le=5
    )
    gaussian_noise: float = setting(
        0.5, "Add noise of up to this many times the crop's own.", ge=0, le=5
    )
    poisson_noise: float = setting(
        0.5,
        "Add noise that grows with the intensity, up to this many times the crop's own.",
        ge=0,
        le=5,
    )
    gradient: float = setting(
        0.3, "Add a sloping background of up to this share of the crop's contrast.", ge=0, le=5
    )


class DataSettings(Section):
    """What the labels mean."""

    particle_radius: int = setting(
        3, "Radius of the filled discs that the U-Net is taught.", unit="px", ge=1, le=10
    )


class SceneSettings(Section):
    """What simulated training scenes may look like; every scene draws its own values."""

    spot_sigma_px: Range = _range(1.0, 3.5, "Standard deviation of a spot.", "px")
    peak_snr: Range = _range(0.7, 30.0, "Peak over the noise at the peak.", "")
    density_per_1000_px2: Range = _range(0.05, 8.0, "Particles on 1000 px².", "1/1000 px²")
    background_photons: Range = _range(5.0, 2000.0, "Background level.", "photons/px")
    background_structure: float = setting(
        0.5, "Largest uneven background, as a share of the brightest spot.", ge=0.0, le=5.0
    )
    background_structure_snr: float = setting(
        12.0,
        "Largest uneven background over its noise, however dim the particles; with a structure of "
        "0 there is none.",
        ge=0.3,
        le=1000,
    )
    ring_share: float = setting(0.35, "Share of scenes with defocus rings.", ge=0.0, le=1.0)
    clutter_share: float = setting(
        0.6, "Share of scenes with blurred, dim particles that are not wanted.", ge=0.0, le=1.0
    )
    compressed_share: float = setting(
        0.25, "Share of scenes with smoothed noise and 8-bit steps, as in movies.", ge=0.0, le=1.0
    )
    speck_share: float = setting(0.15, "Share of scenes with hot pixels.", ge=0.0, le=1.0)
    smeared_share: float = setting(
        0.25, "Share of scenes whose particles move while a frame is exposed.", ge=0.0, le=1.0
    )


class ExperimentSettings(Section):
    """A simulated experiment: Brownian particles filmed by a camera."""

    frames: int = setting(200, "Frames.", ge=1, le=100_000)
    height_px: int = setting(256, "Height of a frame.", unit="px", ge=16, le=8192)
    width_px: int = setting(256, "Width of a frame.", unit="px", ge=16, le=8192)
    particles: int = setting(40, "Particles in view, on average.", ge=0, le=100_000)
    D_um2_per_s: float = setting(0.5, "Diffusion coefficient.", unit="um²/s", ge=0)
    pixel_size_um: float = setting(0.1, "Pixel size.", unit="um", gt=0)
    frame_interval_s: float = setting(1 / 30, "Time between frames.", unit="s", gt=0)
    exposure_s: float = setting(0.01, "Exposure of a frame.", unit="s", ge=0)
    peak_snr: Range = _range(3.0, 10.0, "Peak over the noise at the peak.", "")
    spot_sigma_px: float = setting(1.5, "Standard deviation of a spot.", unit="px", gt=0, le=20)
    background_photons: float = setting(
        100.0, "Background level.", unit="photons/px", gt=0, le=60_000
    )
    read_noise_photons: float = setting(
        2.0, "Read noise of the camera.", unit="photons", ge=0, le=1000
    )
    seed: int = setting(0, "Seed of the experiment.", ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.peak_snr.low <= 0:
            raise ValueError("peak_snr must be above 0")
        if self.exposure_s > self.frame_interval_s:
            raise ValueError("exposure_s is longer than frame_interval_s")
        return self


class AnalysisSettings(Section):
    """From frames to detections, tracks and estimates."""

    threshold: float | None = setting(
        None, "Least probability of a detection; empty: the model's own.", gt=0, lt=1
    )
    polarity: Literal["auto", "bright", "dark"] = setting(
        "auto", "Bright particles on dark ground, dark on bright, or decided from the video."
    )
    min_area: int = setting(
        3, "Least area of a detection of a mask model (U-Net).", unit="px²", ge=1
    )
    doubtful_spots: Literal["weigh", "keep"] = setting(
        "weigh",
        "Isolated detections that the model is unsure of: weigh them by their photons and by what "
        "the video's other particles are like, where these can tell, or keep the model's word.",
    )
    static_specks: Literal["mask", "keep"] = setting(
        "mask",
        "Places that hold still for half of the video: mask them as dirt and hot pixels, or keep "
        "them as immobile particles.",
    )
    search_range_px: float | None = setting(
        None, "Longest step that is linked; empty: from the measured steps.", unit="px", gt=0
    )
    linking_engine: Literal["trackpy", "laptrack"] = setting(
        "trackpy",
        "trackpy: the links that trackpy finds, likelier ones across gaps; laptrack: those of "
        "laptrack, much slower, which can follow particles that split or merge.",
    )
    split_merge_range_px: float | None = setting(
        None,
        "Largest distance of a split or merge, with laptrack; empty: there are none. Tracks end "
        "where particles split or merge, and others begin.",
        unit="px",
        gt=0,
    )
    memory_frames: int = setting(3, "Frames that a particle may be missing.", unit="frames", ge=0)
    min_track_frames: int = setting(5, "Shortest track that is kept.", unit="frames", ge=2)
    min_relative_probability: float = setting(
        0.93,
        "Least mean probability of a track, relative to the surest tracks: leaves out particles "
        "far out of focus. With a twin the height of peaks decides in its place. 0 keeps all.",
        ge=0,
        le=1,
    )
    drift: Literal["auto", "none"] = setting(
        "auto", "auto: subtract the common motion where it is significant."
    )
    seed: int = setting(0, "Seed of the bootstrap.", ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.split_merge_range_px is not None and self.linking_engine != "laptrack":
            raise ValueError("split_merge_range_px needs the linking_engine laptrack")
        return self
