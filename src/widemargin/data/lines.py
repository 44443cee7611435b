"""A row against K columns of weights that fill whole lines of the cache.

W of shape (d, K′), K′ the next multiple of eight above K, keeps the weights of a feature in K′/8
lines, each a vector register; what is beyond K stays 0. Up to FULL lines have their sums in
registers while the entries of the row pass. The loops of `columns.py` keep the sums in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from widemargin._jit import (
    alloca_once,
    arrays_of,
    compiled_as,
    float64,
    for_range,
    instructions,
    jitable,
    uint64,
    void,
)
from widemargin.data.columns import axpys, dots
from widemargin.data.lanes import HUGE, HUGES_FROM, LINE, WIDTH, as_line, everywhere, fused
from widemargin.data.rows import Array, is_sparse

FULL = 4  # lines at a time

Step = Callable[[int, Any, Any], None]


def width_of(K: int) -> int:
    """The next multiple of eight."""
    return -(-K // WIDTH) * WIDTH


def line_weights(d: int, K: int) -> Array:
    """Zero weights (d, K′), from the beginning of a huge page if they fill one, or else of a
    line of the cache."""
    size = d * width_of(K)
    align = HUGE if size >= HUGE else WIDTH
    room = np.zeros(max(size, HUGES_FROM if align == HUGE else 0) + align)
    start = -(room.ctypes.data // 8) % align
    return room[start : start + size].reshape(d, width_of(K))


def all_dots(x: Any, W: Array, out: Array) -> None:
    """out[k] = xᵀW[:, k] for all K′ columns."""
    dots(x, W, out)


def all_axpys(g: Array, x: Any, W: Array) -> None:
    """W[:, k] ← W[:, k] + g[k] x for all K′ columns, in place."""
    axpys(g, x, W)


def dots_of(count: int) -> Any:
    """`all_dots` of so many lines, from column c on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, start = arrays_of(context, builder, signature, arguments[:4])[3], arguments[4]
        sums = [alloca_once(builder, LINE) for _ in range(count)]
        for total in sums:
            builder.store(ir.Constant(LINE, [0.0] * WIDTH), total)

        def add(k: int, value: Any, place: Any) -> None:
            weights = builder.load(place, align=8)
            builder.store(fused(builder, value, weights, builder.load(sums[k])), sums[k])

        over_lines(context, builder, signature, arguments, count, add)
        for k, total in enumerate(sums):
            builder.store(builder.load(total), line_at(builder, p, start, k), align=8)
        return context.get_dummy_value()

    return instructions(lambda typing, xs, js, W, out, c: (void(xs, js, W, out, c), code))


def axpys_of(count: int) -> Any:
    """`all_axpys` of so many lines, from column c on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        g, start = arrays_of(context, builder, signature, arguments[:4])[3], arguments[4]
        steps = [builder.load(line_at(builder, g, start, k), align=8) for k in range(count)]

        def add(k: int, value: Any, place: Any) -> None:
            weights = builder.load(place, align=8)
            builder.store(fused(builder, value, steps[k], weights), place, align=8)

        over_lines(context, builder, signature, arguments, count, add)
        return context.get_dummy_value()

    return instructions(lambda typing, xs, js, W, g, c: (void(xs, js, W, g, c), code))


def over_lines(
    context: Any, builder: Any, signature: Any, arguments: Any, count: int, step: Step
) -> None:
    """step(k, value in every lane, place of line k) over the entries of a row."""
    x, j, w, _ = arrays_of(context, builder, signature, arguments[:4])
    wide, (xs, js, *_) = builder.extract_value(w.shape, 1), signature.args
    with for_range(builder, builder.extract_value(x.shape, 0)) as loop:
        value = builder.load(builder.gep(x.data, [loop.index]))
        feature = builder.load(builder.gep(j.data, [loop.index]))
        value = everywhere(builder, context.cast(builder, value, xs.dtype, float64))
        feature = context.cast(builder, feature, js.dtype, uint64)
        first = builder.add(builder.mul(feature, wide), arguments[4])
        for k in range(count):
            step(k, value, line_at(builder, w, first, k))


def line_at(builder: Any, array: Any, first: Any, k: int) -> Any:
    """The k-th line from entry `first` on."""
    place = builder.add(first, ir.IntType(64)(k * WIDTH))
    return as_line(builder, builder.gep(array.data, [place]))


dots_1, dots_2, dots_3, dots_4 = (dots_of(count) for count in range(1, FULL + 1))
axpys_1, axpys_2, axpys_3, axpys_4 = (axpys_of(count) for count in range(1, FULL + 1))


@jitable
def sparse_dots(xs: Array, js: Array, W: Array, out: Array) -> None:
    c = 0
    while out.size - c >= FULL * WIDTH:
        dots_4(xs, js, W, out, c)
        c += FULL * WIDTH
    left = (out.size - c) // WIDTH
    if left == 3:
        dots_3(xs, js, W, out, c)
    elif left == 2:
        dots_2(xs, js, W, out, c)
    elif left == 1:
        dots_1(xs, js, W, out, c)


@jitable
def sparse_axpys(g: Array, xs: Array, js: Array, W: Array) -> None:
    c = 0
    while g.size - c >= FULL * WIDTH:
        axpys_4(xs, js, W, g, c)
        c += FULL * WIDTH
    left = (g.size - c) // WIDTH
    if left == 3:
        axpys_3(xs, js, W, g, c)
    elif left == 2:
        axpys_2(xs, js, W, g, c)
    elif left == 1:
        axpys_1(xs, js, W, g, c)


@compiled_as(all_dots)
def _all_dots(x: Any, W: Any, out: Any) -> Any:
    if is_sparse(x):
        return lambda x, W, out: sparse_dots(x[0], x[1], W, out)
    return lambda x, W, out: dots(x, W, out)


@compiled_as(all_axpys)
def _all_axpys(g: Any, x: Any, W: Any) -> Any:
    if is_sparse(x):
        return lambda g, x, W: sparse_axpys(g, x[0], x[1], W)
    return lambda g, x, W: axpys(g, x, W)
