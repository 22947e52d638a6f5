"""How to train: the settings of a run."""

import dataclasses

import optax

from zeroone_jax import checks, tagged
from zeroone_jax.training.optimizer import Optimizer, Sgd


@tagged.register("training")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """How to train.

    Attributes:
        epochs: passes over the images. Images that do not fill the last batch of an
            epoch are left out; every epoch has its own order, so these differ.
        batch_size: images an update.
        optimizer: `Sgd`, `CyclicSgd` or `Adam`, whose schedules count epochs, or any
            optimizer of optax, whose schedules count updates. Two optimizers of optax
            are never equal: give the same object again to avoid compiling again.
        augment: whether images are shifted, and flipped.
        shift: by how many pixels at most.
        flip: whether left may become right.
        average: decay of a running average of the weights, and of batch norm's
            statistics, which is then what is evaluated; 0 keeps none.
        accumulate: pieces that a batch is cut into, one after another, to save memory;
            batch-norm statistics are those of the pieces.
        segment: most steps between two looks at the losses from outside.
        patience: training ends early after more than this many epochs in a row without
            a gain of the mean loss; 0 trains to the end.
        tolerance: how much the loss must fall to count as a gain.
    """

    epochs: int = 1
    batch_size: int = 128
    optimizer: Optimizer | optax.GradientTransformation = dataclasses.field(
        default_factory=Sgd
    )
    augment: bool = False
    shift: int = 4
    flip: bool = True
    average: float = 0.0
    accumulate: int = 1
    segment: int = 100
    patience: int = 0
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        """Raises TypeError of no optimizer, ValueError of what is out of its range."""
        checks.counts(
            epochs=self.epochs,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            segment=self.segment,
        )
        if isinstance(self.optimizer, Optimizer):
            self.optimizer.check_epochs(self.epochs)
        elif not isinstance(self.optimizer, optax.GradientTransformation):
            raise TypeError(
                f"optimizer is a {type(self.optimizer).__name__}, but must be "
                "training.Sgd, CyclicSgd, Adam or an optax.GradientTransformation"
            )
        checks.not_negative(
            shift=self.shift, patience=self.patience, tolerance=self.tolerance
        )
        checks.within("[0,1)", average=self.average)
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size is {self.batch_size}, but must be a multiple of "
                f"accumulate, {self.accumulate}"
            )

    def built_optimizer(self, steps_per_epoch: int) -> optax.GradientTransformation:
        """Makes the optimizer."""
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer.build(steps_per_epoch, self.epochs)
        return self.optimizer


def steps_per_epoch(count: int, config: Config) -> int:
    """How many updates an epoch of so many images has.

    Raises:
        ValueError: the images do not fill a batch.
    """
    if count < config.batch_size:
        raise ValueError(
            f"{count} images do not fill a batch of batch_size={config.batch_size}"
        )
    return count // config.batch_size
