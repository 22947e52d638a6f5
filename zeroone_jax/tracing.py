"""Any function of images as a pytree: a program that jit can compare, and its arrays.

JAX compiles for a function's identity, and what a function closes over is frozen into
what was compiled. Users change models all the same: a module in place, a global, a
dictionary of parameters. `capture` therefore traces the function at each call. The
arrays that the trace meets, wherever they come from, become the leaves of a `Captured`;
what is left, the list of its operations, is compared by value. So the answer is always
that of the function as it is now, and a function that does the same with other arrays
compiles nothing.

Example:
    >>> weights = {"w": jnp.ones((3, 2))}
    >>> x = jnp.ones((1, 3))
    >>> first = capture(lambda x: x @ weights["w"], x)
    >>> weights["w"] = jnp.zeros((3, 2))
    >>> second = capture(lambda x: x @ weights["w"], x)
    >>> jax.tree.structure(first) == jax.tree.structure(second)
    True
    >>> first(x), second(x)
    (Array([[3., 3.]], dtype=float32), Array([[0., 0.]], dtype=float32))
"""

import dataclasses
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from zeroone_jax.types import Array

_CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call"})
"""Primitives that hold functions, made anew by each trace, beside what they do."""

_JITTED = ("jit", "pjit")

_JAX = str(pathlib.Path(jax.__file__).parent)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["program"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Captured:
    """A function of images that owns its arrays.

    Attributes:
        program: what is done, compared by value.
        arrays: what it is done with, the leaves.
    """

    program: "_Program"
    arrays: tuple[Array, ...]

    def __call__(self, x: Array) -> Any:
        """Does what the function does, with these arrays, for any number of images.

        A number not met before is traced: use it before the function changes again.
        """
        closed, output = self.program.trace(x)
        results = _run(closed, [x], functools.partial(self.program.given, self.arrays))
        return jax.tree.unflatten(jax.tree.structure(output), results)


def capture(function: Callable[[Array], Any], x: Any, sloped: bool = True) -> Captured:
    """Captures a function as it is now.

    What a `jax.jit` of the user's own has frozen stays frozen, as it does where the
    user calls it.

    Args:
        function: of images alone. Any callable: what it closes over, globals,
            attributes of an object or of a module, partial arguments.
        x: float [n, ...], images or their `jax.ShapeDtypeStruct`; nothing is computed.
        sloped: whether its derivative will be taken. Then two functions are told apart
            by what their own rules of derivation do, too.

    Returns:
        The function as a pytree. A `Captured` is returned as it is.

    Raises:
        TypeError: it is no function.
    """
    if isinstance(function, Captured):
        return function
    if not callable(function):
        raise TypeError(f"the model is {function!r}, but must be a function of images")
    program = _Program(function, x, sloped)
    return Captured(program, program.arrays)


class _Program:
    """A list of operations. Equal ones do the same with their arrays.

    Attributes:
        arrays: those of the function that it was made of.
        output: shape and type of the result for the images that it was captured with;
            any pytree of them, where the function returns one.
    """

    def __init__(self, function: Callable[[Array], Any], x: Any, sloped: bool) -> None:
        self._function = function
        self._traces: dict[Any, tuple[core.ClosedJaxpr, Any]] = {}
        closed, self.output = self.trace(x)
        own = _arrays(closed)
        self.arrays = tuple(own.values())
        self._places = dict(zip(own, itertools.count()))
        reader = _Reader(self._places)
        signature = [reader.read(closed)]
        if sloped and reader.has_rules:
            leaves = jax.tree.leaves(self.output)
            if all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves):
                signature.append(reader.read(_sloped(function, x, self.output)))
        self._signature = (str(jax.tree.structure(self.output)), *signature)
        self._hash = hash(self._signature)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Program) and self._signature == other._signature

    def trace(self, x: Any) -> tuple[core.ClosedJaxpr, Any]:
        """The operations for as many images, and the result's shape and type."""
        kind = jax.typeof(x) if isinstance(x, jax.Array) else (x.shape, x.dtype)
        if kind not in self._traces:
            # JAX remembers traces by the function's identity: it must be another.
            self._traces[kind] = jax.make_jaxpr(
                lambda x: self._function(x), return_shape=True
            )(x)
        return self._traces[kind]

    def given(self, arrays: Sequence[Array], array: Any) -> Any:
        """What stands for an array of the function's own."""
        place = self._places.get(id(array))
        if place is None:
            alike = (
                number for number, own in enumerate(self.arrays) if _is_same(own, array)
            )
            place = next(alike, None)
        # What depends on the number of images, such as their indices, stays.
        return array if place is None else arrays[place]


class _Reader:
    """Writes what a program does as a value that can be hashed and compared.

    Attributes:
        has_rules: whether some rule of derivation in what was read is not JAX's own.
    """

    def __init__(self, places: dict[int, int]) -> None:
        self.has_rules = False
        self._places = places

    def read(self, closed: core.ClosedJaxpr) -> tuple[Any, ...]:
        names: dict[Any, int] = {}

        def name(variable: Any) -> Any:
            if isinstance(variable, core.Literal):
                return ("literal", str(variable.aval), repr(variable.val))
            return names.setdefault(variable, len(names))

        jaxpr = closed.jaxpr
        read: list[Any] = [
            (name(v), str(v.aval)) for v in (*jaxpr.constvars, *jaxpr.invars)
        ]
        for equation in jaxpr.eqns:
            parameters = equation.params
            if equation.primitive.name in _CUSTOM:
                inner = parameters["call_jaxpr"]
                source = inner.jaxpr.debug_info.func_filename
                self.has_rules |= source is None or not source.startswith(_JAX)
                kinds = core.ClosedJaxpr | int
                parameters = {
                    key: value
                    for key, value in parameters.items()
                    if isinstance(value, kinds)
                }
            read += (
                equation.primitive.name,
                tuple(map(name, equation.invars)),
                tuple((name(v), str(v.aval)) for v in equation.outvars),
                self._value(parameters),
            )
        return (
            *read,
            tuple(map(name, jaxpr.outvars)),
            tuple(map(self._value, closed.consts)),
        )

    def _value(self, value: Any) -> Any:
        """A parameter; of arrays, an argument by its place, any other by contents."""
        if isinstance(value, core.ClosedJaxpr):
            return self.read(value)
        if isinstance(value, core.Jaxpr):
            return self.read(core.ClosedJaxpr(value, ()))
        if isinstance(value, tuple | list):
            return (type(value).__name__, *map(self._value, value))
        if isinstance(value, dict):
            return tuple((key, self._value(value[key])) for key in sorted(value))
        if isinstance(value, np.ndarray | jax.Array):
            place = self._places.get(id(value))
            if place is not None:
                return place
            if isinstance(value, jax.core.Tracer) or _is_key(value):
                return ("array", id(value))
            host = np.asarray(value)
            digest = hashlib.sha256(host.tobytes()).digest()
            return (host.shape, str(host.dtype), digest)
        try:
            hash(value)
        except TypeError:
            return repr(value)
        return value


def _sloped(function: Callable[[Array], Any], x: Any, output: Any) -> core.ClosedJaxpr:
    """What a function does with its derivative."""

    def both(x: Array, directions: Any) -> Any:
        result, back = jax.vjp(lambda x: function(x), x)
        return result, back(directions)

    return jax.make_jaxpr(both)(x, output)


def _arrays(closed: core.ClosedJaxpr) -> dict[int, Any]:
    """The arrays of a program and of the jitted functions in it, each once, by id."""
    found = {id(array): array for array in closed.consts}
    for equation in closed.jaxpr.eqns:
        if equation.primitive.name in _JITTED:
            found |= _arrays(equation.params["jaxpr"])
    return found


def _owns_arrays(equation: core.JaxprEqn) -> bool:
    """Whether it is a call of a jitted function that has arrays of its own."""
    jitted = equation.primitive.name in _JITTED
    return jitted and bool(_arrays(equation.params["jaxpr"]))


def _run(
    closed: core.ClosedJaxpr, inputs: Sequence[Any], given: Callable[[Any], Any]
) -> list[Any]:
    """Runs a program with other arrays in the place of its own."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    values |= zip(jaxpr.constvars, map(given, closed.consts), strict=True)

    def read(variables: Iterable[Any]) -> list[Any]:
        return [v.val if isinstance(v, core.Literal) else values[v] for v in variables]

    for owns_arrays, group in itertools.groupby(jaxpr.eqns, _owns_arrays):
        equations = list(group)
        if owns_arrays:
            for equation in equations:
                inner = equation.params["jaxpr"]
                results = _run(inner, read(equation.invars), given)
                values.update(zip(equation.outvars, results, strict=True))
            continue
        made = [v for equation in equations for v in equation.outvars]
        needed = dict.fromkeys(
            v
            for equation in equations
            for v in equation.invars
            if not isinstance(v, core.Literal) and v in values
        )
        part = jaxpr.replace(
            constvars=[],
            invars=list(needed),
            outvars=made,
            eqns=equations,
            debug_info=jaxpr.debug_info.with_unknown_names(),
        )
        results = core.jaxpr_as_fun(core.ClosedJaxpr(part, ()))(*read(needed))
        values.update(zip(made, results, strict=True))
    return read(jaxpr.outvars)


def _is_key(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def _is_same(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or _is_key(a):
        return False
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return False
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
