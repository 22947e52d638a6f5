"""Settings as a pytree: real numbers are its leaves, counts and names its structure.

So another epsilon compiles nothing, and a number may be traced, or mapped by `vmap`.

Example:
    >>> from zeroone_jax.types import Number
    >>> class Walk(Settings):
    ...     length: Number
    ...     steps: int = 10
    >>> short, long = Walk(length=0.1), Walk(length=3.0)
    >>> jax.tree.leaves(short)
    [0.1]
    >>> short
    Walk(length=0.1, steps=10)
    >>> jax.tree.structure(short) == jax.tree.structure(long)
    True
    >>> jax.tree.structure(short) == jax.tree.structure(Walk(length=0.1, steps=20))
    False
"""

import dataclasses
import types
import typing
from typing import Any, ClassVar, dataclass_transform

import jax

from zeroone_jax import tagged
from zeroone_jax.types import Array


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Settings:
    """Makes its subclasses frozen dataclasses by keywords, and pytrees.

    Leaves are the fields whose type names `Number`, as in `Number | None`; there a None
    or a word is structure. JAX makes copies with other leaves unchecked. A class may be
    given the `name` that it has in messages, in JSON and as a flag.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    name: ClassVar[str]
    """What it is called."""
    _numbers: ClassVar[frozenset[str]]

    def __init_subclass__(cls, name: str | None = None) -> None:
        """Makes the class what it is."""
        super().__init_subclass__()
        dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
        cls.name = name or cls.__name__
        cls._numbers = frozenset(
            field.name for field in dataclasses.fields(cls) if _names_number(field.type)
        )
        if name is not None:
            tagged.register(name)(cls)
        jax.tree_util.register_pytree_with_keys(
            cls, _flatten, lambda structure, leaves: _unflatten(cls, structure, leaves)
        )

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in fields)
        return f"{self.name}({', '.join(values)})"


def _flatten(settings: Settings) -> tuple[Any, Any]:
    leaves, rest = [], []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in settings._numbers and not isinstance(value, str):
            leaves.append((jax.tree_util.GetAttrKey(field.name), value))
        else:
            rest.append((field.name, value))
    return leaves, (tuple(key.name for key, _ in leaves), tuple(rest))


def _unflatten(cls: type[Settings], structure: Any, leaves: Any) -> Settings:
    names, rest = structure
    settings = object.__new__(cls)
    for name, value in (*zip(names, leaves, strict=True), *rest):
        object.__setattr__(settings, name, value)
    return settings


def _names_number(kind: Any) -> bool:
    if typing.get_origin(kind) in (typing.Union, types.UnionType, tuple):
        return any(map(_names_number, typing.get_args(kind)))
    return kind is Array
