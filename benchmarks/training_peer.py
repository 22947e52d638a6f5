"""PGD training in PyTorch, written as one would: ResNet-20, and wide networks.

Eagerly in float32, or compiled and with products in bfloat16.
"""

import itertools
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions, and a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = outputs // inputs
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.added = outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes the block."""
        out = functional.relu(self.first_norm(self.first(x)))
        out = self.second_norm(self.second(out))
        if self.added:
            half = self.added // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return functional.relu(out + x)


class ResNet20(nn.Module):
    """He et al. 2016, for CIFAR-10: 269,722 parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.first = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(
            *(Block(a, b) for a, b in itertools.pairwise(widths))
        )
        self.last = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes logits."""
        x = self.blocks(functional.relu(self.norm(self.first(x))))
        return self.last(x.mean((2, 3)))


class WideBlock(nn.Module):
    """Normalisation and ReLU before each of two convolutions; their result is added."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm2d(inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes the block."""
        active = functional.relu(self.first_norm(x))
        out = functional.relu(self.second_norm(self.first(active)))
        if self.shortcut is not None:
            x = self.shortcut(active)
        return x + self.second(out)


class WideResNet(nn.Module):
    """Zagoruyko & Komodakis 2016, for CIFAR-10: WRN-34-10 has 46,160,474 parameters."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 16
        for stage, outputs in enumerate((16 * width, 32 * width, 64 * width)):
            for place in range((depth - 4) // 6):
                stride = 2 if stage and not place else 1
                layers.append(WideBlock(inputs, outputs, stride))
                inputs = outputs
        self.first = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(inputs)
        self.last = nn.Linear(inputs, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Computes logits."""
        x = functional.relu(self.norm(self.blocks(self.first(x))))
        return self.last(x.mean((2, 3)))


def seconds_a_step(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    compiled: bool = False,
) -> tuple[float, int]:
    """Times updates of PGD training, the adversary in evaluation mode.

    Args:
        model: to train.
        images: f32 [updates + 1, batch, height, width, channels]; the first batch warms
            up.
        labels: i64 [updates + 1, batch].
        epsilon: radius of the Linf ball.
        step_size: of PGD.
        steps: of PGD.
        compiled: whether torch.compile compiles the model, and bfloat16 is the type of
            its products.

    Returns:
        Median seconds of an update, and the number of parameters.
    """
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device, memory_format=torch.channels_last)
    if compiled:
        model = torch.compile(model)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4
    )

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=compiled):
            logits = model(x)
        return functional.cross_entropy(logits.float(), y)

    seconds = []
    for numbers, classes in zip(images, labels, strict=True):
        began = time.perf_counter()
        x = torch.from_numpy(numbers).permute(0, 3, 1, 2).to(device)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(classes).to(device)
        # A compiled model computes every gradient that is asked for, weights' too.
        model.eval().requires_grad_(False)
        adversary = x + torch.empty_like(x).uniform_(-epsilon, epsilon)
        for _ in range(steps):
            adversary = adversary.clamp(0, 1).detach().requires_grad_()
            (slope,) = torch.autograd.grad(loss(adversary, y), adversary)
            moved = adversary.detach() + step_size * slope.sign()
            adversary = torch.minimum(torch.maximum(moved, x - epsilon), x + epsilon)
        model.train().requires_grad_(True)
        optimizer.zero_grad()
        loss(adversary.clamp(0, 1), y).backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:])), sum(p.numel() for p in model.parameters())
