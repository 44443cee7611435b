"""Trainer: a torch module trained through the parameter server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from widemargin.errors import whole_number
from widemargin.nets.engines import Engine
from widemargin.nets.evaluation import Metric, evaluated, metrics_of
from widemargin.nets.fitting import Judge, facts_of, train
from widemargin.nets.forward import chosen, refuse_device
from widemargin.nets.history import Epoch, History
from widemargin.nets.job import Build, Loss, NetJob, built
from widemargin.nets.layers import drawn, fill
from widemargin.nets.local import Downpour, LocalSGD, plan_of
from widemargin.nets.losses import Losses
from widemargin.nets.optimizers import rule_of
from widemargin.nets.partitioned import PartitionedNet
from widemargin.nets.partitions import Partitions, keep, kept, partitions_of, planned
from widemargin.nets.placing import engine_of, refuse_resume
from widemargin.nets.progress import Progress, Tally
from widemargin.nets.samples import Source, source_of
from widemargin.nets.saving import load_into, save_cut, save_module
from widemargin.nets.segments import PartitionJudge, Segments
from widemargin.ps import messages as m
from widemargin.ps.kept import apart, whole
from widemargin.ps.local import Rounds
from widemargin.run.cluster.engine import Cluster
from widemargin.watching.beside import page_beside
from widemargin.watching.state import Facts

PathLike = str | os.PathLike[str]
Callback = Callable[[m.Event], Any]


class Trainer:
    """Trains the module that `build` makes: min over θ of the mean of loss(module(x), y).

    `build` is a function without arguments, called wherever the module is needed; `loss` gives the
    mean over a batch; `optimizer` is one of `widemargin.nets.optimizers`. With `cluster=None` the
    same steps are done in this process; else where the engine says, `address` being all that
    changes. `checkpoint` is a folder: a fit that was interrupted goes on from there.

    `average` keeps θ̄ ← α θ̄ + (1 − α) θ, which then is what is evaluated and returned. A block of
    `batch_size` samples may be computed in runs of `microbatch`. `precision="bfloat16"` computes
    matrix products so, parameters staying float32. `threads` is what torch uses in each worker, and
    where epochs are evaluated meanwhile.
    `partitions` (a number, or `Partitions`) cuts the net among so many processes together.
    Batch norms are given statistics from `statistics_blocks` blocks before each evaluation.
    `local` is `LocalSGD` or `Downpour`: workers take steps of their own between pushes.
    `dashboard` is the port of a live page of the run, for this machine; None: there is none.

    >>> import torch
    >>> from widemargin.nets import Trainer, optimizers
    >>> x = torch.linspace(-1, 1, 64).reshape(-1, 1)
    >>> data = torch.utils.data.TensorDataset(x, 3 * x)
    >>> build, loss = lambda: torch.nn.Linear(1, 1), torch.nn.functional.mse_loss
    >>> trainer = Trainer(build, loss, optimizers.SGD(lr=0.5))
    >>> history = trainer.fit(data, epochs=20, batch_size=16, eval_dataset=data)
    >>> len(history), bool(history[-1].values["loss"] < 1e-6)
    (20, True)
    """

    def __init__(
        self,
        build: Build,
        loss: Loss,
        optimizer: Any,
        cluster: Engine | Cluster | None = None,
        checkpoint: PathLike | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        microbatch: int | None = None,
        average: float | None = None,
        precision: str = "float32",
        threads: int = 1,
        statistics_blocks: int = 32,
        progress: bool | None = None,
        dashboard: int | None = None,
        partitions: int | Literal["auto"] | Partitions | None = None,
        local: LocalSGD | Downpour | None = None,
    ) -> None:
        if microbatch is not None:
            microbatch = whole_number("microbatch", microbatch, 1)
        if local is not None and partitions is not None:
            raise ValueError(
                f"local={local!r} does not go with partitions={partitions!r}: the state between "
                "pushes is kept by workers of one process. Leave one out."
            )
        self.build, self.loss = build, loss
        self.rule = rule_of(optimizer, average if local is None else None)
        self.rounds = None if local is None else plan_of(local, optimizer, average)
        self.cluster, self.checkpoint = cluster, checkpoint
        self.seed = whole_number("seed", seed, 0)
        self.device, self.precision = device, chosen(precision)
        self.microbatch, self.threads = microbatch, whole_number("threads", threads, 1)
        self.statistics_blocks = whole_number("statistics_blocks", statistics_blocks, 1)
        self.progress, self.dashboard = progress, dashboard
        self.partitions = None if partitions is None else partitions_of(partitions)
        self._module: torch.nn.Module | Segments | None = None

    def fit(
        self,
        dataset: Any,
        epochs: int = 1,
        batch_size: int | None = None,
        eval_dataset: Any = None,
        *,
        metrics: Mapping[str, Metric] | Iterable[str] = (),
        callbacks: Sequence[Callback] = (),
        patience: int | None = None,
        resume: Literal["auto", "must", "never"] = "auto",
    ) -> list[Epoch]:
        """Train until `epochs` are done in all; returns a row for each, with its training loss.

        `dataset` is map-style, or a DataLoader whose dataset, batch size and collate_fn are taken.
        At each epoch's end the parameters of that moment are evaluated on `eval_dataset`, by the
        loss and `metrics` (names, or functions of outputs and targets that give a mean over the
        batch). With `patience`, training ends after so many epochs without a lower loss, and the
        best parameters are returned. Callbacks are functions of an event, those of the server and
        "evaluated"; one that returns True ends the training. `resume` says whether a run in the
        checkpoint is gone on with: "never" refuses a folder that holds one, "must" one that holds
        none.
        """
        epochs = whole_number("epochs", epochs, 1)
        if patience is not None:
            patience = whole_number("patience", patience, 1)
        job = self._job(source_of(dataset, batch_size))
        eval_source = None if eval_dataset is None else source_of(eval_dataset, job.batch_size)
        if patience is not None and eval_source is None:
            raise ValueError(
                f"patience={patience} needs eval_dataset: it counts epochs without a lower loss "
                "there. Give one."
            )
        judged = (eval_source, metrics_of(metrics), self.statistics_blocks)
        judge: Judge | PartitionJudge
        judge = Judge(job, *judged) if isinstance(job, NetJob) else PartitionJudge(job, *judged)
        work: NetJob | PartitionedNet | Rounds = job
        size = job.batch_size
        if self.rounds is not None:
            assert isinstance(job, NetJob)
            work, size = self.rounds.of(job), size * self.rounds.steps
        keep = whole if isinstance(job, NetJob) else apart
        refuse_resume(self.checkpoint, resume)
        losses = Losses(size, job.source.n)
        history = History(self.checkpoint, facts_of(job, self.rounds), keep, losses)
        history.stopped &= patience is not None and history.stale() >= patience
        self._module = None
        parameters = None
        if not history.stopped:
            engine = engine_of(self.cluster, self.checkpoint, self.device, resume)
            run = engine.start(work, epochs, self.seed)
            tally = Tally(work.n_blocks, size)
            facts = Facts("", repr(self.cluster), epochs, work.n_blocks, job.source.n)
            with (
                Progress(tally, epochs, self.progress) as progress,
                page_beside(self.dashboard, facts) as tell,
            ):
                parameters = train(run, judge, history, [progress.on, tell, *callbacks], patience)
        if patience is not None or parameters is None:
            parameters = history.best_parameters()
        self._module = judge.module_at(parameters)
        return history.rows

    def model(self) -> torch.nn.Module:
        """The trained module, in eval mode; all of it, also where it was trained in partitions."""
        if self._module is None:
            raise ValueError("there is no model yet. Call fit, or load a saved one.")
        if isinstance(self._module, Segments):
            self._module = self._module.whole()
        module: torch.nn.Module = self._module
        return module.eval()

    def evaluate(
        self,
        dataset: Any,
        metrics: Mapping[str, Metric] | Iterable[str] = (),
        batch_size: int | None = None,
    ) -> dict[str, float]:
        """Mean loss and metrics of the model over a dataset."""
        source = source_of(dataset, 256 if batch_size is None else batch_size)
        if isinstance(self._module, Segments):
            return self._module.evaluated(source, metrics_of(metrics))
        return evaluated(self.model(), source, self.loss, metrics_of(metrics), self.precision)

    def save(self, path: PathLike) -> None:
        """Write the model's state_dict as a safetensors file; of tied tensors the first.

        A net in partitions is written one partition at a time, never whole in memory. Where the
        path does not end in .safetensors it becomes a folder, a file for each partition and an
        index in the usual form.
        """
        if isinstance(self._module, Segments):
            save_cut(self._module, path)
        else:
            save_module(self.model(), path)

    def load(self, path: PathLike) -> torch.nn.Module:
        """The module of `build` with a saved state, a file or a folder, which `model` and
        `evaluate` then use; all of it in memory."""
        module = self._new().to(self.device)
        load_into(module, path)
        self._module = module
        return self.model()

    def _new(self) -> torch.nn.Module:
        """The module before training."""
        if self.partitions is None:
            return built(self.build, self.seed)
        net = drawn(self.build, self.partitions.split)
        fill(net, range(len(net.layers)), self.seed, self.partitions.init)
        return net.whole

    def _job(self, source: Source) -> NetJob | PartitionedNet:
        if self.cluster is None:
            refuse_device(self.device, self.precision)
        what = (self.build, self.loss, source, self.rule)
        options: dict[str, Any] = {
            "seed": self.seed,
            "device": self.device,
            "microbatch": self.microbatch,
            "precision": self.precision,
            "threads": self.threads,
        }
        if self.partitions is None:
            return NetJob.create(*what, **options)
        folder = None if self.checkpoint is None else Path(self.checkpoint)
        job = planned(kept(self.partitions, folder), *what, **options)
        keep(job, folder)
        return job
