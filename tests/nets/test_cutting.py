"""How a net is drawn, filled, cut and evaluated; all in this process."""

import cut_nets
import numpy as np
import pytest
import torch
from cut_nets import BATCH, MICRO, points
from small_nets import cross_entropy

from widemargin.nets import Partitions, Trainer, optimizers
from widemargin.nets.balance import Cost, balanced
from widemargin.nets.layers import drawn, fill
from widemargin.nets.optimizers import rule_of
from widemargin.nets.partitions import planned
from widemargin.nets.pipeline import BACKWARD, FORWARD, order
from widemargin.nets.samples import source_of
from widemargin.nets.segments import Segments
from widemargin.ps.job import Range
from widemargin.ps.kept import in_memory

SLICED = {"1": "columns", "3": "rows"}
SGD = optimizers.SGD(lr=0.1)


def job_of(build, partitions=1, microbatch=MICRO):
    source = source_of(points(), BATCH)
    return planned(
        partitions, build, cross_entropy, source, rule_of(SGD, None), microbatch=microbatch
    )


def vector(job):
    return np.concatenate([job.first(part) for part in job.ranges(5)])[:, 0]


def span_of(partitions, micro, hop=0.0):
    """The time that a block takes where a forward takes 1, a backward 2, the way between `hop`."""
    done, at = {}, [0] * partitions
    left = [list(order(k, partitions, micro)) for k in range(partitions)]
    while any(left):
        for k, turns in enumerate(left):
            while turns:
                what, i = turns[0]
                before = (what, i, k - 1 if what == FORWARD else k + 1)
                if 0 <= before[2] < partitions and before not in done:
                    break
                at[k] = max(at[k], done.get(before, -hop) + hop) + (1 if what == FORWARD else 2)
                done[what, i, k] = at[k]
                turns.pop(0)
    return max(at)


@pytest.mark.parametrize("partitions", [1, 2, 3, 5])
@pytest.mark.parametrize("micro", [1, 2, 4, 9])
def test_the_bubble_is_that_of_the_formula(partitions, micro):
    for k in range(partitions):
        turns = order(k, partitions, micro)
        for what in (FORWARD, BACKWARD):
            assert [i for w, i in turns if w == what] == list(range(micro))
        held = np.cumsum([1 if w == FORWARD else -1 for w, _ in turns])
        assert held.min() >= 0 and held.max() <= 2 * (partitions - k) - 1
    idle = 1 - 3 * micro / span_of(partitions, micro)
    assert idle == pytest.approx((partitions - 1) / (micro + partitions - 1))


@pytest.mark.parametrize("partitions", [2, 3, 5])
def test_hops_take_time_only_where_the_pipeline_fills_and_empties(partitions):
    for micro in (1, 2, 4, 9, 40):
        whole = span_of(partitions, micro, hop=0.25)
        assert whole == 3 * (micro + partitions - 1) + 2 * (partitions - 1) * 0.25


def test_the_slowest_partition_is_as_fast_as_can_be():
    costs = [Cost(s, b) for s, b in [(5, 1), (1, 9), (1, 1), (1, 1), (4, 1), (4, 1)]]
    assert balanced(costs, 2, [1] * 6) == (4, 2)
    assert balanced(costs, 3, [1] * 6) == (2, 3, 1)
    assert balanced(costs, 2, [1] * 6, memory=10) == (2, 4)
    assert balanced(costs, 2, [1] * 6, together=[(1, 4)]) == (1, 5)
    assert balanced(costs, 3, [0, 0, 1, 1, 0, 1]) == (3, 2, 1)
    with pytest.raises(ValueError, match=r"at most 1M \(the largest layer: 1M, all: 1M\)"):
        balanced(costs, 3, [1] * 6, memory=8)


def test_values_do_not_depend_on_the_cut():
    whole = vector(job_of(cut_nets.deep))
    for layers in [(2, 4), (1, 3, 2)]:
        job = job_of(cut_nets.deep, Partitions(len(layers), layers))
        assert vector(job).tobytes() == whole.tobytes()
        assert job.first(Range(100, 301)).tobytes() == whole[100:301].tobytes()
    assert len(whole) == job.n_keys and np.abs(whole).max() < 1.01


def test_each_partition_reads_its_own_keys_and_the_shared_ones():
    job = job_of(cut_nets.wide, Partitions(3, sliced=SLICED))
    parts = job.ranges(6)
    assert len(parts) == 6 and parts[-1].stop == job.n_keys == 499
    assert job.ranges(1) == job.ranges(4) == (
        Range(0, 91), Range(91, 227), Range(227, 363), Range(363, 499),
    )  # fmt: skip
    assert job.owner(job.ranges(4)) == (0, 0, 1, 2)
    assert job.reads(job.ranges(4)) == ((0, 1), (0, 2), (0, 3))
    line = job_of(cut_nets.deep, Partitions(2, (2, 4)))
    assert line.ranges(2) == (Range(0, 112), Range(112, 379))
    assert line.owner(line.ranges(4)) == (0, 1, 1, 1)
    assert line.reads(line.ranges(4)) == ((0,), (1, 2, 3))


def test_a_measured_cut_covers_all_layers():
    job = job_of(cut_nets.Branched, Partitions(3, split=cut_nets.branches))
    assert sum(job.counts) == 6 and len(job.counts) == 3 and min(job.counts) > 0
    cuts = np.cumsum(job.counts)[:-1]
    assert not {3, 4} & set(cuts.tolist())  # the layers 2 and 4 share a weight
    whole = 4 * 4 * job_of(cut_nets.deep).n_keys
    auto = job_of(cut_nets.deep, Partitions("auto", memory=whole - 1))
    assert auto.partitions == 2


def normed():
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    )


@pytest.mark.parametrize(
    "build, partitions",
    [
        (normed, Partitions(2, (2, 2))),
        (cut_nets.wide, Partitions(2, sliced=SLICED)),
        (cut_nets.Branched, Partitions(3, (2, 3, 1), split=cut_nets.branches)),
    ],
)
def test_evaluation_by_partitions_is_that_of_the_whole(build, partitions):
    job = job_of(build, partitions)
    segments, data = Segments(job, in_memory(vector(job)), 3), points()
    found = segments.evaluated(source_of(data, 10), {"worst": lambda o, t: o.max()})
    module, (x, y) = segments.whole(), data.tensors
    with torch.no_grad():
        assert found["loss"] == pytest.approx(float(cross_entropy(module(x), y)), rel=1e-5)
    if build is normed:
        first = module[0](torch.cat([x[b] for b in _blocks(job, 3)]))
        assert torch.allclose(module[1].running_mean, first.mean(dim=0), atol=1e-5)


def _blocks(job, count):
    from widemargin.nets.samples import order_of, samples_of

    return [samples_of(job.source, order_of(job.source, job.seed, 0), b) for b in range(count)]


def test_a_trainer_with_one_partition(tmp_path):
    def fit(folder, **options):
        trainer = Trainer(cut_nets.deep, cross_entropy, SGD, checkpoint=folder, partitions=1)
        return trainer, trainer.fit(points(), batch_size=BATCH, eval_dataset=points(), **options)

    straight, rows = fit(tmp_path / "a", epochs=3)
    fit(tmp_path / "b", epochs=1)
    again, more = fit(tmp_path / "b", epochs=3, resume="must")
    assert [row.values for row in rows] == [row.values for row in more]
    assert rows[-1].values["loss"] < rows[0].values["loss"] - 0.05
    assert again.evaluate(points())["loss"] == pytest.approx(rows[-1].values["loss"], rel=1e-6)
    again.save(tmp_path / "model.safetensors")
    loaded = Trainer(cut_nets.deep, cross_entropy, SGD, partitions=2)
    module = loaded.load(tmp_path / "model.safetensors")
    x = points().tensors[0]
    assert torch.equal(module(x), straight.model()(x))


def scaled():
    net = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Linear(6, 3))
    torch.nn.init.zeros_(net[1].weight)
    return net


class Raw(torch.nn.Module):
    """A parameter that nothing fills."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(6))

    def forward(self, x):
        return x * self.scale


def raw():
    return [Raw(), torch.nn.Linear(6, 3)]


def ones(layer):
    if isinstance(layer, Raw):
        torch.nn.init.ones_(layer.scale)


def test_what_cannot_be_drawn_and_filled_is_refused():
    with pytest.raises(ValueError, match="writes values of its own into parameter '1.weight'"):
        job_of(scaled, 2)
    with pytest.raises(ValueError, match="nothing fills 'scale' of layer 0, a Raw.*Give init="):
        vector(job_of(raw, Partitions(1)))
    assert (vector(job_of(raw, Partitions(1, init=ones)))[:6] == 1.0).all()
    with pytest.raises(ValueError, match="returned a Branched.*or give split"):
        job_of(cut_nets.Branched, 2)
    with pytest.raises(ValueError, match="'head.weight' is in none of the layers"):
        job_of(cut_nets.Branched, Partitions(2, split=["two", "picked", "first", "second"]))
    with pytest.raises(ValueError, match="between layers 2 and 4 that share a parameter"):
        job_of(cut_nets.Branched, Partitions(2, (3, 3), split=cut_nets.branches))
    with pytest.raises(ValueError, match="layers 1 to 2 has nothing to train"):
        job_of(cut_nets.deep, Partitions(3, (1, 2, 3)))
    with pytest.raises(ValueError, match="3 partitions do not divide it"):
        job_of(cut_nets.deep, Partitions(3, sliced={"0": "columns"}))
    with pytest.raises(ValueError, match="'2' drops activations of a layer that is sliced"):
        job_of(cut_nets.deep, Partitions(2, sliced={"0": "columns", "3": "rows"}))
    with pytest.raises(ValueError, match="there is no layer '9'. Choose from: '0', '1'"):
        job_of(cut_nets.deep, Partitions(2, sliced={"9": "columns"}))
    with pytest.raises(ValueError, match="partitions=0 must be at least 1"):
        Trainer(cut_nets.deep, cross_entropy, SGD, partitions=0)


def test_shared_weights_are_filled_by_the_first_layer():
    net = drawn(cut_nets.Branched, cut_nets.branches)
    fill(net, range(6), seed=0)
    alone = drawn(cut_nets.Branched, cut_nets.branches)
    fill(alone, [2], seed=0)
    assert net.layers[4].weight is net.layers[2].weight
    assert torch.equal(net.layers[4].weight, alone.layers[2].weight)
