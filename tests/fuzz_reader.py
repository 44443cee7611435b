"""Random and mutated texts against the reader: python tests/fuzz_reader.py --runs 100000

Every text goes to the compiled reader and to the reference in plain Python; they must accept
the same texts with the same contents and reject the others at the same byte, in one line.
Set NUMBA_BOUNDSCHECK=1 to have every load and store of the kernels checked.
"""

import argparse
import faulthandler
import random
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "data"))

import agreement  # noqa: E402
import mutations  # noqa: E402

PATIENCE = 20  # seconds for one text, the compilation included in the first


def settings(choose):
    """Random options of the reader."""
    return {
        "zero_based": choose.choice(["auto", "auto", True, False]),
        "n_features": choose.choice([None, None, None, 40, 5002]),
        "unlabelled": choose.random() < 0.3,
        "dtype": choose.choice([np.float32, np.float64]),
        "threads": choose.choice([1] * 9 + [2]),
        "chunk_bytes": choose.choice([1, 16, 64, 1 << 22]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start, accepted = time.perf_counter(), 0
    for run in range(arguments.runs):
        choose = random.Random(f"{arguments.seed}-{run}")
        text, how = mutations.any_text(choose), settings(choose)
        faulthandler.dump_traceback_later(PATIENCE if run else 120, exit=True)
        try:
            accepted += agreement.check(text, **how)
        except BaseException:
            print(f"run {run} of seed {arguments.seed}: {text!r} {how}", file=sys.stderr)
            raise
    faulthandler.cancel_dump_traceback_later()
    seconds = time.perf_counter() - start
    print(
        f"{arguments.runs} texts, {accepted} accepted, the others rejected where the reference "
        f"rejects them; {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
