"""Compiled functions: made in one place, cached on disk under a digest of the whole package.

numba stamps a cached kernel with a hash of the kernel's own file only, so an edit in
`losses.py` would leave stale machine code behind for `solvers/sgd.py`. Here the cache folder
itself is named by the digest of every source file, so any edit starts a fresh folder.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.extending import intrinsic, overload, register_jitable

F = TypeVar("F", bound=Callable[..., Any])

njit: Any = numba.njit  # options without published types pass through here
config: Any = numba.config
void: Any = types.void
float64, uint64 = types.float64, types.uint64
for_range: Any = cgutils.for_range
alloca_once: Any = cgutils.alloca_once

PACKAGE = Path(__file__).parent
KEPT_CACHES = 16  # folders of earlier versions that stay; older ones go


@functools.cache
def digest() -> str:
    """Sixteen hex digits that name this version of the package, of numba, and its checks."""
    h = hashlib.sha256(f"{numba.__version__} {config.BOUNDSCHECK}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        h.update(path.relative_to(PACKAGE).as_posix().encode())
        h.update(path.read_bytes())
    return h.hexdigest()[:16]


@functools.cache
def cache_folder() -> Path:
    """The folder for this version's machine code; a private temporary one if home is read-only."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "widemargin"
    folder = home / "kernels" / digest()
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            _forget_old(folder.parent)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="widemargin-kernels-"))


def _forget_old(parent: Path) -> None:
    folders = sorted(parent.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for old in folders[KEPT_CACHES:]:
        shutil.rmtree(old, ignore_errors=True)


def kernel(function: F) -> F:
    """`numba.njit`, without the interpreter lock, cached under the digest of the package."""
    return _njit(function, fastmath=False)


def fast_kernel(function: F) -> F:
    """A `lean_kernel` whose sums may be reordered, for inner products over one row."""
    return _njit(function, fastmath={"reassoc", "contract", "nsz", "arcp"}, counted=False)


def lean_kernel(function: F) -> F:
    """A `kernel` that allocates nothing and so counts no references to its arrays.

    For code that runs per row or per entry: the counts of arrays handed from function to
    function cost more there than the work, and they double the time to compile.
    """
    return _njit(function, fastmath=False, counted=False)


def inlined(function: F) -> F:
    """A part of kernels, copied into each of them before types are inferred."""
    compiled: F = njit(nogil=True, error_model="numpy", inline="always", _nrt=False)(function)
    return compiled


class QuickCache(FunctionCache):
    """Machine code from disk, without what only compiling needs.

    numba's own cache first installs every implementation that it knows, scipy.linalg included:
    0.2 s. Code that is loaded needs none of it but the allocator; compiling installs the rest
    by itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def _njit(function: F, fastmath: bool | set[str], counted: bool = True) -> F:
    before, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder())
    try:
        compiled: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath, _nrt=counted)(
            function
        )
        compiled._cache = QuickCache(function)  # type: ignore[no-untyped-call]
        return cast(F, compiled)
    finally:
        config.CACHE_DIR = before


def compiled_as(function: Callable[..., Any]) -> Callable[[F], F]:
    """Register how `function` compiles inside kernels: the decorated rule sees the types of the
    arguments and returns the implementation for them."""
    return cast(Callable[[F], F], overload(function, strict=False))


def jitable(function: F) -> F:
    """A plain function that kernels may call; it compiles into them."""
    return register_jitable(function)


def instructions(function: Callable[..., Any]) -> Any:
    """A function of kernels given as LLVM instructions: it maps the types of its arguments to a
    signature and to what writes the code."""
    return intrinsic(function)


def arrays_of(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The first arguments of such code as arrays with `data` and `shape`."""
    pairs = zip(signature.args, arguments, strict=False)
    return [context.make_array(kind)(context, builder, value) for kind, value in pairs]
