"""Trainer: judging, stopping, going on, saving; what is refused and how it is said."""

import json
import math
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from small_nets import BATCH, N, Tied, classes, cross_entropy, flat, normed, perceptrons, torch

from widemargin.cluster import Cluster
from widemargin.errors import Diverged, TrainingError
from widemargin.nets import LocalSGD, Serial, Trainer, Virtual, optimizers
from widemargin.nets.history import Epoch, History
from widemargin.nets.optimizers import rule_of
from widemargin.ps.kept import in_memory
from widemargin.ps.optimizers import Momentum
from widemargin.ps.parameters import Rule
from widemargin.run.cluster.folder import Folder
from widemargin.schedules import Constant, InvScaling

HUGE = optimizers.SGD(lr=1e30)
ADAM = optimizers.Adam(lr=0.02)


def trainer(build=perceptrons, optimizer=ADAM, cluster=None, **options):
    return Trainer(build, cross_entropy, optimizer, cluster, **options)


# judging


def test_history_has_a_row_an_epoch_with_loss_and_metrics():
    nets = trainer()
    rows = nets.fit(classes(), 4, BATCH, classes(50, 1), metrics=["accuracy"])
    assert [(row.epoch, row.version) for row in rows] == [(0, 6), (1, 12), (2, 18), (3, 24)]
    found = nets.evaluate(classes(50, 1), metrics=["accuracy"], batch_size=7)
    assert found == pytest.approx(rows[-1].values, rel=1e-6)
    model, (x, y) = nets.model(), classes(50, 1).tensors
    assert not model.training
    assert found["accuracy"] == pytest.approx(float((model(x).argmax(1) == y).float().mean()))
    assert found["loss"] == pytest.approx(cross_entropy(model(x), y).item(), rel=1e-5)
    assert rows[-1].values["loss"] < rows[0].values["loss"]


def test_a_metric_may_be_a_function():
    def largest(outputs, targets):
        return outputs.max()

    rows = trainer().fit(classes(), 1, BATCH, classes(10, 1), metrics={"largest": largest})
    assert set(rows[0].values) == {"loss", "largest"}


def test_without_data_of_evaluation_rows_have_no_values():
    assert [row.values for row in trainer().fit(classes(), 2, BATCH)] == [{}, {}]


def test_patience_ends_training_and_the_best_parameters_return():
    optimizer = optimizers.SGD(lr=1.0, momentum=0.9)  # overfits, and jumps about
    nets = trainer(optimizer=optimizer)
    rows = nets.fit(classes(40), 60, 8, classes(200, 1), patience=3)
    losses = [row.values["loss"] for row in rows]
    assert len(rows) < 60 and len(rows) == int(np.argmin(losses)) + 1 + 3
    assert nets.evaluate(classes(200, 1))["loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("cluster", [None, Virtual(2, 2)])
def test_callbacks_hear_everything_and_may_end_it(cluster):
    events = []

    def enough(event):
        events.append(event)
        return event.kind == "evaluated" and event.what["epoch"] == 1

    rows = trainer(cluster=cluster).fit(classes(), 9, BATCH, classes(10, 1), callbacks=[enough])
    assert len(rows) == 2
    assert {"worker", "member", "running", "commit", "epoch", "snapshot", "evaluated"} <= {
        event.kind for event in events
    }


def test_a_run_has_a_page_while_it_lasts(capsys):
    states = []

    def look(event):
        if event.kind == "evaluated":
            url = capsys.readouterr().err.split()[0] if not states else states[0][0]
            states.append((url, json.load(urlopen(f"{url}state.json", timeout=10))))

    rows = trainer(dashboard=0).fit(classes(), 2, BATCH, classes(10, 1), callbacks=[look])
    (url, _), (_, state) = states
    assert (state["epochs"], state["n_blocks"], state["n_samples"]) == (2, 6, N)
    assert state["loss"] in (None, *(pytest.approx(row.values["loss"]) for row in rows))
    with pytest.raises(URLError):
        urlopen(url, timeout=10)


def test_stopping_before_the_first_epoch_ends_is_no_model():
    nets = trainer()
    with pytest.raises(TrainingError, match="before its first epoch ended"):
        nets.fit(classes(), 2, BATCH, callbacks=[lambda event: event.kind == "commit"])
    with pytest.raises(ValueError, match="no model yet"):
        nets.model()


# batch norms


def test_statistics_of_batch_norms_are_means_over_blocks():
    nets = trainer(normed)
    nets.fit(classes(96), 3, 32)
    model = nets.model()
    hidden = model[0](classes(96).tensors[0])
    np.testing.assert_allclose(model[1].running_mean, hidden.mean(0).detach(), atol=1e-5)
    assert int(model[1].num_batches_tracked) == 3 and model[1].momentum == 0.1


def test_statistics_do_not_depend_on_who_trained():
    alone, many = trainer(normed), trainer(normed, cluster=Virtual(1, 2))
    for nets in (alone, many):
        nets.fit(classes(), 2, BATCH)
    states = [nets.model().state_dict() for nets in (alone, many)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# going on


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_fit_goes_on_from_its_checkpoint_bit_for_bit(tmp_path):
    whole = trainer(normed, checkpoint=tmp_path / "whole")
    expected = whole.fit(classes(), 4, BATCH, classes(20, 1))

    def kill(event):
        if event.kind == "commit" and event.what["stamp"][1] == 15:
            raise Killed

    folder = tmp_path / "killed"
    first = trainer(normed, cluster=Serial(snapshot_every=4), checkpoint=folder)
    with pytest.raises(Killed):
        first.fit(classes(), 4, BATCH, classes(20, 1), callbacks=[kill])
    versions, then = [], trainer(normed, checkpoint=folder)
    rows = then.fit(
        classes(), 4, BATCH, classes(20, 1), callbacks=[lambda e: versions.append(e.what)]
    )
    assert versions[0]["version"] == 12
    assert flat(then.model()).tobytes() == flat(whole.model()).tobytes()
    assert [row.values for row in rows] == [row.values for row in expected]


def test_a_fit_that_is_done_gives_its_model_again_and_may_be_made_longer(tmp_path):
    first = trainer(checkpoint=tmp_path)
    first.fit(classes(), 2, BATCH, classes(20, 1))
    again = trainer(checkpoint=tmp_path)
    assert len(again.fit(classes(), 2, BATCH, classes(20, 1), resume="must")) == 2
    assert flat(again.model()).tobytes() == flat(first.model()).tobytes()
    assert len(again.fit(classes(), 3, BATCH, classes(20, 1))) == 3
    longer = trainer()
    longer.fit(classes(), 3, BATCH)
    assert flat(again.model()).tobytes() == flat(longer.model()).tobytes()
    assert len(list((tmp_path / "snapshots").iterdir())) == 2


def test_a_fit_that_was_stopped_early_stays_so(tmp_path):
    arguments = (classes(40), 60, 8, classes(200, 1))
    optimizer = optimizers.SGD(lr=1.0, momentum=0.9)
    first = trainer(optimizer=optimizer, checkpoint=tmp_path)
    rows = first.fit(*arguments, patience=2)
    again = trainer(optimizer=optimizer, checkpoint=tmp_path)
    assert again.fit(*arguments, patience=2) == rows
    assert flat(again.model()).tobytes() == flat(first.model()).tobytes()
    with pytest.raises(ValueError, match="holds a run, and resume='never'"):
        again.fit(*arguments, patience=2, resume="never")
    assert len(again.fit(*arguments[:1], len(rows) + 1, *arguments[2:])) == len(rows) + 1


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    history = History(None, {})
    for epoch, loss in enumerate([math.nan, 0.5, math.nan, 0.1]):
        history.add(Epoch(epoch, epoch, 0.0, {"loss": loss}), in_memory(np.array([float(epoch)])))
    assert history.best().epoch == 3 and history.stale() == 0
    assert history.best_parameters().vector().tolist() == [3.0]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    local = tmp_path / "local"
    trainer(checkpoint=local, local=LocalSGD(2)).fit(classes(), 1, BATCH)
    with pytest.raises(ValueError, match="holds a run with local=.* this one has None"):
        trainer(checkpoint=local).fit(classes(), 1, BATCH)
    trainer(checkpoint=tmp_path).fit(classes(), 1, BATCH)
    with pytest.raises(ValueError, match="holds a run with batch_size=16, this one has 8"):
        trainer(checkpoint=tmp_path).fit(classes(), 1, 8)
    with pytest.raises(ValueError, match="holds a run, and resume='never'"):
        trainer(checkpoint=tmp_path).fit(classes(), 1, BATCH, resume="never")
    with pytest.raises(ValueError, match="holds no run to go on with"):
        trainer(checkpoint=tmp_path / "b").fit(classes(), 1, BATCH, resume="must")
    with pytest.raises(ValueError, match="resume='always' is unknown"):
        trainer().fit(classes(), 1, BATCH, resume="always")
    with pytest.raises(ValueError, match="checkpoint has no meaning in virtual time"):
        trainer(cluster=Virtual(), checkpoint=tmp_path).fit(classes(), 1, BATCH)


def test_a_run_may_begin_with_two_servers_and_go_on_here(tmp_path):
    """What is kept does not depend on where it was made."""
    trainer(checkpoint=tmp_path).fit(classes(), 1, BATCH)
    manifest, (whole,) = Folder(tmp_path, 1).newest()
    folder, n, key = Folder(tmp_path, 2), len(whole["theta"]), manifest["key"]
    folder.write("run.json", folder.read("run.json") | {"servers": 2})
    for g, rows in enumerate([slice(0, 50), slice(50, n)]):
        part = {k: v if v.ndim == 0 else v[rows] for k, v in whole.items()}
        folder.save(f"{key}/shard-{g}", part)
    folder.save(f"{key}/manifest", manifest)
    here, other = trainer(checkpoint=tmp_path), trainer()
    here.fit(classes(), 2, BATCH)
    other.fit(classes(), 2, BATCH)
    assert flat(here.model()).tobytes() == flat(other.model()).tobytes()


# saving


@pytest.mark.parametrize("build", [perceptrons, normed, Tied])
def test_a_saved_model_comes_back(tmp_path, build):
    nets = trainer(build, seed=4)
    nets.fit(classes(), 1, BATCH)
    nets.save(tmp_path / "net.safetensors")
    x = classes().tensors[0]
    loaded = trainer(build).load(tmp_path / "net.safetensors")
    assert torch.equal(loaded(x), nets.model()(x))
    with pytest.raises(ValueError, match="is of another module: .*weight"):
        trainer(lambda: torch.nn.Sequential(torch.nn.Linear(6, 3))).load(
            tmp_path / "net.safetensors"
        )


# errors


class Poisoned(torch.utils.data.Dataset):
    """Cannot read its last sample."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        if i == N - 1:
            raise KeyError("no picture 89")
        return torch.zeros(6), 0


@pytest.mark.parametrize("cluster", [None, Virtual(2)])
def test_errors_of_the_dataset_end_the_run_with_the_block(cluster):
    with pytest.raises(TrainingError, match="failed.*: KeyError: 'no picture"):
        trainer(cluster=cluster).fit(Poisoned(), 1, BATCH)


@pytest.mark.parametrize("cluster", [None, Virtual(2)])
def test_errors_of_the_module_end_the_run_with_the_block(cluster):
    nets = trainer(lambda: torch.nn.Linear(5, 3), cluster=cluster)
    with pytest.raises(TrainingError, match="failed.*: RuntimeError: mat1"):
        nets.fit(classes(), 1, BATCH)


def test_a_loss_that_is_not_finite_says_what_to_do():
    linear = trainer(lambda: torch.nn.Linear(6, 3), optimizers.SGD(lr=1e38))
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in block . of .* Lower the"):
        linear.fit(classes(), 3, BATCH)


def test_weights_that_leave_the_finite_numbers_are_a_divergence():
    net = Trainer(lambda: torch.nn.Linear(6, 3), lambda p, y: 1e30 * p.mean(), HUGE)
    with pytest.raises(Diverged, match="Lower eta0"):
        net.fit(classes(), 1, BATCH)


def test_a_loss_must_be_one_number():
    nets = Trainer(perceptrons, lambda p, y: cross_entropy(p, y, reduction="none"), ADAM)
    with pytest.raises(TrainingError, match=r"must give one number, .* got \(16,\). Use"):
        nets.fit(classes(), 1, BATCH)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"build": lambda: 3}, "build must return a torch.nn.Module, got int"),
        ({"build": torch.nn.ReLU}, "has no parameter to train"),
        ({"build": lambda: torch.nn.LazyLinear(3)}, "'weight' has no shape yet"),
        ({"build": lambda: torch.nn.Linear(6, 3).double()}, "'weight' is float64; the servers"),
        ({"precision": "float16"}, "precision='float16' is unknown"),
        ({"device": "cuda"}, "torch sees no CUDA device here"),
        ({"microbatch": 0}, "microbatch must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"statistics_blocks": 0}, "statistics_blocks must be a whole number of at least 1, got 0"),
        ({"precision": "half", "cluster": Cluster()}, "precision='half' is unknown"),
        ({"average": 1.0}, "decay must be None or at least 0 and below 1, got 1.0"),
    ],
)
def test_what_a_trainer_refuses(change, words):
    if "cuda" in change.values() and torch.cuda.is_available():
        change = {"device": "cuda:99"}
        words = "sees no"
    with pytest.raises((TypeError, ValueError), match=words):
        trainer(**change).fit(classes(), 1, BATCH)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 1.5}, r"epochs must be a whole number of at least 1, got 1\.5"),
        ({"batch_size": 1.5}, r"batch_size must be a whole number of at least 1, got 1\.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"patience": -1}, "patience must be a whole number of at least 1, got -1"),
        ({"metrics": "accuracy"}, r"metrics='accuracy' must be a list .* Give \['accuracy'\]"),
        ({"metrics": ["recall"]}, "metrics='recall' is unknown"),
    ],
)
def test_what_a_fit_refuses(change, words):
    arguments = {"epochs": 1, "batch_size": BATCH, "eval_dataset": classes(20), **change}
    with pytest.raises((TypeError, ValueError), match=words):
        trainer().fit(classes(), **arguments)


def test_numbers_of_numpy_are_numbers():
    assert len(trainer(seed=np.int64(3)).fit(classes(), np.int32(2), np.int64(BATCH))) == 2


def test_patience_needs_data_of_evaluation():
    with pytest.raises(ValueError, match="patience=2 needs eval_dataset"):
        trainer().fit(classes(), 1, BATCH, patience=2)


def test_optimizers_are_refused_by_name():
    with pytest.raises(TypeError, match="Give SGD, Adagrad, Adam or AdamW of"):
        trainer(optimizer=torch.optim.SGD([torch.zeros(1)], 0.1))
    with pytest.raises(ValueError, match="schedule='cosine' is unknown. Choose from: 'constant'"):
        trainer(optimizer=optimizers.SGD(lr=0.1, schedule="cosine"))
    with pytest.raises(ValueError, match="lr must be above 0, got 0.0"):
        trainer(optimizer=optimizers.Adam(lr=0.0))


def test_rules_and_schedules_may_be_given():
    rule = Rule(Momentum(0.5), Constant(0.1))
    assert rule_of(rule, average=0.9) == rule._replace(decay=0.9)
    assert rule_of(optimizers.SGD(0.2, schedule=InvScaling(0.3))).schedule == InvScaling(0.3)
    assert rule_of(optimizers.SGD(0.2, schedule="inverse_root")).schedule == InvScaling(0.2)


def test_history_is_plain_json(tmp_path):
    trainer(checkpoint=tmp_path).fit(classes(), 1, BATCH, classes(20, 1))
    told = json.loads((tmp_path / "history.json").read_text())
    assert told["rows"][0]["version"] == 6 and told["facts"]["samples"] == N
