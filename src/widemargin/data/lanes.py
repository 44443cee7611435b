"""Eight columns of weights in one vector register: a sparse row against all of them at once.

W of shape (d, 1, 8) keeps the eight weights of a feature in one line of the cache, so that a
nonzero costs one load and one multiplication for all. LLVM does not come to this by itself: over
columns it keeps the sums in memory, over nonzeros it gathers each column on its own. So the two
loops are given as its own instructions, which it splits where registers are narrower.

Measured on 1.8 million nonzeros, rows in memory order, `dots` and `axpys` of all rows: 6.3 ms,
against 14.6 ms for the loops of `columns.py` over eight columns and 2.6 ms for a single one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from widemargin._jit import arrays_of, float64, for_range, instructions, uint64, void
from widemargin.data.rows import Array

WIDTH = 8
HUGE = 2**21 // 8  # float64 numbers of a huge page
HUGES_FROM = 2**22 // 8  # NumPy asks for them in arrays of at least so many
LINE: Any = ir.VectorType(ir.DoubleType(), WIDTH)
FUSED = ("contract",)  # x w + p may be rounded once

Step = Callable[[Any, Any], None]  # the value in every lane, the place of the feature's weights


def lane_weights(d: int) -> Array:
    """Zero weights (d, 1, 8) that begin where a huge page does, if they fill one, or else a line
    of the cache: they are read in no order, so that small pages cost a miss for each."""
    align = HUGE if d * WIDTH >= HUGE else WIDTH
    room = np.zeros(max(d * WIDTH, HUGES_FROM if align == HUGE else 0) + align)
    start = -(room.ctypes.data // 8) % align
    return room[start : start + d * WIDTH].reshape(d, 1, WIDTH)


@instructions
def lane_dots(typing: Any, xs: Any, js: Any, W: Any, out: Any) -> Any:
    """out[k] = Σ xs W[js, 0, k]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, j, w, p = arrays_of(context, builder, signature, arguments)
        sums = builder.alloca(LINE)
        builder.store(ir.Constant(LINE, [0.0] * WIDTH), sums)

        def add(value: Any, place: Any) -> None:
            weights = builder.load(place, align=8)
            builder.store(fused(builder, value, weights, builder.load(sums)), sums)

        over_entries(context, builder, signature.args[:2], (x, j, w), add)
        builder.store(builder.load(sums), as_line(builder, p.data), align=8)
        return context.get_dummy_value()

    return void(xs, js, W, out), code


@instructions
def lane_axpys(typing: Any, g: Any, xs: Any, js: Any, W: Any) -> Any:
    """W[js, 0, k] ← W[js, 0, k] + g[k] xs; the columns js of a row are distinct."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        steps, x, j, w = arrays_of(context, builder, signature, arguments)
        step = builder.load(as_line(builder, steps.data), align=8)

        def add(value: Any, place: Any) -> None:
            weights = builder.load(place, align=8)
            builder.store(fused(builder, value, step, weights), place, align=8)

        over_entries(context, builder, signature.args[1:3], (x, j, w), add)
        return context.get_dummy_value()

    return void(g, xs, js, W), code


def over_entries(context: Any, builder: Any, types: Any, arrays: Any, step: Step) -> None:
    """The loop over the entries of a row."""
    x, j, W = arrays
    with for_range(builder, builder.extract_value(x.shape, 0)) as loop:
        value = builder.load(builder.gep(x.data, [loop.index]))
        feature = builder.load(builder.gep(j.data, [loop.index]))
        value = context.cast(builder, value, types[0].dtype, float64)
        feature = context.cast(builder, feature, types[1].dtype, uint64)
        place = builder.gep(W.data, [builder.mul(feature, ir.IntType(64)(WIDTH))])
        step(everywhere(builder, value), as_line(builder, place))


def everywhere(builder: Any, value: Any) -> Any:
    """The number in every lane."""
    empty = ir.Constant(LINE, ir.Undefined)
    first = builder.insert_element(empty, value, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, empty, lanes)


def as_line(builder: Any, place: Any) -> Any:
    return builder.bitcast(place, LINE.as_pointer())


def fused(builder: Any, x: Any, w: Any, p: Any) -> Any:
    """x w + p in every lane."""
    return builder.fadd(builder.fmul(x, w, flags=FUSED), p, flags=FUSED)
