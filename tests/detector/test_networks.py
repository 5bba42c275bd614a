import pytest
import torch
from torch.nn import functional

from cloudtrainer.detector.networks import GridNet, UNet
from cloudtrainer.errors import ConfigError


def block_keys(prefix):
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = [f"{prefix}.{i}.{name}" for i in (0, 3) for name in ("weight", "bias")]
    return {*keys, *(f"{prefix}.{i}.{name}" for i in (1, 4) for name in norm)}


def fill(network, seed=0):
    """Give a network weights and running statistics of which none is trivial."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point:
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim == 4:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            else:
                tensor.copy_(0.3 * noise + (name.endswith("weight")))
    return network.eval()


def earlier_unet(weights, frames, levels):
    """Run the network of versions 2.0 and 3.0, written anew from the description of its files."""

    def double(x, prefix):
        for conv, norm in ((0, 1), (3, 4)):
            kernel, bias = weights[f"{prefix}.{conv}.weight"], weights[f"{prefix}.{conv}.bias"]
            x = functional.conv2d(x, kernel, bias, padding=1)
            mean, variance = (
                weights[f"{prefix}.{norm}.running_{kind}"][:, None, None]
                for kind in ("mean", "var")
            )
            x = (x - mean) / torch.sqrt(variance + 1e-5)
            scale, shift = weights[f"{prefix}.{norm}.weight"], weights[f"{prefix}.{norm}.bias"]
            x = torch.clamp(x * scale[:, None, None] + shift[:, None, None], min=0)
        return x

    skips, x = [], frames
    for i in range(levels):
        skips.append(double(x, f"encoder.{i}"))
        x = functional.max_pool2d(skips[-1], kernel_size=2)
    x = double(x, "bottleneck")
    for j in range(levels):
        kernel, bias = weights[f"decoder.{2 * j}.weight"], weights[f"decoder.{2 * j}.bias"]
        x = functional.conv_transpose2d(x, kernel, bias, stride=2)
        skip = skips[levels - 1 - j]
        rows = torch.arange(skip.shape[2]) * x.shape[2] // skip.shape[2]
        columns = torch.arange(skip.shape[3]) * x.shape[3] // skip.shape[3]
        x = x[:, :, rows][:, :, :, columns]
        x = double(torch.cat((skip, x), 1), f"decoder.{2 * j + 1}")
    return functional.conv2d(x, weights["final_conv.weight"], weights["final_conv.bias"])


def test_the_unet_has_the_parameters_and_the_keys_of_earlier_versions():
    network = UNet([16, 32, 64])
    assert sum(parameter.numel() for parameter in network.parameters()) == 483_153
    keys = {"final_conv.weight", "final_conv.bias"} | block_keys("bottleneck")
    for i in range(3):
        keys |= block_keys(f"encoder.{i}") | block_keys(f"decoder.{2 * i + 1}")
        keys |= {f"decoder.{2 * i}.weight", f"decoder.{2 * i}.bias"}
    assert set(network.state_dict()) == keys
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["encoder.0.0.weight"] == (16, 1, 3, 3)
    assert shapes["bottleneck.0.weight"] == (128, 64, 3, 3)
    assert shapes["decoder.0.weight"] == (128, 64, 2, 2)
    assert shapes["decoder.1.0.weight"] == (64, 128, 3, 3)
    assert shapes["decoder.5.3.weight"] == (16, 16, 3, 3)
    assert shapes["final_conv.weight"] == (1, 16, 1, 1)


@pytest.mark.parametrize("size", [(64, 64), (63, 65), (50, 38), (8, 8), (61, 9)])
@pytest.mark.parametrize("channels", [[16, 32, 64], [4, 8]])
def test_the_unet_answers_what_earlier_versions_did(size, channels):
    network = fill(UNet(channels))
    frames = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answer = network(frames)
        wanted = earlier_unet(network.state_dict(), frames, len(channels))
    assert answer.shape == (2, 1, *size)
    torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-5)
    assert float(answer.std()) > 0.01


def test_channels_that_the_layout_cannot_join_are_refused():
    with pytest.raises(ConfigError, match=r"\[16, 24\]: each must be twice the one before"):
        UNet([16, 24])


@pytest.mark.parametrize(
    ("channels", "multiple"), [([8], 2), ([8, 12], 4), ([32, 48, 64], 8), ([4, 4, 4, 4], 16)]
)
def test_the_grid_network_answers_five_numbers_a_cell(channels, multiple):
    network = GridNet(channels).eval()
    assert network.multiple == multiple
    with torch.no_grad():
        answer = network(torch.zeros(3, 1, 4 * multiple, 2 * multiple))
    assert answer.shape == (3, 5, 2 * multiple, multiple)


def test_the_grid_network_starts_from_an_empty_answer():
    network = GridNet([32, 48, 64]).eval()
    with torch.no_grad():
        share = torch.sigmoid(network(torch.randn(2, 1, 64, 64))[:, 0])
    assert float(share.mean()) < 0.05


def test_a_cell_of_the_grid_sees_its_own_pixels():
    # One level sees 2 cells (5 x 5) around: a pixel changes the answer there and nowhere else.
    network = fill(GridNet([8]))
    # What is summed up over the frame is told to every cell.
    network.summary = torch.nn.Identity()
    frames = torch.zeros(1, 1, 40, 40)
    lit = frames.clone()
    lit[0, 0, 17, 24] = 5.0
    with torch.no_grad():
        changed = (network(lit) - network(frames)).abs().amax(dim=1)[0] > 1e-7
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert bool(changed[8, 12])
    assert rows.min() >= 6
    assert rows.max() <= 10
    assert columns.min() >= 10
    assert columns.max() <= 14


def test_the_summary_starts_as_no_change_and_tells_every_cell_what_the_frame_holds():
    network = fill(GridNet([8, 12])).eval()
    torch.manual_seed(0)
    for layer in network.summary.told[::2]:
        torch.nn.init.normal_(layer.weight)
    said = network.summary.told[-1]
    frames = torch.zeros(1, 1, 64, 64)
    lit = frames.clone()
    lit[0, 0, 3:9, 3:9] = 5.0

    def far_away():
        with torch.no_grad():
            return (network(lit) - network(frames)).abs()[..., 20:, 20:].max()

    assert far_away() > 1e-4
    fresh = GridNet([8, 12]).summary.told[-1]
    said.load_state_dict(fresh.state_dict())
    assert far_away() < 1e-6


def test_the_summary_looks_at_frames_one_by_one():
    torch.manual_seed(0)
    network = fill(GridNet([8, 12])).eval()
    frames = torch.randn(3, 1, 32, 48)
    with torch.no_grad():
        together = network(frames)
        alone = torch.cat([network(frame[None]) for frame in frames])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
