"""Many bytes at once: the few machine instructions that reading text fast comes down to.

Each is an LLVM expression, not a function call, so it compiles to a few instructions (vpcmpub
and kmov, mov, tzcnt, popcnt, vfmadd on current x86) and to correct code elsewhere. Under
NUMBA_BOUNDSCHECK=1 the loads check their first and last byte, as indexing does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import cgutils as numba_cgutils
from numba.core import types

from widemargin._jit import config

cgutils: Any = numba_cgutils
intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = extending.intrinsic
WIDTH = 64  # bytes under one mask
I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
BLOCK = ir.VectorType(I8, WIDTH)


def _load(context: Any, builder: Any, array_type: Any, args: Any, kind: Any, width: int) -> Any:
    """The `width` bytes from a position, args = (array, position), as LLVM type `kind`."""
    array, p = args[:2]
    text = context.make_array(array_type)(context, builder, array)
    if config.BOUNDSCHECK:
        (length,) = cgutils.unpack_tuple(builder, text.shape, count=1)
        for end in (p, builder.add(p, I64(width - 1))):
            cgutils.do_boundscheck(context, builder, end, length, axis=0)
    value = builder.load(builder.bitcast(builder.gep(text.data, [p]), kind.as_pointer()))
    value.align = 1
    return value


@intrinsic
def byte(typingctx: Any, text: Any, p: Any) -> Any:
    """text[p] as an int64, without the test for a negative position."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load(context, builder, signature.args[0], args, I8, 1)
        return builder.zext(value, I64)

    return types.int64(text, types.int64), generate


@intrinsic
def mask64(typingctx: Any, text: Any, p: Any, low: Any, span: Any) -> Any:
    """Bit i is set where text[p + i] lies in low .. low + span, for the next 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _load(context, builder, signature.args[0], args, BLOCK, WIDTH)
        lows, spans = (_splat(builder, value) for value in args[2:])
        inside = builder.icmp_unsigned("<=", builder.sub(block, lows), spans)
        return builder.bitcast(inside, I64)

    return types.uint64(text, types.int64, types.uint8, types.uint8), generate


def _splat(builder: Any, value: Any) -> Any:
    nothing = ir.Constant(BLOCK, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(I32, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(builder.insert_element(nothing, value, I32(0)), nothing, zeros)


@intrinsic
def load64(typingctx: Any, text: Any, p: Any) -> Any:
    """text[p : p + 8] as a uint64, the first byte lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(context, builder, signature.args[0], args, I64, 8)

    return types.uint64(text, types.int64), generate


@intrinsic
def first_digits(typingctx: Any, word: Any, n: Any) -> Any:
    """The number in the first n bytes of a word, all digits, 1 ≤ n ≤ 8; else any number.

    The n digits move to the top, and neighbours are joined three times:
    8 digits → 4 pairs → 2 fours → 1 number.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        shift = builder.and_(builder.sub(I64(64), builder.shl(args[1], I64(3))), I64(63))
        word = builder.and_(builder.shl(args[0], shift), I64(0x0F0F0F0F0F0F0F0F))
        for bits, tens, kept in JOINS:
            word = builder.lshr(builder.mul(word, I64(tens * 2**bits + 1)), I64(bits))
            word = builder.and_(word, I64(kept))
        return word

    return types.uint64(types.uint64, types.int64), generate


JOINS = ((8, 10, 0x00FF00FF00FF00FF), (16, 100, 0x0000FFFF0000FFFF), (32, 10000, 0xFFFFFFFF))


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """How many zero bits lie below the lowest one bit of a uint64; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(0))

    return types.int64(types.uint64), generate


@intrinsic
def popcount(typingctx: Any, word: Any) -> Any:
    """How many bits of a uint64 are one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate
