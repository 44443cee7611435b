"""Atomic operations on int64 arrays, for kernels that run side by side, and waits that yield.

numba offers none for the CPU. The first four are one LLVM instruction each inside kernels; from
Python they cannot be called. A load acquires and a store releases: what a thread wrote before its
store is seen by the thread whose load met it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numba_intrinsic

from widemargin._jit import jitable

SPINS = 200  # looks before the core is offered to other threads
LINE = 8  # int64 numbers in a line of the cache: counters stand so far apart
BYTES = 8


item_pointer: Any = cgutils.get_item_pointer


def intrinsic(rule: Callable[..., Any]) -> Any:
    """numba's, whose result has a signature of its own."""
    return numba_intrinsic(rule)


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """A pointer to array[index]; array and index are the first two arguments."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return item_pointer(context, builder, signature.args[0], array, [args[1]])


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """array[index], not before it is needed and not twice."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        return builder.load_atomic(place, "acquire", BYTES, typ=ir.IntType(64))

    return types.int64(array, types.intp), code


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index] ← value, after all that was written before."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        builder.store_atomic(args[2], place, "release", BYTES)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), code


@intrinsic
def add(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index] ← array[index] + value; returns what it was."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        return builder.atomic_rmw("add", place, args[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), code


@intrinsic
def swap_if(typingctx: Any, array: Any, index: Any, before: Any, after: Any) -> Any:
    """array[index] ← after if it is `before`; whether it was."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        done = builder.cmpxchg(place, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(done, 1)

    return types.boolean(array, types.intp, types.int64, types.int64), code


if os.name == "posix":
    sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())

    @jitable
    def give_way(looks: int) -> None:
        """Called after each vain look: every now and then the core goes to whoever wants it."""
        if looks % SPINS == SPINS - 1:
            sched_yield()

else:

    @jitable
    def give_way(looks: int) -> None:
        """The system's scheduler has to see to it alone."""


@jitable
def wait_for(array: Any, index: int, value: int, stop: Any) -> bool:
    """Wait until array[index] = value; False where stop[0] was set instead."""
    looks = 0
    while load(array, index) != value:
        if load(stop, 0) != 0:
            return False
        give_way(looks)
        looks += 1
    return True


@jitable
def lock(array: Any, index: int, stop: Any) -> bool:
    """Take the lock array[index]; False where stop[0] was set instead."""
    looks = 0
    while load(array, index) != 0 or not swap_if(array, index, 0, 1):
        if load(stop, 0) != 0:
            return False
        give_way(looks)
        looks += 1
    return True


@jitable
def unlock(array: Any, index: int) -> None:
    store(array, index, 0)
