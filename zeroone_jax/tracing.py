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

import functools
import hashlib
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

_JAX = str(pathlib.Path(jax.__file__).parent)


@jax.tree_util.register_pytree_node_class
class Captured:
    """A function of images that owns its arrays.

    Attributes:
        program: what is done, compared by value.
        arrays: what it is done with, the leaves.
        output: shape and type of the result for the images that it was captured with;
            any pytree of them, where the function returns one.
    """

    def __init__(self, program: "_Program", arrays: Sequence[Array]) -> None:
        """Takes a program and its arrays."""
        self.program = program
        self.arrays = tuple(arrays)

    @property
    def output(self) -> Any:
        """What the program tells."""
        return self.program.output

    def __call__(self, x: Array) -> Any:
        """Does what the function does, with these arrays, for any number of images.

        A number not met before is traced: use it before the function changes again.
        """
        return self.program(self.arrays, x)

    def tree_flatten(self) -> tuple[tuple[Array, ...], "_Program"]:
        """For JAX: the arrays are leaves, the program is compared."""
        return self.arrays, self.program

    @classmethod
    def tree_unflatten(cls, program: "_Program", arrays: Sequence[Array]) -> "Captured":
        """For JAX."""
        return cls(program, arrays)


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
        output: shape and type of the result.
    """

    def __init__(self, function: Callable[[Array], Any], x: Any, sloped: bool) -> None:
        self._function = function
        self._traces: dict[Any, tuple[core.ClosedJaxpr, Any]] = {}
        closed, self.output = self._trace(x)
        self.arrays = _unlike(_arrays(closed))
        self._places = {id(array): place for place, array in enumerate(self.arrays)}
        reader = _Reader(self._places)
        signature = [reader.read(closed)]
        kinds = [leaf.dtype for leaf in jax.tree.leaves(self.output)]
        sloped &= all(jnp.issubdtype(kind, jnp.inexact) for kind in kinds)
        if sloped and _has_rules(closed.jaxpr):
            signature.append(reader.read(_sloped(function, x, self.output)))
        self._signature = (str(jax.tree.structure(self.output)), *signature)
        self._hash = hash(self._signature)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Program) and self._signature == other._signature

    def __call__(self, arrays: Sequence[Array], x: Array) -> Any:
        closed, output = self._trace(x)
        results = _run(closed, [x], functools.partial(self._given, arrays))
        return jax.tree.unflatten(jax.tree.structure(output), results)

    def _trace(self, x: Any) -> tuple[core.ClosedJaxpr, Any]:
        kind = jax.typeof(x) if isinstance(x, jax.Array) else (x.shape, x.dtype)
        if kind not in self._traces:
            # JAX remembers traces by the function's identity: it must be another.
            self._traces[kind] = jax.make_jaxpr(
                lambda x: self._function(x), return_shape=True
            )(x)
        return self._traces[kind]

    def _given(self, arrays: Sequence[Array], array: Any) -> Any:
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
    """Writes what a program does as a value that can be hashed and compared."""

    def __init__(self, places: dict[int, int]) -> None:
        self._places = places

    def read(self, closed: core.ClosedJaxpr) -> tuple[Any, ...]:
        names: dict[Any, int] = {}

        def name(variable: Any) -> Any:
            if isinstance(variable, core.Literal):
                return ("literal", str(variable.aval), repr(variable.val))
            return names.setdefault(variable, len(names))

        jaxpr = closed.jaxpr
        inputs = [(name(v), str(v.aval)) for v in (*jaxpr.constvars, *jaxpr.invars)]
        operations = tuple(
            (
                equation.primitive.name,
                tuple(map(name, equation.invars)),
                tuple((name(v), str(v.aval)) for v in equation.outvars),
                self._parameters(equation),
            )
            for equation in jaxpr.eqns
        )
        outputs = tuple(map(name, jaxpr.outvars))
        arrays = tuple(map(self._array, closed.consts))
        return tuple(inputs), operations, outputs, arrays

    def _parameters(self, equation: core.JaxprEqn) -> tuple[Any, ...]:
        custom = equation.primitive.name in _CUSTOM
        return tuple(
            (name, self._value(value))
            for name, value in sorted(equation.params.items())
            if not custom or isinstance(value, core.ClosedJaxpr | int)
        )

    def _value(self, value: Any) -> Any:
        if isinstance(value, core.ClosedJaxpr):
            return self.read(value)
        if isinstance(value, core.Jaxpr):
            return self.read(core.ClosedJaxpr(value, ()))
        if isinstance(value, tuple | list):
            return (type(value).__name__, *map(self._value, value))
        if isinstance(value, dict):
            return tuple((key, self._value(value[key])) for key in sorted(value))
        if isinstance(value, np.ndarray | jax.Array):
            return self._array(value)
        try:
            hash(value)
        except TypeError:
            return repr(value)
        return value

    def _array(self, array: Any) -> Any:
        """An argument by its place; any other array by its contents."""
        place = self._places.get(id(array))
        if place is not None:
            return place
        if isinstance(array, jax.core.Tracer) or _is_key(array):
            return ("array", id(array))
        host = np.asarray(array)
        return (host.shape, str(host.dtype), hashlib.sha256(host.tobytes()).digest())


def _sloped(function: Callable[[Array], Any], x: Any, output: Any) -> core.ClosedJaxpr:
    """What a function does with its derivative."""

    def both(x: Array, directions: Any) -> Any:
        result, back = jax.vjp(lambda x: function(x), x)
        return result, back(directions)

    return jax.make_jaxpr(both)(x, output)


def _has_rules(jaxpr: core.Jaxpr) -> bool:
    """Whether some rule of derivation is not JAX's own."""
    for equation in jaxpr.eqns:
        inner = list(_inner(equation))
        if equation.primitive.name in _CUSTOM:
            source = inner[0].jaxpr.debug_info.func_filename
            if source is None or not source.startswith(_JAX):
                return True
        if any(_has_rules(closed.jaxpr) for closed in inner):
            return True
    return False


def _inner(equation: core.JaxprEqn) -> Iterable[core.ClosedJaxpr]:
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                yield part
            elif isinstance(part, core.Jaxpr):
                yield core.ClosedJaxpr(part, ())


def _jitted(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The program of a jitted function that has arrays of its own, else None."""
    if equation.primitive.name not in ("jit", "pjit"):
        return None
    inner = equation.params["jaxpr"]
    return inner if _arrays(inner) else None


def _arrays(closed: core.ClosedJaxpr) -> list[Any]:
    """The arrays of a program and of the jitted functions in it."""
    found = list(closed.consts)
    for equation in closed.jaxpr.eqns:
        if equation.primitive.name in ("jit", "pjit"):
            found += _arrays(equation.params["jaxpr"])
    return found


def _unlike(arrays: Iterable[Any]) -> tuple[Any, ...]:
    """Each array once, in order."""
    return tuple({id(array): array for array in arrays}.values())


def _run(
    closed: core.ClosedJaxpr, inputs: Sequence[Any], given: Callable[[Any], Any]
) -> list[Any]:
    """Runs a program with other arrays in the place of its own."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    values |= zip(jaxpr.constvars, map(given, closed.consts), strict=True)

    def read(variables: Iterable[Any]) -> list[Any]:
        return [v.val if isinstance(v, core.Literal) else values[v] for v in variables]

    waiting: list[core.JaxprEqn] = []

    def run_waiting() -> None:
        made = [v for equation in waiting for v in equation.outvars]
        needed = _unlike(
            v
            for equation in waiting
            for v in equation.invars
            if not isinstance(v, core.Literal) and v in values
        )
        part = jaxpr.replace(
            constvars=[],
            invars=list(needed),
            outvars=made,
            eqns=list(waiting),
            debug_info=jaxpr.debug_info.with_unknown_names(),
        )
        results = core.jaxpr_as_fun(core.ClosedJaxpr(part, ()))(*read(needed))
        values.update(zip(made, results, strict=True))
        waiting.clear()

    for equation in jaxpr.eqns:
        inner = _jitted(equation)
        if inner is None:
            waiting.append(equation)
            continue
        run_waiting()
        results = _run(inner, read(equation.invars), given)
        values.update(zip(equation.outvars, results, strict=True))
    run_waiting()
    return read(jaxpr.outvars)


def _is_key(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def _is_same(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or _is_key(a):
        return False
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer):
        return False
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
