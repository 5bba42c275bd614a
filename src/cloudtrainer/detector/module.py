"""The detector: a network, how its frames are normalised, and how its answer is read."""

import hashlib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cloudtrainer.config import Config
from cloudtrainer.detector.decode import positions_from_grid, positions_from_mask
from cloudtrainer.detector.model_files import read_model
from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.detector.normalise import by_maximum, by_noise
from cloudtrainer.detector.targets import cell_centres, offset_errors
from cloudtrainer.errors import ModelError, VideoError

Normalisation = Literal["noise", "video_maximum"]

# Where the models of a workspace lie, when a model is asked for by its version alone.
_USUAL_WORKSPACES = (Path("DeepTrack_Studio"), Path("/content/drive/MyDrive/DeepTrack_Studio"))

DETECTION_COLUMNS = ["frame", "x", "y", "x_error", "y_error", "probability", "intensity", "area"]

# What a pixel's answer depends on lies nearer than this (51 px in the U-Net): tiles overlap by it.
_TILE_HALO_PX = 64
_TILE_PX = 1024


class ParticleDetector(nn.Module):
    """Finds particles in frames.

    Training makes a LightningModule of it (`cloudtrainer.training.TrainableDetector`); running it
    needs PyTorch alone.

    Parameters
    ----------
    config : Config or dict, optional
        The settings; the section ``model`` decides the network.
    normalisation : {"noise", "video_maximum"}
        What the frames are divided by; models of versions 2.0 and 3.0 expect the maximum of the
        whole video.
    threshold : float
        Least probability of a particle.
    error_scale : float
        Factor that makes the network's own standard errors those measured on validation scenes.
    """

    def __init__(
        self,
        config: Config | dict[str, Any] | None = None,
        *,
        normalisation: Normalisation = "noise",
        threshold: float = 0.5,
        error_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.config = config if isinstance(config, Config) else Config.from_dict(config or {})
        self.normalisation: Normalisation = normalisation
        self.threshold = threshold
        self.error_scale = error_scale
        self.model: GridNet | UNet
        if self.config.model.architecture == "grid":
            self.model = GridNet(self.config.model.grid_channels)
        else:
            self.model = UNet(self.config.model.unet_channels)

    @classmethod
    def load_from_checkpoint(
        cls, path: str | Path, config: Config | dict[str, Any] | None = None
    ) -> Self:
        """Load a checkpoint or an export of this version, of version 3.0, or of version 2.0.

        Parameters
        ----------
        path : str or Path
            A ``.ckpt``, a ``.pth`` or an export folder.
        config : Config or dict, optional
            Settings that take the place of the file's own.

        Raises
        ------
        ModelError
            The file is missing, is no checkpoint, would run code of its own, or does not fit.
        """
        stored = read_model(Path(path), config)
        detector = cls(stored.config, **stored.reading)
        detector.load_weights(stored.weights, Path(path))
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
        """Return the network's raw answer to normalised frames, (frames, 1, height, width)."""
        # Half precision, where it is on, is for the network alone: it is too coarse for positions.
        answer: Tensor = self.model(frames).float()
        return answer

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the weights, by which a model is known whatever it is called."""
        digest = hashlib.sha256()
        for name, weights in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def detect(
        self,
        frames: NDArray[Any],
        *,
        polarity: int = 1,
        video_maximum: float | None = None,
        threshold: float | None = None,
        min_area: int = 3,
    ) -> pd.DataFrame:
        """Find the particles of a few frames.

        Parameters
        ----------
        frames : ndarray
            Raw intensities, (frames, height, width).
        polarity : {1, -1}
            1 for bright particles, -1 for dark ones.
        video_maximum : float, optional
            Maximum of the whole video, for models that are normalised by it; default: of these
            frames.
        threshold : float, optional
            Least probability; default: the model's own.
        min_area : int
            Least area of a particle of a mask model, px².

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
            The frames are smaller than the network can look at.
        """
        least = self._least_side_px()
        if min(frames.shape[-2:]) < least:
            raise VideoError(
                f"frames of {frames.shape[-2]} x {frames.shape[-1]} px are too small: this "
                f"detector needs {least} x {least} px or more"
            )
        limit = self.threshold if threshold is None else threshold
        raw = torch.as_tensor(np.ascontiguousarray(frames, dtype=np.float32), device=self.device)
        if self.normalisation == "noise":
            seen = by_noise(raw * polarity)
        else:
            seen = by_maximum(raw, float(raw.max()) if video_maximum is None else video_maximum)
        with torch.inference_mode():
            answer = self._answer_in_tiles(seen)
            if isinstance(self.model, UNet):
                return self._read_masks(answer, seen, limit, min_area)
            return self._read_grid(answer, raw * polarity, limit)

    def _least_side_px(self) -> int:
        """Return the side that leaves a pixel after every halving, and 3 px to read noise from."""
        levels = len(self.model.encoder) if isinstance(self.model, UNet) else 0
        return int(max(3, 2**levels))

    def _answer_in_tiles(self, seen: Tensor) -> Tensor:
        """Run the network, frame by frame in overlapping tiles where a frame is large."""
        height, width = seen.shape[-2:]
        if max(height, width) <= _TILE_PX + 2 * _TILE_HALO_PX:
            return self.answer(seen[:, None])
        cell = self.model.cell_px if isinstance(self.model, GridNet) else 1
        rows: list[Tensor] = []
        for top in range(0, height, _TILE_PX):
            row: list[Tensor] = []
            for left in range(0, width, _TILE_PX):
                above = min(_TILE_HALO_PX, top)
                before = min(_TILE_HALO_PX, left)
                tile = seen[
                    :,
                    None,
                    top - above : top + _TILE_PX + _TILE_HALO_PX,
                    left - before : left + _TILE_PX + _TILE_HALO_PX,
                ]
                own_height = -(-min(_TILE_PX, height - top) // cell)
                own_width = -(-min(_TILE_PX, width - left) // cell)
                answer = self.answer(tile)[:, :, above // cell :, before // cell :]
                row.append(answer[:, :, :own_height, :own_width])
            rows.append(torch.cat(row, dim=3))
        return torch.cat(rows, dim=2)

    def answer(self, seen: Tensor) -> Tensor:
        """Run the network on normalised frames of any size, (frames, 1, height, width)."""
        if isinstance(self.model, UNet):
            return self.forward(seen)
        height, width = seen.shape[-2:]
        multiple = self.model.multiple
        below, right = -height % multiple, -width % multiple
        seen = functional.pad(seen, (0, right, 0, below), mode="replicate")
        cell = self.model.cell_px
        return self.forward(seen)[:, :, : -(-height // cell), : -(-width // cell)]

    def _read_grid(self, answer: Tensor, raw: Tensor, limit: float) -> pd.DataFrame:
        height, width = raw.shape[-2:]
        share = torch.sigmoid(answer[:, 0]).cpu().numpy()
        x = (answer[:, 1] + cell_centres(answer.shape[3], answer.device)).cpu().numpy()
        y = (answer[:, 2] + cell_centres(answer.shape[2], answer.device)[:, None]).cpu().numpy()
        error = (self.error_scale * offset_errors(answer)).cpu().numpy()
        tables = []
        for frame in range(len(share)):
            found = positions_from_grid(
                share[frame], x[frame], y[frame], error[frame, 0], error[frame, 1]
            )
            inside = (found[:, 0] > -0.5) & (found[:, 0] < width - 0.5)
            inside &= (found[:, 1] > -0.5) & (found[:, 1] < height - 0.5)
            found = found[inside & (found[:, 4] >= limit)]
            table = pd.DataFrame(found, columns=DETECTION_COLUMNS[1:6])
            table["intensity"] = _light_above_surroundings(raw[frame], found[:, 0], found[:, 1])
            table.insert(0, "frame", frame)
            tables.append(table)
        return pd.concat(tables, ignore_index=True).astype({"frame": np.int64})

    def _read_masks(
        self, answer: Tensor, seen: Tensor, limit: float, min_area: int
    ) -> pd.DataFrame:
        probability = torch.sigmoid(answer[:, 0]).cpu().numpy()
        pixels = seen.cpu().numpy()
        tables = []
        for frame in range(len(probability)):
            found = positions_from_mask(probability[frame], pixels[frame], limit, min_area)
            table = pd.DataFrame(found, columns=["x", "y", "probability", "area", "intensity"])
            table.insert(0, "frame", frame)
            table["x_error"] = table["y_error"] = np.nan
            tables.append(table[DETECTION_COLUMNS])
        return pd.concat(tables, ignore_index=True).astype({"frame": np.int64})


def load_model(source: str | Path | None = None) -> ParticleDetector:
    """Load a detector, ready to run.

    Parameters
    ----------
    source : str, Path or None
        None: the model that comes with the package. A file or folder: any model of this version,
        of 3.0 or of 2.0. A version such as ``v_20260101_120000``: the model of that name in
        ``DeepTrack_Studio/models``, here or on a mounted Drive.

    Raises
    ------
    ModelError
        There is no such model, or the file is none.
    """
    if source is None:
        with as_file(files("cloudtrainer") / "models" / "default") as folder:
            return ParticleDetector.load_from_checkpoint(folder)
    path = Path(source)
    if not path.exists():
        named = [place / "models" / str(source) for place in _USUAL_WORKSPACES]
        found = [place for place in named if place.is_dir()]
        if not found or path.name != str(source):
            raise ModelError(f"{source}: no such model file, export folder or version")
        path = found[0]
    return ParticleDetector.load_from_checkpoint(path)


def _light_above_surroundings(
    frame: Tensor, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum the counts within 3 px of each position above the median 4 to 6 px away."""
    reach = 6
    steps = torch.arange(-reach, reach + 1, device=frame.device)
    distance = torch.sqrt((steps[:, None] ** 2 + steps**2).float())
    near, around = distance <= 3, (distance >= 4) & (distance <= 6)
    padded = functional.pad(frame[None, None], (reach,) * 4, mode="replicate")[0, 0]
    column = torch.as_tensor(np.round(x), device=frame.device).long() + reach
    row = torch.as_tensor(np.round(y), device=frame.device).long() + reach
    patch = padded[row[:, None, None] + steps[:, None], column[:, None, None] + steps]
    ground = patch[:, around].median(dim=1).values if len(patch) else patch.new_zeros(0)
    light: NDArray[np.float32] = (patch[:, near] - ground[:, None]).sum(dim=1).cpu().numpy()
    return light
