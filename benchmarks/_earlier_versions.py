"""How versions 2.0 and 3.0 learn and find particles."""

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset

from _learning_curve import Curve, Scene, Scored
from cloudtrainer.detector.detections import detections_from_masks
from cloudtrainer.detector.networks import UNet

SEED = 51_000
CHANNELS = [16, 32, 64]
LEARNING_RATE = 1e-4
DISC_RADIUS_PX, BATCH = 3, 8


class MaskedFrames(Dataset):
    """Frames and masks as versions 2.0 and 3.0 make them: varied one by one on the host."""

    def __init__(self, scene: Scene, frames: range, varied: bool) -> None:
        self.images = scene.frames[frames].astype(np.float32) / scene.frames.max()
        self.masks = np.zeros_like(self.images)
        row, column = np.indices(self.images.shape[1:])
        inside = scene.truth["frame"].between(frames.start, frames.stop - 1)
        for spot in scene.truth[inside].itertuples():
            squared = (column - int(spot.x)) ** 2 + (row - int(spot.y)) ** 2
            self.masks[spot.frame - frames.start][squared <= DISC_RADIUS_PX**2] = 1
        self.rng = np.random.default_rng(SEED) if varied else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pair = np.stack([self.images[index], self.masks[index]])
        if self.rng is not None:
            for axis in (1, 2):
                if self.rng.random() < 0.5:
                    pair = np.flip(pair, axis)
            if self.rng.random() < 0.5:
                pair = np.rot90(pair, self.rng.integers(1, 4), (1, 2))
            if self.rng.random() < 0.5:
                pair = pair * np.float32([self.rng.uniform(0.8, 1.2), 1])[:, None, None]
        image, mask = torch.from_numpy(np.ascontiguousarray(pair))[:, None]
        return image, mask


def find_by_masks(network: nn.Module, scene: Scene) -> pd.DataFrame:
    """Find particles as versions 2.0 and 3.0 do."""
    seen = torch.as_tensor(scene.held_out / np.float32(scene.frames.max()))
    with torch.inference_mode():
        answer = torch.cat([network(frame[None, None]) for frame in seen])
    return detections_from_masks(answer, seen, threshold=0.5, min_area=3)


def version_2(curve: Curve) -> None:
    """Learn as version 2.0."""
    seed_everything(SEED, verbose=False)
    network = UNet(CHANNELS)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    frames = MaskedFrames(curve.scene, range(curve.scene.learned), varied=True)
    batches = DataLoader(frames, BATCH, shuffle=True)
    step = 0
    curve.run()
    while not curve.over:
        network.train()
        for images, masks in batches:
            loss = nn.functional.binary_cross_entropy(torch.sigmoid(network(images)), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        network.eval()
        curve.score(step, lambda: find_by_masks(network, curve.scene))


class Version3(LightningModule):
    """The recipe of version 3.0."""

    def __init__(self) -> None:
        super().__init__()
        self.model = UNet(CHANNELS)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, masks = batch
        return nn.functional.binary_cross_entropy_with_logits(self.model(images), masks)

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        self.log("val_loss", self.training_step(batch, number))

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"},
        }


def version_3(curve: Curve) -> None:
    """Learn as version 3.0."""
    seed_everything(SEED, verbose=False)
    scene = curve.scene
    learned = MaskedFrames(scene, range(scene.learned), varied=True)
    held_out = MaskedFrames(scene, range(scene.learned, len(scene.frames)), varied=False)
    module, batches = Version3(), DataLoader(learned, BATCH, shuffle=True)
    trainer = Trainer(
        max_epochs=-1,
        accelerator="cpu",
        precision="32-true",
        gradient_clip_val=1.0,
        logger=False,
        callbacks=[Scored(curve, len(batches), lambda module: find_by_masks(module.model, scene))],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, batches, DataLoader(held_out, BATCH))
