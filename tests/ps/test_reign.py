"""Where a term begins: the newest state that loses nothing, or the snapshot."""

from stages import entry

from widemargin.ps.messages import Report
from widemargin.ps.reign import Target, target

GROUPS = (("a0", "a1"), ("b0",))
LOG = tuple(entry(v, v) for v in (1, 2, 3))


def report(member, version, log=LOG, held=(), whole=True, term=1, base=(0, 0)):
    stamp = (term, version) if version > base[1] else base
    entries = tuple(e for e in log if base[1] < e.version <= version)
    return Report(member, 1, 2, whole, stamp, base, entries, frozenset((1, n) for n in held))


def choose(*reports, patient=False, snapshot=(0, 0)):
    return target({r.member: r for r in reports}, GROUPS, snapshot, patient)


def test_nobody_of_a_group_was_heard_wait():
    assert choose(report("a0", 3)) is None


def test_all_at_one_state_stay_there():
    assert choose(report("a0", 3), report("a1", 3), report("b0", 3)) == Target((1, 3), LOG)


def test_who_is_behind_but_holds_the_gradients_follows():
    assert choose(report("a0", 3), report("b0", 2, held=[3])) == Target((1, 3), LOG)


def test_a_commit_that_a_group_cannot_follow_is_not_kept_where_a_common_state_is():
    chosen = choose(report("a0", 3), report("a1", 2), report("b0", 2))
    assert chosen == Target((1, 2), LOG[:2])


def test_without_a_common_state_all_go_back_to_the_snapshot():
    assert choose(report("a0", 3), report("b0", 2)) == Target((0, 0), None)
    assert choose(report("a0", 3), report("b0", 0, whole=False)) == Target((0, 0), None)


def test_before_going_back_it_waits_for_members_that_may_know_more():
    some = report("a0", 2), report("b0", 3)
    assert choose(*some, patient=True) is None
    assert choose(*some, report("a1", 3), patient=True) == Target((1, 3), LOG)
    assert choose(*some, report("a1", 2), patient=True) == Target((0, 0), None)


def test_a_state_older_than_the_snapshot_is_no_choice():
    old = report("a0", 2), report("a1", 2), report("b0", 2)
    assert choose(*old, snapshot=(1, 3)) == Target((1, 3), None)


def test_a_longer_history_of_an_older_term_does_not_count():
    """a1 slept through a rollback to version 1 and a new commit 2 of term 2."""
    new = (LOG[0], entry(2, 9, term=2))
    chosen = choose(
        report("a0", 2, log=new, term=2), report("a1", 3), report("b0", 2, log=new, term=2)
    )
    assert chosen == Target((2, 2), new)


def test_the_log_since_the_snapshot_is_what_the_ledger_is_rebuilt_from():
    trimmed = [report(name, 3, base=(1, 2)) for name in ("a0", "a1", "b0")]
    assert choose(*trimmed, snapshot=(1, 2)) == Target((1, 3), LOG[2:])
    assert choose(*trimmed, snapshot=(1, 1)) == Target((1, 1), None), "entry 2 is unknown"
