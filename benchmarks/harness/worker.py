"""One measurement in a process of its own: python -m harness.worker SPEC OUT."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    spec, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    module, _, action = spec["action"].rpartition(".")
    result = getattr(importlib.import_module(f"harness.{module}"), action)(spec)
    out.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
