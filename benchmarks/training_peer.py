"""PGD training of ResNet-20 in PyTorch, written as one would: channels last, eager."""

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


def seconds_a_step(
    images: np.ndarray, labels: np.ndarray, epsilon: float, step_size: float, steps: int
) -> tuple[float, int]:
    """Times updates of PGD training, the adversary in evaluation mode.

    Args:
        images: f32 [updates + 1, batch, height, width, channels]; the first batch warms
            up.
        labels: i64 [updates + 1, batch].
        epsilon: radius of the Linf ball.
        step_size: of PGD.
        steps: of PGD.

    Returns:
        Median seconds of an update, and the number of parameters.
    """
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = ResNet20().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4
    )
    seconds = []
    for numbers, classes in zip(images, labels, strict=True):
        began = time.perf_counter()
        x = torch.from_numpy(numbers).permute(0, 3, 1, 2).to(device)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(classes).to(device)
        model.eval()
        adversary = x + torch.empty_like(x).uniform_(-epsilon, epsilon)
        for _ in range(steps):
            adversary = adversary.clamp(0, 1).detach().requires_grad_()
            loss = functional.cross_entropy(model(adversary), y)
            (slope,) = torch.autograd.grad(loss, adversary)
            moved = adversary.detach() + step_size * slope.sign()
            adversary = torch.minimum(torch.maximum(moved, x - epsilon), x + epsilon)
        model.train()
        optimizer.zero_grad()
        functional.cross_entropy(model(adversary.clamp(0, 1)), y).backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:])), sum(p.numel() for p in model.parameters())
