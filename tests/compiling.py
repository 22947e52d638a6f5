"""Counts what JAX compiles."""

import contextlib
from collections.abc import Iterator

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"
_compiled: list[str] = []


def _listen(event: str, duration: float, **rest: object) -> None:
    del duration, rest
    if event == _EVENT:
        _compiled.append(event)


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def compiling_nothing() -> Iterator[None]:
    """Fails where anything is compiled inside, be it a single operation."""
    before = len(_compiled)
    # Were the event called otherwise by now, nothing would ever be counted.
    assert before > 0, "no compilation has been seen before"
    yield
    assert len(_compiled) == before, f"{len(_compiled) - before} programs were compiled"
