"""A row against K columns of weights that fill whole lines of the cache.

W of shape (d, K′), K′ the next multiple of eight above K, keeps the weights of a feature in K′/8
lines, each a vector register; what is beyond K stays 0. Up to FULL lines have their sums in
registers while the entries of the row pass. The loops of `columns.py` keep the sums in memory.
"""

from __future__ import annotations

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
from widemargin.data.columns import dots
from widemargin.data.lanes import HUGE, HUGES_FROM, LINE, WIDTH, as_line, everywhere, fused
from widemargin.data.rows import Array, is_sparse

FULL = 4  # lines at a time


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


def lines_of(count: int) -> Any:
    """`dots` of so many lines, from column c on."""

    def lines(typing: Any, xs: Any, js: Any, W: Any, out: Any, c: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            *arrays, start = arguments
            x, j, w, p = arrays_of(context, builder, signature, arrays)
            wide, sums = builder.extract_value(w.shape, 1), []
            for _ in range(count):
                sums.append(alloca_once(builder, LINE))
                builder.store(ir.Constant(LINE, [0.0] * WIDTH), sums[-1])
            with for_range(builder, builder.extract_value(x.shape, 0)) as loop:
                value = builder.load(builder.gep(x.data, [loop.index]))
                feature = builder.load(builder.gep(j.data, [loop.index]))
                value = everywhere(builder, context.cast(builder, value, xs.dtype, float64))
                feature = context.cast(builder, feature, js.dtype, uint64)
                first = builder.add(builder.mul(feature, wide), start)
                for k, total in enumerate(sums):
                    weights = builder.load(line_at(builder, w, first, k), align=8)
                    builder.store(fused(builder, value, weights, builder.load(total)), total)
            for k, total in enumerate(sums):
                builder.store(builder.load(total), line_at(builder, p, start, k), align=8)
            return context.get_dummy_value()

        return void(xs, js, W, out, c), code

    return instructions(lines)


def line_at(builder: Any, array: Any, first: Any, k: int) -> Any:
    """The k-th line from entry `first` on."""
    place = builder.add(first, ir.IntType(64)(k * WIDTH))
    return as_line(builder, builder.gep(array.data, [place]))


one, two, three, four = (lines_of(count) for count in range(1, FULL + 1))


@jitable
def sparse_lines(xs: Array, js: Array, W: Array, out: Array) -> None:
    c = 0
    while out.size - c >= FULL * WIDTH:
        four(xs, js, W, out, c)
        c += FULL * WIDTH
    left = (out.size - c) // WIDTH
    if left == 3:
        three(xs, js, W, out, c)
    elif left == 2:
        two(xs, js, W, out, c)
    elif left == 1:
        one(xs, js, W, out, c)


@compiled_as(all_dots)
def _all_dots(x: Any, W: Any, out: Any) -> Any:
    if is_sparse(x):
        return lambda x, W, out: sparse_lines(x[0], x[1], W, out)
    return lambda x, W, out: dots(x, W, out)
