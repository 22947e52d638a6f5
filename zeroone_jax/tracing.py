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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
        closed, output, places = self.program.trace(x)

        def given(array: Any) -> Any:
            place = places.get(id(array))
            # What depends on the number of images, such as their indices, stays.
            return array if place is None else self.arrays[place]

        results = _run(closed, [x], given)
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


class _Trace(NamedTuple):
    """What a function does with some number of images.

    Attributes:
        closed: the operations.
        output: shape and type of the result; any pytree of them.
        places: by the id of an array that it has, which of the program's it is.
    """

    closed: core.ClosedJaxpr
    output: Any
    places: dict[int, int]


class _Program:
    """A list of operations. Equal ones do the same with their arrays.

    Attributes:
        arrays: those of the function that it was made of.
        output: shape and type of the result for the images that it was captured with;
            any pytree of them, where the function returns one.
    """

    def __init__(self, function: Callable[[Array], Any], x: Any, sloped: bool) -> None:
        self._function = function
        self._traces: dict[Any, _Trace] = {}
        self.arrays: tuple[Any, ...] = ()
        closed, self.output, places = self.trace(x)
        self.arrays = tuple(_arrays(closed).values())
        reader = _Reader(places)
        signature = [reader.read(closed), reader.value(self._varying(x))]
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

    def trace(self, x: Any) -> _Trace:
        """The operations for as many images."""
        kind = jax.typeof(x) if isinstance(x, jax.Array) else (x.shape, x.dtype)
        if kind not in self._traces:
            # JAX remembers traces by the function's identity: it must be another.
            closed, output = jax.make_jaxpr(
                lambda x: self._function(x), return_shape=True
            )(x)
            met = _arrays(closed)
            own = self.arrays if self._traces else tuple(met.values())
            self._traces[kind] = _Trace(closed, output, _places(own, met))
        return self._traces[kind]

    def _varying(self, x: Any) -> list[Any]:
        """What the function has for twice the images: places of its arrays, or others.

        Others hang on the number of images. They are compiled for, because they cannot
        be given for other numbers. Arrays of JAX that do so are known by their shape.
        """
        if all(
            isinstance(array, jax.Array) and len(x) not in array.shape
            for array in self.arrays
        ):
            return []
        more = jax.ShapeDtypeStruct((2 * len(x), *x.shape[1:]), x.dtype)
        try:
            closed, _, places = self.trace(more)
        except Exception:
            # The function takes this number of images only, and nothing varies.
            return []
        return [places.get(key, array) for key, array in _arrays(closed).items()]


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
                self.value(parameters),
            )
        return (
            *read,
            tuple(map(name, jaxpr.outvars)),
            tuple(map(self.value, closed.consts)),
        )

    def value(self, value: Any) -> Any:
        """A parameter; of arrays, an argument by its place, any other by contents."""
        if isinstance(value, core.ClosedJaxpr):
            return self.read(value)
        if isinstance(value, core.Jaxpr):
            return self.read(core.ClosedJaxpr(value, ()))
        if isinstance(value, tuple | list):
            return (type(value).__name__, *map(self.value, value))
        if isinstance(value, dict):
            return tuple((key, self.value(value[key])) for key in sorted(value))
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


def _places(own: Sequence[Any], met: Mapping[int, Any]) -> dict[int, int]:
    """Tells which of a program's arrays another trace has met, by id.

    The same object keeps its place. Others were made anew, in the same order as before:
    each is the next one that it equals. Equal ones, as zero biases, are so told apart.
    """
    ids = {id(array): place for place, array in enumerate(own)}
    found = {key: ids[key] for key in met if key in ids}
    taken = set(found.values())
    left = [place for place in range(len(own)) if place not in taken]
    for key, array in met.items():
        if key in found:
            continue
        alike = (at for at, place in enumerate(left) if _is_same(own[place], array))
        at = next(alike, None)
        if at is not None:
            found[key] = left[at]
            left = left[at + 1 :]
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
