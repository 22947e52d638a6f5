"""The 01 networks behind a classifier, for whoever needs their weights."""

from zeroone_jax.models import binarized, zero_one
from zeroone_jax.models.ensemble import Ensemble
from zeroone_jax.models.network import Trained


def sign_networks(model: object) -> zero_one.Params | None:
    """Finds the 01 networks that give the same labels as a model.

    Args:
        model: any model, or `zero_one.Params`.

    Returns:
        For a `zero_one.Vote` its networks. For a binarized network of two classes, or a
        vote of such networks, the equal 01 networks (`binarized.as_zero_one`). None for
        all other models.
    """
    if isinstance(model, zero_one.Params):
        return model
    if isinstance(model, zero_one.Vote):
        return model.params
    if not isinstance(model, Trained):
        return None
    network = model.network
    decides_by_votes = not isinstance(network, Ensemble) or network.combine == "votes"
    member = network.network if isinstance(network, Ensemble) else network
    if isinstance(getattr(member, "module", None), binarized.Module):
        return binarized.as_zero_one(model.variables) if decides_by_votes else None
    return None
