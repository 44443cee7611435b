"""`widemargin simulate`: runs under faults, judged, or one of them told."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

from widemargin.cli.output import Progress, put_json
from widemargin.errors import choose
from widemargin.ps.compression import CODECS
from widemargin.ps.simulate_many import Summary, against_backups, summary, trials
from widemargin.ps.simulate_stragglers import BACKUPS, FEW, MANY, SLOW, passes
from widemargin.ps.simulate_trace import trace
from widemargin.ps.simulate_trial import FAMILIES, Outcome, Plan, run, scenario
from widemargin.threads import cores

TOLD = 5  # violations that are shown


class Asked(NamedTuple):
    """How many runs, and how they are shown."""

    schedules: int
    seed: int
    replay: int | None
    plot: Path | None
    n_jobs: int | None
    json: bool


def plan(
    workers: int,
    servers: int,
    policy: str,
    replicas: int | None,
    backup: str | None,
    staleness: int | None,
    faults: int | None,
    compression: str,
) -> Plan:
    choose("--policy", policy, {name: name for name in ("all", *FAMILIES)})
    choose("--compression", compression, CODECS)
    b = backups(backup, workers)
    return Plan(workers, servers, policy, replicas, b, staleness, faults, compression)


def together(plan: Plan, partitions: int) -> Plan:
    """Workers of so many processes."""
    if partitions > 1 and plan.compression != "none":
        raise ValueError(
            f"--compression {plan.compression} and --partitions {partitions} do not go together: "
            "error feedback is kept by workers of one process. Leave one out."
        )
    return plan._replace(partitions=partitions)


def with_rounds(
    plan: Plan, local: int | None, fragments: int | None, overlap: bool = False
) -> Plan:
    """The plan with local steps."""
    if overlap and (local is None or plan.policy != "sync"):
        raise ValueError(
            f"--overlap needs --local and --policy sync, got --policy {plan.policy} and --local "
            f"{local}: rounds of several steps, whose order is known. Give both."
        )
    if fragments is not None and local is None:
        raise ValueError(f"--fragments {fragments} needs --local: how many steps a round has.")
    if fragments is not None and (plan.policy != "sync" or plan.servers % fragments):
        raise ValueError(
            f"--fragments {fragments} needs --policy sync and a number of --servers that it "
            f"divides, got {plan.policy} and {plan.servers}: all workers push the same ranges."
        )
    if local is not None and plan.compression != "none":
        raise ValueError(
            f"--local {local} does not go with --compression {plan.compression}. Leave one out."
        )
    if local is not None and plan.partitions > 1:
        raise ValueError(
            f"--local {local} does not go with --partitions {plan.partitions}: the state between "
            "pushes is kept by workers of one process. Leave one out."
        )
    return plan._replace(local=local, fragments=fragments, overlap=overlap)


def backups(text: str | None, workers: int) -> int | Literal["auto"] | None:
    if text is None or text == "auto":
        return text  # type: ignore[return-value]  # it is "auto"
    if not text.isdecimal() or int(text) >= workers:
        raise ValueError(
            f"--backup must be auto or a number from 0 to {workers - 1}, one below --workers, got "
            f"{text!r}. A step needs one gradient at least."
        )
    return int(text)


def simulate(plan: Plan, asked: Asked) -> int:
    """Exit code 1 if a promise was broken."""
    if asked.plot is not None:
        raise ValueError(f"--plot {asked.plot} belongs to --stragglers. Give both, or neither.")
    if asked.replay is not None:
        return replayed(plan, asked.replay, asked.json)
    begun, outcomes = time.perf_counter(), []
    seeds = range(asked.seed, asked.seed + asked.schedules)
    with Progress("schedules", len(seeds)) as bar:
        for outcome in trials(plan, seeds, asked.n_jobs or cores()):
            outcomes.append(outcome)
            bar.advance(1)
    total = summary(outcomes)
    seconds = time.perf_counter() - begun
    if asked.json:
        put_json(report(plan, total, seconds))
    else:
        show(plan, total, seconds)
    return 1 if total.failures else 0


def replayed(plan: Plan, seed: int, json: bool) -> int:
    sim, seen = run(scenario(plan, seed))
    lines, wrong = trace(sim, seen)
    if json:
        put_json({"seed": seed, "trace": lines, "violations": wrong})
    else:
        print("\n".join([*lines, *(f"VIOLATION {line}" for line in wrong)]))
        print("all promises kept" if not wrong else f"{len(wrong)} promises broken")
    return 1 if wrong else 0


def command(plan: Plan, seed: int) -> str:
    """What replays a run: all that differs from what goes without saying."""
    words, usual = ["widemargin", "simulate"], Plan._field_defaults
    for name, value in plan._asdict().items():
        if value != usual.get(name):
            words += [f"--{name}", *([] if value is True else [str(value)])]
    return shlex.join([*words, "--replay", str(seed)])


def told(plan: Plan, failure: Outcome) -> dict[str, Any]:
    return {
        "seed": failure.seed,
        "policy": failure.policy,
        "what": failure.violations,
        "replay": command(plan, failure.seed),
    }


def report(plan: Plan, total: Summary, seconds: float) -> dict[str, Any]:
    counted = total._asdict()
    failures = counted.pop("failures")
    faults = {kind: {**by, "total": sum(by.values())} for kind, by in counted["faults"].items()}
    return {
        **plan._asdict(),
        **counted,
        "faults": faults,
        "violations": len(failures),
        "failures": [told(plan, failure) for failure in failures],
        "seconds": seconds,
    }


def show(plan: Plan, total: Summary, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    several = ("partition",) if plan.partitions > 1 else ()
    roles = ("worker", *several, "shard", "coordinator", "storage")
    table = Table(box=None, pad_edge=False)
    table.add_column("fault")
    for role in (*roles, "all"):
        table.add_column(role, justify="right")
    for kind, by in total.faults.items():
        counts = [by.get(role, 0) for role in roles]
        table.add_row(kind, *(f"{n:,}" if n else "" for n in counts), f"{sum(counts):,}")
    Console().print(table)
    print(f"\nruns           {total.runs:,} with {plan.workers} workers, {plan.servers} servers")
    print(f"samples        {total.samples:,}{'' if total.failures else ', each once an epoch'}")
    print(f"commits        {total.commits:,}; {total.rollbacks:,} returns to a snapshot")
    told = "" if plan.compression == "none" else f", {plan.compression}"
    print(f"pushed         {total.pushed:,} bytes{told}")
    print(f"seconds        {seconds:.1f}, virtual {total.virtual:,.0f}")
    print(f"violations     {len(total.failures)}")
    for failure in total.failures[:TOLD]:
        print(f"\nseed {failure.seed}, {failure.policy}:")
        print("\n".join(f"  {line}" for line in failure.violations[:TOLD]))
        print(f"  replay: {command(plan, failure.seed)}")


def stragglers(asked: Asked) -> int:
    """What slow workers cost under each policy, and how many backups are worth their while."""
    table = passes(asked.seed)
    with Progress("numbers of backups", len(BACKUPS)) as bar:
        runs = []
        for each in against_backups(asked.seed, asked.n_jobs or cores()):
            runs.append(each)
            bar.advance(1)
    if asked.plot is not None:
        from widemargin.cli.simulate_plot import draw

        draw(runs, asked.plot)
    best = min(runs, key=lambda each: each.passed)
    if asked.json:
        rows = [{"backup": each.backup, "step": each.step, "pass": each.passed} for each in runs]
        chosen = {"workers": MANY, "best_backup": best.backup, "backups": rows}
        put_json({"stragglers": [row._asdict() for row in table], **chosen})
        return 0
    print(f"{FEW} workers, one {SLOW:g} times slower and one that stops for 1 to 5 s at random\n")
    print(f"{'':20} {'seconds':>8} {'ratio':>6} {'commits':>8} {'blocks':>7}")
    for row in table:
        print(f"{row.name:20} {row.seconds:8.1f} {row.ratio:6.2f} {row.commits:8} {row.blocks:7}")
    print(f"\n{MANY} workers with heavy-tailed gradient times\n")
    print(f"{'backups':>8} {'step':>8} {f'{MANY} gradients':>15}")
    for each in runs:
        mark = "  <- best" if each is best else ""
        print(f"{each.backup:8} {each.step:8.2f} {each.passed:15.2f}{mark}")
    if asked.plot is not None:
        print(f"\nfigure         {asked.plot}")
    return 0
