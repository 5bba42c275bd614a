"""The detector: a network, how its frames are normalised, and how its answer is read."""

import copy
import hashlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cloudtrainer.config import Config
from cloudtrainer.detector.context import with_neighbours
from cloudtrainer.detector.detections import (
    appearance_from_grid,
    detections_from_grid,
    detections_from_masks,
)
from cloudtrainer.detector.ensemble import EnsembleNet
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.detector.normalise import by_maximum, by_noise
from cloudtrainer.detector.onnx_network import OnnxNetwork, read_onnx
from cloudtrainer.detector.photon_fit import Appearance
from cloudtrainer.detector.precision import fastest_on
from cloudtrainer.detector.tiles import answer_in_tiles
from cloudtrainer.errors import ModelError, VideoError

Normalisation = Literal["noise", "video_maximum"]


class ParticleDetector(nn.Module):
    """Finds particles in frames.

    Training makes a LightningModule of it (`cloudtrainer.training.TrainableDetector`); running it
    needs PyTorch alone.

    Parameters
    ----------
    config : Config or dict, optional
        The settings; the section ``model`` decides the network, ``training.ensemble`` how many
        networks answer together.
    normalisation : {"noise", "video_maximum"}
        What the frames are divided by; models of versions 2.0 and 3.0 expect the maximum of the
        whole video.
    threshold : float
        Least probability of a particle.
    error_scale : float
        Factor that makes the network's own standard errors those measured on validation scenes,
        where it states 0.2 px.
    error_slope : float
        How that factor changes with the stated error: it is multiplied by
        ``(error / 0.2 px) ** error_slope``.
    """

    def __init__(
        self,
        config: Config | dict[str, Any] | None = None,
        *,
        normalisation: Normalisation = "noise",
        threshold: float = 0.5,
        error_scale: float = 1.0,
        error_slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = config if isinstance(config, Config) else Config.from_dict(config or {})
        self.normalisation: Normalisation = normalisation
        self.threshold = threshold
        self.error_scale = error_scale
        self.error_slope = error_slope
        self.model: GridNet | UNet | EnsembleNet | OnnxNetwork
        if self.config.model.architecture == "grid":
            self.model = GridNet(self.config.model.grid_channels, self.context_frames)
        else:
            self.model = UNet(self.config.model.unet_channels)
        members = self.config.training.ensemble
        if members > 1:
            # Weights of their own are given to them by training, or by a model file.
            self.model = EnsembleNet([copy.deepcopy(self.model) for _ in range(members)])
        # Convolutions are up to twice as fast when the channels of a pixel lie side by side.
        nn.Module.to(self.model, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load_from_checkpoint(
        cls, path: str | Path, config: Config | dict[str, Any] | None = None
    ) -> Self:
        """Load a checkpoint or an export of this version, of version 3.0, or of version 2.0.

        Parameters
        ----------
        path : str or Path
            A ``.ckpt``, a ``.pth``, a ``.safetensors``, an ``.onnx`` or an export folder.
        config : Config or dict, optional
            Settings that take the place of the file's own.

        Raises
        ------
        ModelError
            The file is missing, is no checkpoint, would run code of its own, or does not fit.
        """
        path = Path(path)
        if path.suffix.lower() == ".onnx":
            described, network = read_onnx(path, config)
            detector = cls(described.config, **described.reading)
            detector.model = network
        else:
            stored = read_model(path, config)
            detector = cls(stored.config, **stored.reading)
            detector.load_weights(stored.weights, path)
        detector.eval()
        return detector

    def load_weights(self, weights: dict[str, Tensor], source: Path) -> None:
        """Put in the weights of the network.

        Raises
        ------
        ModelError
            The weights are those of another network; ``source`` names the file in the message.
        """
        try:
            self.model.load_state_dict(weights)
        except RuntimeError:
            architecture = self.config.model.architecture
            raise ModelError(
                f"{source}: its weights do not fit the network '{architecture}' of its settings; "
                "give the config.json that it was trained with"
            ) from None

    def forward(self, frames: Tensor) -> Tensor:
        """Return the network's raw answer to normalised frames, as :meth:`answer` takes them."""
        # Half precision, where it is on, is for the network alone: it is too coarse for positions.
        answer: Tensor = self.model(frames).float()
        return answer

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the weights, by which a model is known whatever it is called.

        A model that runs in ONNX Runtime is known by that of its file.
        """
        if isinstance(self.model, OnnxNetwork):
            return self.model.sha256
        digest = hashlib.sha256()
        for name, weights in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def context_frames(self) -> int:
        """Frames before and after each one that are seen with it."""
        return self.config.model.context_frames

    @property
    def device(self) -> torch.device:
        """Where the weights lie; ONNX Runtime computes on the processor."""
        weights = next(self.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    def detect(
        self,
        frames: NDArray[Any],
        *,
        polarity: int = 1,
        video_maximum: float | None = None,
        threshold: float | None = None,
        min_area: int = 3,
        margins: tuple[int, int] = (0, 0),
        fit: bool = True,
        appearance: Appearance | None = None,
    ) -> pd.DataFrame:
        """Find the particles of a few frames.

        Parameters
        ----------
        frames : ndarray
            Raw intensities, (frames, height, width). For a model that sees neighbouring frames they
            must follow each other; at the ends the first and the last stand for their neighbours.
        polarity : {1, -1}
            1 for bright particles, -1 for dark ones.
        video_maximum : float, optional
            Maximum of the whole video, for models that are normalised by it; default: of these
            frames.
        threshold : float, optional
            Least probability; default: the model's own.
        min_area : int
            Least area of a particle of a mask model, px².
        margins : (int, int)
            How many of the first and of the last frames are neighbours of the others only: no
            particles are looked for in them.
        fit : bool
            Refine the positions of a grid model by a fit to the photons, part close pairs, and
            weigh doubtful spots by their photons where these can tell.
        appearance : Appearance, optional
            What the video's particles have in common, see :meth:`appearance`; default: measured on
            these frames.

        Returns
        -------
        DataFrame
            ``frame`` (from 0, in ``frames``), ``x, y, x_error, y_error`` in pixels,
            ``probability``, ``intensity`` (counts above the surroundings, within 3 px; of a mask
            model: mean over the area of the frame as the model sees it) and, from a mask model,
            ``area`` in px².

        Raises
        ------
        VideoError
            The frames are smaller than the network can look at, or all of them are margins.
        """
        bright, seen, answer = self._answered(frames, polarity, video_maximum, margins)
        found = self.read(answer, bright, seen, threshold, min_area, fit=fit, appearance=appearance)
        return found.assign(frame=found["frame"] + margins[0])

    def appearance(
        self, frames: NDArray[Any], *, polarity: int = 1, margins: tuple[int, int] = (0, 0)
    ) -> Appearance | None:
        """Measure what the particles of a few frames have in common; arguments as of `detect`.

        Returns
        -------
        Appearance or None
            None of a mask model (U-Net), whose positions are not fitted.
        """
        if self.config.model.architecture != "grid":
            return None
        bright, _, answer = self._answered(frames, polarity, None, margins)
        with torch.inference_mode():
            return appearance_from_grid(
                answer, bright, self.threshold, weighed=self.context_frames == 0
            )

    def _answered(
        self,
        frames: NDArray[Any],
        polarity: int,
        video_maximum: float | None,
        margins: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the frames without margins as bright particles, as seen, and what is answered."""
        least = self._least_side_px()
        if min(frames.shape[-2:]) < least:
            raise VideoError(
                f"frames of {frames.shape[-2]} x {frames.shape[-1]} px are too small: this "
                f"detector needs {least} x {least} px or more"
            )
        if min(margins) < 0 or sum(margins) >= len(frames):
            raise VideoError(f"margins {margins} leave none of {len(frames)} frames to look at")
        raw = torch.as_tensor(np.ascontiguousarray(frames, dtype=np.float32), device=self.device)
        bright = raw * polarity
        # Models of versions 2.0 and 3.0 take the frames as they are.
        seen = self.normalise(bright if self.normalisation == "noise" else raw, video_maximum)
        asked = slice(margins[0], len(seen) - margins[1])
        # Masks are cut at a threshold: they stay those of versions 2.0 and 3.0, in 32 bit.
        grid = self.config.model.architecture == "grid"
        with torch.inference_mode(), fastest_on(self.device) if grid else nullcontext():
            stacks = with_neighbours(seen, self.context_frames)[asked]
            answer = answer_in_tiles(self.answer, stacks, self.model.cell_px)
        return bright[asked], seen[asked], answer

    def normalise(self, raw: Tensor, video_maximum: Tensor | float | None = None) -> Tensor:
        """Return frames as this model's network expects them.

        Parameters
        ----------
        raw : Tensor
            Intensities, multiplied by the polarity, (frames, height, width), or with the neighbours
            of each frame, (frames, stacked, height, width), which are normalised each by itself.
        video_maximum : Tensor or float, optional
            Maximum of the whole video, one for all frames or one for each, (frames,), for models
            that are normalised by it; default: the maximum of these frames together.

        Returns
        -------
        Tensor
            float32, of the same shape.
        """
        if raw.ndim == 4:
            if isinstance(video_maximum, Tensor) and video_maximum.numel() > 1:
                video_maximum = video_maximum.repeat_interleave(raw.shape[1])
            return self.normalise(raw.flatten(0, 1), video_maximum).reshape(raw.shape)
        if self.normalisation == "noise":
            return by_noise(raw)
        return by_maximum(raw, float(raw.max()) if video_maximum is None else video_maximum)

    def answer(self, seen: Tensor) -> Tensor:
        """Run the network on normalised frames of any size.

        Parameters
        ----------
        seen : Tensor
            Each frame between its neighbours in the order of time,
            (frames, 2 context_frames + 1, height, width).

        Returns
        -------
        Tensor
            Of the U-Net, the logits of the mask, (frames, 1, height, width). Of the grid network,
            five numbers of each cell of 2 x 2 pixels, see `GridNet`.
        """
        multiple, cell = self.model.multiple, self.model.cell_px
        if multiple == 1:
            return self.forward(seen)
        height, width = seen.shape[-2:]
        below, right = -height % multiple, -width % multiple
        seen = functional.pad(seen, (0, right, 0, below), mode="replicate")
        return self.forward(seen)[:, :, : -(-height // cell), : -(-width // cell)]

    def read(
        self,
        answer: Tensor,
        raw: Tensor,
        seen: Tensor,
        threshold: float | None = None,
        min_area: int = 3,
        *,
        fit: bool = True,
        appearance: Appearance | None = None,
    ) -> pd.DataFrame:
        """Read positions from the network's answer.

        Parameters
        ----------
        answer : Tensor
            What :meth:`answer` returned; its gradients are left alone.
        raw : Tensor
            Intensities, multiplied by the polarity, (frames, height, width).
        seen : Tensor
            The same frames normalised, (frames, height, width).
        threshold : float, optional
            Least probability; default: the model's own.
        min_area : int
            Least area of a particle of a mask model, px².
        fit, appearance
            As of :meth:`detect`.

        Returns
        -------
        DataFrame
            The table of :meth:`detect`.
        """
        limit = self.threshold if threshold is None else threshold
        with torch.inference_mode():
            answer = answer.detach().float()
            if self.config.model.architecture == "grid":
                return detections_from_grid(
                    answer,
                    raw.detach(),
                    limit,
                    (self.error_scale, self.error_slope),
                    fit=fit,
                    # Photons of one frame say less than a network that saw several.
                    weighed=self.context_frames == 0,
                    appearance=appearance,
                )
            return detections_from_masks(answer, seen.detach(), limit, min_area)

    def _least_side_px(self) -> int:
        """Return the side that leaves a pixel after every halving, and 3 px to read noise from."""
        model = self.config.model
        levels = len(model.unet_channels) if model.architecture == "unet" else 0
        return int(max(3, 2**levels))
