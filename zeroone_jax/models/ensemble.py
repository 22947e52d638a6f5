"""Ensembles of one network: members that share an architecture and decide together.

Example:
    >>> from zeroone_jax.models import registry
    >>> network = registry.build("mlp_sigmoid20", (4, 4, 1), classes=2)
    >>> ensemble = Ensemble(network, members=3)
    >>> variables = ensemble.init(jax.random.key(0))
    >>> x = jnp.zeros((5, 4, 4, 1))
    >>> ensemble.members_logits(variables, x).shape, ensemble.apply(variables, x).shape
    ((3, 5, 2), (5, 2))
"""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from zeroone_jax import losses
from zeroone_jax.models.network import Network, Trained, Variables
from zeroone_jax.types import Array, Key


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Several members of one architecture, called like a `Network`.

    Attributes:
        network: what each member is.
        members: how many there are.
        combine: "probabilities" averages the members' probabilities, as paper A's
            sigmoid networks do. "votes" takes the majority, and the lower class in a
            tie, as its binarized networks do (docs/papers.md, A3).
    """

    network: Network
    members: int
    combine: Literal["probabilities", "votes"] = "probabilities"

    def init(self, key: Key) -> Variables:
        """Draws every member's variables, arrays [members, ...]."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.members))
        return jax.vmap(self.network.init)(keys)

    def members_logits(self, variables: Variables, x: Array) -> Array:
        """Computes every member's logits [members, n, classes]; see `apply`."""
        return jax.vmap(self.network.apply, (0, None))(variables, x)

    def apply(self, variables: Variables, x: Array) -> Array:
        """Computes the ensemble's logits.

        Returns:
            [n, classes]: the logarithm of the mean of the softmax probabilities; or
            the share of members that vote for each class. Shares are constant almost
            everywhere; they are given the slopes of that logarithm, so that attacks
            have something to follow (Athalye et al. 2018, section 4.1).
        """
        logits = self.members_logits(variables, x)
        total = jax.nn.logsumexp(jax.nn.log_softmax(logits, axis=2), axis=0)
        mean = total - math.log(self.members)
        if self.combine != "votes":
            return mean
        labels = jax.vmap(losses.labels)(logits)
        votes = jax.nn.one_hot(labels, logits.shape[2], dtype=x.dtype)
        # The difference is 0; only its slope is not.
        return jnp.mean(votes, axis=0) + (mean - jax.lax.stop_gradient(mean))

    def bind(self, variables: Variables) -> Trained:
        """Makes the callable of the ensemble and its variables; see `Trained`."""
        return Trained(variables, self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return self.network.shape
