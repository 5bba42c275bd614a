"""Random numbers of one generator."""

import torch
from torch import Tensor


class Draw:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def between(self, low: float, high: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return low + (high - low) * self.uniform(shape)

    def log_between(self, low: float, high: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        low = max(low, 1e-6)
        return low * (max(high, low) / low) ** self.uniform(shape)

    def chance(self, share: float, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return self.uniform(shape) < share
