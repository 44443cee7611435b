"""Run measurements: a process for each, in turns, every result written down at once.

The records of a run lie in raw.jsonl. A run that was cut short goes on where it stopped: what is
recorded for the same spec and the same version of the package is not measured again.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from harness.environment import environment
from widemargin._jit import digest

Spec = dict[str, Any]
HERE = Path(__file__).parents[1]
LIMIT = 300.0  # seconds a measurement may take


class Run:
    """The records of one run, in a folder."""

    def __init__(self, folder: Path, repeat: int, rows: int | None, limit: float = LIMIT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.repeat, self.rows, self.limit = folder, repeat, rows, limit
        self.file, self.lock = folder / "raw.jsonl", Lock()
        lines = self.file.read_text("utf-8").splitlines() if self.file.exists() else []
        self.records = [json.loads(line) for line in lines]

    def once(self, spec: Spec) -> Any:
        """The result of a spec, or None where it failed."""
        return self._record(spec, 0)["result"]

    def each(
        self, specs: Sequence[Spec], repeat: int | None = None, *, together: bool = False
    ) -> list[list[Any]]:
        """The results of every spec, `repeat` of each, measured A B C A B C …

        `together` fills all cores, for what is not a matter of time.
        """
        rounds = []
        with ThreadPoolExecutor(os.cpu_count() if together else 1) as pool:
            for number in range(repeat or self.repeat):
                records = pool.map(lambda spec, number=number: self._record(spec, number), specs)
                rounds.append([record["result"] for record in records])
        return [[result for result in column if result] for column in zip(*rounds, strict=True)]

    def _record(self, spec: Spec, number: int) -> Any:
        spec = {key: value for key, value in spec.items() if value is not None}
        key = [digest(), json.dumps(spec, sort_keys=True), number]
        for record in list(self.records):
            if record["key"] == key and record["result"] is not None:
                return record
        record = {
            "key": key,
            "date": time.strftime("%FT%TZ", time.gmtime()),
            "load": os.getloadavg()[0],
            **in_process(spec, self.limit),
        }
        _tell(spec, number, record)
        with self.lock:
            self.records.append(record)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        return record

    def used(self) -> list[Any]:
        """The records that belong to this version of the package."""
        return [record for record in self.records if record["key"][0] == digest()]


def in_process(spec: Spec, limit: float) -> dict[str, Any]:
    """{"result", "took", "error"} of a spec, measured by a new process."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, "-m", "harness.worker", json.dumps(spec), str(out)]
        try:
            done = subprocess.run(
                command,
                cwd=HERE,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
            error = done.stderr.strip()[-2000:] if done.returncode else None
        except subprocess.TimeoutExpired:
            error = f"took longer than {limit:g} s"
        result = json.loads(out.read_text("utf-8")) if error is None else None
    return {"result": result, "took": time.perf_counter() - began, "error": error}


def median(results: Sequence[Any], field: str) -> float:
    """The median of a field; NaN where nothing was measured."""
    values = [result[field] for result in results if result.get(field) is not None]
    return statistics.median(values) if values else float("nan")


def _tell(spec: Spec, number: int, record: Any) -> None:
    words = " ".join(str(value) for key, value in spec.items() if key not in ("action", "levels"))
    state = "" if record["error"] is None else "FAILED: " + record["error"].splitlines()[-1]
    print(
        f"{spec['action']} {words} [{number + 1}] {record['took']:.1f} s {state}",
        file=sys.stderr,
        flush=True,
    )
