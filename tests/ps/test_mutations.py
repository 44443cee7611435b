"""Deliberate bugs in the roles: the simulator's oracle finds each of them, and soon."""

import sys
from types import ModuleType

import pytest

from widemargin.ps import archive, commits, hands, leases, members, policy, terms
from widemargin.ps import messages as m
from widemargin.ps.feedback import Packer
from widemargin.ps.keys import manifest_key
from widemargin.ps.ledger import Ledger
from widemargin.ps.parameters import Update
from widemargin.ps.shard import Shard
from widemargin.ps.simulate_trial import Plan, trial
from widemargin.ps.worker import Worker

SMALL = Plan(workers=4, servers=2)


def swap(monkeypatch, owner, name, new):
    """Put `new` wherever the function is known, also under the names of other modules."""
    old = getattr(owner, name)
    monkeypatch.setattr(owner, name, new)
    for path, module in list(sys.modules.items()):
        if path.startswith("widemargin.ps.") and isinstance(module, ModuleType):
            for known, value in list(vars(module).items()):
                if value is old:
                    monkeypatch.setattr(module, known, new)
            for kind, handler in getattr(module, "HANDLERS", {}).items():
                if handler is old:
                    monkeypatch.setitem(module.HANDLERS, kind, new)
    return old


def push_applied_twice(patch):
    def push(shard, push, now):
        if push.lease in shard.held:
            keys, values, n, _ = shard.held[push.lease]
            shard.held[push.lease] = Update(keys, values + push.update.values, n)
        return old(shard, push, now)

    old = swap(patch, Shard, "push", push)


def ledger_stays_when_shards_go_back(patch):
    def restore(ledger, record, commits=()):
        if ledger in seen and not commits:
            ledger.leases.clear()
            ledger.begin(ledger.committed)
        else:
            old(ledger, record, commits)
        seen.append(ledger)

    seen = []
    old = swap(patch, Ledger, "restore", restore)


def stale_gradient_accepted(patch):
    def end(books, parts):
        ended = books.ledger.commit([block for _, block in parts])
        for lease in ended:
            books.gradients.pop(lease, None)
        return ended

    swap(patch, commits, "end", end)


def lease_never_expires(patch):
    def dismiss(books, worker, why, now):
        del books.roster.hands[worker]
        return books.event("gone", now, name=worker, why=why)

    swap(patch, hands, "dismiss", dismiss)


def half_a_commit(patch):
    def tell(books, *known):
        last = books.settings.groups[-1]
        return [send for send in old(books, *known) if send.to not in last]

    old = swap(patch, commits, "tell", tell)
    swap(patch, members, "attend", lambda books, name, member, now: [])


def block_counted_twice(patch):
    def commit(ledger, blocks):
        ended = []
        for block in blocks:
            mine = [lease for lease, held in ledger.leases.items() if held.block == block]
            for lease in mine[:1]:
                ended.append(lease)
                del ledger.leases[lease]
            ledger.committed[block.number] = True
            ledger.left -= 1
        if ledger.left <= 0:
            ledger.epoch += 1
            ledger.begin(0 * ledger.committed)
        return ended

    swap(patch, Ledger, "commit", commit)
    swap(patch, policy, "first_to_arrive", lambda work: [k for k, w in work.items() if w.arrival])


def joiner_takes_no_copy(patch):
    def install(shard, install, now):
        first = kept.get((shard.settings.seed, shard.group))
        if shard.store is None and shard.term == 0 and install.key is None and first:
            shard.store, shard.stamp = shard.restore(first), install.stamp
        return old(shard, install, now)

    def loaded(shard, loaded, now):
        kept.setdefault((shard.settings.seed, shard.group), loaded.value)
        return was(shard, loaded, now)

    kept = {}
    old, was = swap(patch, Shard, "install", install), swap(patch, Shard, "loaded", loaded)


def manifest_before_the_parts(patch):
    def begin(books, now):
        sends = old(books, now)
        key = manifest_key(books.pending.key)
        return [
            m.Send(m.STORAGE, m.Save(books.term, key, books.pending.manifest, "observer")),
            *sends,
        ]

    old = swap(patch, archive, "begin", begin)


def turns_ignored(patch):
    def ready(of, work, n, last):
        return old(policy.Async() if of == policy.RoundRobin() else of, work, n, last)

    old = swap(patch, policy, "ready", ready)


def staleness_unbounded(patch):
    swap(patch, policy, "may_begin", lambda of, version, begun: True)


def wrong_weights_in_the_average(patch):
    def push(shard, push, now):
        return old(shard, push._replace(update=push.update._replace(n=1.0)), now)

    old = swap(patch, Shard, "push", push)


def log_forgotten_with_the_coordinator(patch):
    def restore(ledger, record, commits=()):
        old(ledger, record)

    old = swap(patch, Ledger, "restore", restore)


def losses_of_other_gradients(patch):
    def holds(shard, lease):
        to, held = old(shard, lease)
        return m.Send(to, held._replace(loss=shard.tags[min(shard.tags)][1]))

    old = swap(patch, Shard, "holds", holds)


def held_gradients_forgotten_on_a_commit(patch):
    def commit(shard, commit, now):
        sends = old(shard, commit, now)
        shard.held.clear()
        shard.tags.clear()
        return sends

    old = swap(patch, Shard, "commit", commit)


def read_before_its_version(patch):
    def pull(shard, pull, now):
        return old(shard, pull._replace(version=0), now)

    def pulled(worker, params, now):
        if worker.lease is not None:
            params = params._replace(version=max(params.version, worker.lease.version))
        return was(worker, params, now)

    old, was = swap(patch, Shard, "pull", pull), swap(patch, Worker, "pulled", pulled)


def commits_out_of_order(patch):
    def commit(shard, commit, now):
        if commit.entries and commit.entries[0].version > shard.version and shard.store is not None:
            shard.stamp = (shard.stamp[0], commit.entries[0].version - 1)
        return old(shard, commit, now)

    old = swap(patch, Shard, "commit", commit)


def snapshot_of_a_later_version(patch):
    def save(shard):
        if shard.saving is not None and shard.version > shard.saving.version:
            shard.saving = shard.saving._replace(version=shard.version)
        return old(shard)

    old = swap(patch, Shard, "save", save)


def snapshot_with_a_newer_ledger(patch):
    def ask(books, pending, now):
        pending.record = books.ledger.record()
        return old(books, pending, now)

    old = swap(patch, archive, "ask", ask)


def committed_before_all_hold_it(patch):
    def settle(books, now):
        for lease, gradient in books.gradients.items():
            if gradient.holders and lease in books.ledger.leases:
                gradient.holders |= set(books.roster.required())
        return old(books, now)

    old = swap(patch, commits, "settle", settle)


def commit_of_an_older_term_obeyed(patch):
    def commit(shard, commit, now):
        promised = shard.promised
        if commit.term <= shard.term:
            commit, shard.promised = commit._replace(term=shard.term), shard.term
        sends = old(shard, commit, now)
        shard.promised = promised
        return sends

    old = swap(patch, Shard, "commit", commit)


def promise_forgotten(patch):
    def commit(shard, commit, now):
        shard.promised = shard.term
        return old(shard, commit, now)

    old = swap(patch, Shard, "commit", commit)


def older_term_installed(patch):
    def install(shard, install, now):
        if install.term < shard.term:
            shard.term = shard.promised = 0
        return old(shard, install, now)

    old = swap(patch, Shard, "install", install)


def lease_of_an_older_term_taken(patch):
    def begin(worker, lease, now):
        if worker.newest is not None and lease.lease[0] < worker.newest[0]:
            worker.newest = None
        return old(worker, lease, now)

    old = swap(patch, Worker, "begin", begin)


def e_advanced_although_the_gradient_was_void(patch):
    def settle(packer, term, last):
        old(packer, term, packer.pending or last)

    old = swap(patch, Packer, "settle", settle)


def e_kept_although_it_was_sent(patch):
    def settle(packer, term, last):
        old(packer, term, None)

    old = swap(patch, Packer, "settle", settle)


def e_of_a_term_that_was_rolled_back(patch):
    def settle(packer, term, last):
        packer.term = term
        old(packer, term, last)

    old = swap(patch, Packer, "settle", settle)


def fate_of_the_newest_commit_of_anyone(patch):
    def letter(books, lease, ahead):
        newest = max(books.last.values(), default=None)
        return old(books, lease, ahead)._replace(last=newest)

    old = swap(patch, leases, "letter", letter)


def encoded_again_on_its_way(patch):
    def push(shard, push, now):
        update = push.update
        if push.lease in shard.held:
            shard.held[push.lease] = Update(update.keys, 2 * update.values, update.n)
        return old(shard, push, now)

    old = swap(patch, Shard, "push", push)


COMPRESSED = (
    e_advanced_although_the_gradient_was_void,
    e_kept_although_it_was_sent,
    e_of_a_term_that_was_rolled_back,
    fate_of_the_newest_commit_of_anyone,
    encoded_again_on_its_way,
)


def ends_taken_over_are_not_told(patch):
    swap(patch, terms, "ends_taken_over", lambda books, now: [])


MUTATIONS = {
    ends_taken_over_are_not_told: "sync",
    push_applied_twice: "all",
    ledger_stays_when_shards_go_back: "all",
    stale_gradient_accepted: "sync",
    lease_never_expires: "all",
    half_a_commit: "all",
    block_counted_twice: "all",
    joiner_takes_no_copy: "all",
    manifest_before_the_parts: "all",
    turns_ignored: "round_robin",
    staleness_unbounded: "async",
    wrong_weights_in_the_average: "sync",
    log_forgotten_with_the_coordinator: "all",
    held_gradients_forgotten_on_a_commit: "all",
    losses_of_other_gradients: "all",
    read_before_its_version: "sync",
    commits_out_of_order: "all",
    snapshot_of_a_later_version: "all",
    snapshot_with_a_newer_ledger: "all",
    committed_before_all_hold_it: "all",
    commit_of_an_older_term_obeyed: "all",
    promise_forgotten: "all",
    older_term_installed: "all",
    lease_of_an_older_term_taken: "all",
}
MOST = 300


def schedules_until_found(policy, compression="none"):
    """How many schedules were run when a promise was seen broken, and which."""
    for seed in range(MOST):
        plan = SMALL._replace(policy=policy, compression=compression)
        if wrong := trial(plan, seed).violations:
            return seed + 1, wrong[0]
    return None


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_the_bug_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    assert schedules_until_found(MUTATIONS[mutate]) is not None


@pytest.mark.parametrize("mutate", COMPRESSED, ids=lambda mutate: mutate.__name__)
def test_the_bug_of_compression_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    found = schedules_until_found("all", "topk")
    assert found is not None and "Error" not in found[1]
