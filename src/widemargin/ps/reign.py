"""How a term begins: from what the shards report, the state from which all can go on.

Every member tells where it stands, which commits led there since the last snapshot, and which
gradients it holds. The newest state that every group can reach, through a member that stands on
the way to it and holds all gradients of what lacks, loses nothing that was committed and seen.
Where none is, all go back to the snapshot, the ledger with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from widemargin.ps.messages import Entry, Report, Stamp


class Target(NamedTuple):
    """Where a term begins: after `entries`, all of them since the snapshot; None: at it."""

    stamp: Stamp
    entries: tuple[Entry, ...] | None


def reaches(report: Report, base: Stamp, entries: Sequence[Entry]) -> bool:
    """Can this member come to the end of `entries`, which begin after `base`?"""
    if not report.whole:
        return False
    path = {base, *((e.term, e.version) for e in entries)}
    needs = {lease for e in entries if e.version > report.stamp[1] for lease, _ in e.parts}
    return report.stamp in path and needs <= report.held


def newest_common(
    reports: Mapping[str, Report], groups: Sequence[Sequence[str]], snapshot: Stamp
) -> Target | None:
    """The newest state that a member of every group can reach, no older than the snapshot."""
    whole = [report for report in reports.values() if report.whole and report.stamp >= snapshot]
    for lead in sorted(whole, key=lambda report: report.stamp, reverse=True):
        since = tuple(e for e in lead.log if e.version > snapshot[1])
        covered = [e.version for e in since] == list(range(snapshot[1] + 1, lead.stamp[1] + 1))
        if not covered or not leads_from(snapshot, lead):
            continue
        if all(
            any(reaches(reports[name], snapshot, since) for name in names if name in reports)
            for names in groups
        ):
            return Target(lead.stamp, since)
    return None


def leads_from(snapshot: Stamp, lead: Report) -> bool:
    """Is the snapshot a state on the way of this member?"""
    path = {lead.base, lead.stamp, *((e.term, e.version) for e in lead.log)}
    return snapshot in path


def newest_known(reports: Mapping[str, Report]) -> Stamp:
    return max((report.stamp for report in reports.values() if report.whole), default=(0, 0))


def all_heard(reports: Mapping[str, Report], groups: Sequence[Sequence[str]]) -> bool:
    return all(name in reports for names in groups for name in names)


def each_group_heard(reports: Mapping[str, Report], groups: Sequence[Sequence[str]]) -> bool:
    return all(any(name in reports for name in names) for names in groups)


def target(
    reports: Mapping[str, Report],
    groups: Sequence[Sequence[str]],
    snapshot: Stamp,
    patient: bool,
) -> Target | None:
    """Where to begin; None: wait for more reports. `patient`: going back may still be avoided by
    waiting for members that were not heard yet."""
    if not each_group_heard(reports, groups):
        return None
    common = newest_common(reports, groups, snapshot)
    best = newest_known(reports)
    if common is not None and (common.stamp == best or not patient):
        return common
    if patient and not all_heard(reports, groups):
        return None
    return common or Target(snapshot, None)
