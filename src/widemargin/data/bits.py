"""Many bytes at once: the few machine instructions that reading text fast comes down to.

Each is an LLVM expression, not a library call, so it compiles to one to three instructions
(vpcmpub + kmov, mov, tzcnt, popcnt, vfmadd on current x86) and to correct code elsewhere.
The two loads touch their first and last byte as plain indexing first: dead code that LLVM
drops, except under NUMBA_BOUNDSCHECK=1, where it turns a stray load into an IndexError.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from widemargin._jit import kernel

WIDTH = 64  # bytes under one mask


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [position])


@intrinsic
def _load64(typingctx: Any, text: Any, p: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _pointer(context, builder, signature.args[0], *args)
        word = builder.load(builder.bitcast(at, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(text, types.int64), generate


@intrinsic
def _mask64(typingctx: Any, text: Any, p: Any, low: Any, span: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), WIDTH)
        at = _pointer(context, builder, signature.args[0], args[0], args[1])
        block = builder.load(builder.bitcast(at, vector.as_pointer()))
        block.align = 1
        lows, spans = (_splat(builder, vector, byte) for byte in args[2:])
        inside = builder.icmp_unsigned("<=", builder.sub(block, lows), spans)
        return builder.bitcast(inside, ir.IntType(64))

    return types.uint64(text, types.int64, types.uint8, types.uint8), generate


def _splat(builder: Any, vector: Any, byte: Any) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), byte, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


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


@kernel
def load64(text: Any, p: int) -> Any:
    """text[p : p + 8] as one uint64, the first byte lowest."""
    text[p], text[p + 7]
    return _load64(text, p)


@kernel
def mask64(text: Any, p: int, low: int, span: int) -> Any:
    """Bit i is set where text[p + i] lies in low .. low + span, for the next 64 bytes."""
    text[p], text[p + 63]
    return _mask64(text, p, low, span)
