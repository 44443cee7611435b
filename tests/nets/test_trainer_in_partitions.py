"""Trainer(partitions=2) on this machine, from fit to the saved files; nobody reads it whole."""

import json
import os
import signal

import cut_nets
import numpy as np
import pytest
import torch
from cut_nets import BATCH, MICRO, points
from safetensors.torch import load_file
from small_nets import cross_entropy, flat

from widemargin.errors import ClusterError, InputError, TrainingError
from widemargin.nets import Partitions, Trainer, gang, optimizers
from widemargin.ps import kept

CUTS = {1: Partitions(1), 2: Partitions(2, (3, 3))}


def trainer_of(cut=CUTS[2], build=cut_nets.deep, checkpoint=None, lr=0.02):
    rule = optimizers.Adam(lr=lr)
    return Trainer(build, cross_entropy, rule, None, checkpoint, microbatch=MICRO, partitions=cut)


@pytest.fixture(scope="module")
def processes():
    """Each imports torch, which takes seconds."""
    held = gang.Processes(2)
    yield held
    held.close()


@pytest.fixture
def shared(processes, monkeypatch):
    """Fits take the processes of this file instead of beginning their own."""
    own = gang.Gang
    monkeypatch.setattr(gang, "Gang", lambda job: own(job, processes))


def test_two_processes_do_what_one_does(shared):
    here, apart = trainer_of(CUTS[1]), trainer_of()
    rows = [t.fit(points(), 2, BATCH, points(20), metrics=["accuracy"]) for t in (here, apart)]
    assert [len(found) for found in rows] == [2, 2]
    for one, two in zip(*rows, strict=True):
        assert one.values.keys() == two.values.keys() == {"loss", "accuracy"}
        assert one.values == pytest.approx(two.values, rel=1e-5)
        assert one.train_loss == pytest.approx(two.train_loss, rel=1e-5)
    np.testing.assert_allclose(flat(apart.model()), flat(here.model()), rtol=1e-5, atol=1e-6)


def test_a_fit_goes_on_from_its_checkpoint(shared, tmp_path):
    """Bit for bit, and with the cut that it began with."""
    straight = trainer_of()
    expected = straight.fit(points(), 3, BATCH, points(20))
    trainer_of(checkpoint=tmp_path).fit(points(), 1, BATCH, points(20))
    again = trainer_of(Partitions(2), checkpoint=tmp_path)
    rows = again.fit(points(), 3, BATCH, points(20))
    assert [row.values for row in rows] == [row.values for row in expected]
    assert flat(again.model()).tobytes() == flat(straight.model()).tobytes()


def test_training_ends_early_with_the_best_parameters(shared, tmp_path):
    for folder in (None, tmp_path):
        trainer = trainer_of(checkpoint=folder, lr=2.0)  # too fast: the loss rises
        rows = trainer.fit(points(), 30, BATCH, points(20), patience=2)
        losses = [row.values["loss"] for row in rows]
        assert len(rows) < 30 and int(np.argmin(losses)) == len(rows) - 3
        assert trainer.evaluate(points(20), batch_size=BATCH)["loss"] == min(losses)


@pytest.mark.slow
def test_a_process_that_dies_ends_the_fit_and_the_next_goes_on(tmp_path):
    """Here they are the fit's own."""
    began = []

    def kill(event):
        if event.kind == "commit" and event.what["stamp"][1] == 6 and not began:
            began.append(event)
            found = gang.torch.multiprocessing.active_children()
            os.kill(max(process.pid for process in found), signal.SIGKILL)

    with pytest.raises(TrainingError, match="PartitionLost: the process of partition . is gone"):
        trainer_of(checkpoint=tmp_path).fit(points(), 3, BATCH, callbacks=[kill])
    again, straight = trainer_of(checkpoint=tmp_path), trainer_of(CUTS[1])
    assert len(again.fit(points(), 3, BATCH)) == 3 and began
    straight.fit(points(), 3, BATCH)
    np.testing.assert_allclose(flat(again.model()), flat(straight.model()), rtol=1e-5, atol=1e-6)


class Pairs(torch.nn.Module):
    """Batch norm, a frozen layer, tied weights."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = torch.nn.Linear(6, 6), torch.nn.BatchNorm1d(6)
        self.second, self.frozen = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.frozen.requires_grad_(False)


def pairs():
    module = Pairs()
    return torch.nn.Sequential(
        module.first, module.norm, module.second, torch.nn.Linear(6, 6), module.frozen
    )


FITS = {
    "pipeline": (pairs, Partitions(1)),
    "list": (cut_nets.failing, Partitions(1)),
    "sliced": (cut_nets.wide, Partitions(2, sliced={"1": "columns", "3": "rows"})),
}


@pytest.mark.parametrize("name", FITS)
def test_what_is_saved_in_pieces_is_the_model(shared, tmp_path, name):
    build, cut = FITS[name]
    trainer = trainer_of(cut, build)
    trainer.fit(points(), 1, BATCH)
    trainer.save(tmp_path / "net.safetensors")
    trainer.save(tmp_path / "net")
    state, one = trainer.model().state_dict(), load_file(tmp_path / "net.safetensors")
    index = json.loads((tmp_path / "net" / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    several = {}
    for file in files:
        several |= load_file(tmp_path / "net" / file)
    tied = {"2.weight"} if name == "pipeline" else set()
    assert one.keys() == several.keys() == index["weight_map"].keys() == state.keys() - tied
    for key, tensor in one.items():
        assert torch.equal(tensor, state[key]) and torch.equal(tensor, several[key])
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in one.values())
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    expected = trainer.evaluate(points(20), batch_size=BATCH)
    for saved in ("net", "net.safetensors"):
        other = trainer_of(cut, build)
        other.load(tmp_path / saved)
        assert other.evaluate(points(20), batch_size=BATCH) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="is of another module: it lacks"):
        trainer_of(CUTS[1]).load(tmp_path / "net")
    with pytest.raises(InputError, match="found a file; a net in partitions is saved as a folder"):
        trainer_of(cut, build)
        (tmp_path / "taken").write_text("mine")
        trainer.fit(points(), 1, BATCH)
        trainer.save(tmp_path / "taken")
    with pytest.raises(InputError, match=r"found no model\.safetensors\.index\.json"):
        trainer.load(tmp_path)


def test_no_more_than_a_layer_is_read_at_once(tmp_path, monkeypatch):
    """Evaluating, keeping the best and the last, and saving: with files, where memory is small."""
    read, apart = [], kept.Kept.read

    def noted(self, start, stop):
        read.append(stop - start)
        return apart(self, start, stop)

    monkeypatch.setattr(kept.Kept, "read", noted)
    monkeypatch.setattr(kept, "SMALL", 0)
    monkeypatch.setattr(kept, "PIECE", 50)
    trainer = trainer_of(CUTS[1], lr=0.1)
    trainer.fit(points(), 3, BATCH, points(20), patience=1)
    trainer.save(tmp_path / "net")
    assert len(read) > 20 and max(read) == 16 * 12, "the largest parameter"
    whole = trainer.model()
    assert sum(p.numel() for p in whole.parameters()) == 6 * 16 + 16 + 16 * 12 + 12 + 24 + 39


def test_a_checkpoint_of_other_slices_is_refused(tmp_path):
    sliced = Partitions(1, sliced={"1": "columns", "3": "rows"})
    trainer_of(sliced, cut_nets.wide, tmp_path).fit(points(), 1, BATCH)
    with pytest.raises(ClusterError, match="of another job: fingerprint was"):
        trainer_of(Partitions(1), cut_nets.wide, tmp_path).fit(points(), 1, BATCH)
