"""Ask for a row before it is needed: a walk in random order is blind otherwise.

The processor follows rows in memory order by itself. In any other order each row is waited for,
unless its lines were asked for some rows ahead.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from widemargin._jit import compiled_as, instructions, void
from widemargin.data.rows import Sparse

LINE = 16  # entries of four bytes in a line of the cache


def ask_for_row(rows: Any, i: int) -> None:
    """Row i will be read soon; a hint, without any other effect."""


@instructions
def ask_for(typing: Any, array: Any, place: Any) -> Any:
    """The line of the cache that holds array[place], to be read."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        text, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [text, number, number, number])
        name = "llvm.prefetch.p0" if text.is_opaque else "llvm.prefetch.p0i8"
        hint = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        address = builder.bitcast(builder.gep(values.data, [arguments[1]]), text)
        builder.call(hint, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return void(array, place), code


@compiled_as(ask_for_row)
def _ask_for_row(rows: Any, i: Any) -> Any:
    if rows.instance_class is not Sparse:
        return lambda rows, i: None

    def sparse(rows: Any, i: Any) -> None:
        k, e = rows.indptr[i], rows.indptr[i + 1]
        while k < e:
            ask_for(rows.indices, k)
            ask_for(rows.values, k)
            k += LINE

    return sparse
