"""Training loop: a resumable Lightning run of a recipe, with log and best weights in a work folder."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from rsdetect.errors import JobInterrupted
from rsdetect.files import move
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.batches import Batch, PlainChips, RankSampler, Steps, TrainingBatches
from rsdetect.training.checkpoints import SafetensorsIO
from rsdetect.training.machine import Machine
from rsdetect.training.recipe import Recipe
from rsdetect.training.scene_sources import Mixture, SceneSource
from rsdetect.training.task import ChangeTask
from rsdetect.training.training_log import TrainingLog

STATE, BEST, FINISHED, LOG = "state", "best", "finished", "log.csv"
SUFFIX = ".safetensors"
_GRADIENT_NORM = 1.0  # gradients are clipped to it


@dataclass(frozen=True)
class Fitted:
    """Result of a finished training loop."""

    net: SiameseNet  # averaged weights of the best or last validation; in eval mode on the CPU
    steps: int
    minutes: float
    validation_f1: float


@dataclass(frozen=True)
class Feed:
    """Sources of scenes for the training loop."""

    train: Mixture
    validation: PlainChips
    unlabelled: SceneSource | None = None


class _Loaders(pl.LightningDataModule):
    """Data loaders of the training loop."""

    def __init__(self, recipe: Recipe, feed: Feed, machine: Machine) -> None:
        super().__init__()
        self._recipe, self._feed, self._machine = recipe, feed, machine

    def train_dataloader(self) -> DataLoader[Batch]:
        """Loader of the loop's training batches; an epoch ends with a validation."""
        trainer = self.trainer
        assert trainer is not None
        steps = Steps(lambda: trainer.global_step, self._recipe.validation.every)
        feed = self._feed
        batches = TrainingBatches(self._recipe, feed.train, feed.unlabelled, trainer.global_rank)
        return self._loader(batches, steps)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Loader of the loop's whole validation scenes."""
        assert self.trainer is not None
        scenes = self._feed.validation
        share = RankSampler(len(scenes), self.trainer.global_rank, self.trainer.world_size)
        return self._loader(scenes, share)

    def _loader(self, dataset: Any, sampler: Any) -> DataLoader[Batch]:
        workers = self._machine.workers
        return DataLoader(
            dataset,
            batch_size=None,  # the dataset returns batches
            sampler=sampler,
            num_workers=workers,
            # Not forked: a process with threads, such as torch's, cannot be forked safely.
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            pin_memory=self._machine.device != "cpu",
        )


def fit(net: SiameseNet, recipe: Recipe, feed: Feed, work: Path, machine: Machine) -> Fitted | None:
    """Run the training loop for `net`, or resume the run in `work`; returns the best weights.

    Writes into `work`: state.safetensors (the state of the run), best.safetensors, log.csv, and the logs of
    TensorBoard if it is installed.

    Returns
    -------
    Fitted
        None except in the first process of distributed training.

    Raises
    ------
    JobInterrupted
        Ctrl-C or a signal; the same call resumes from the last validation.
    InputError
        The state in `work` cannot be read.
    """
    work.mkdir(parents=True, exist_ok=True)
    task = ChangeTask(net, recipe)
    finished, state = work / f"{FINISHED}{SUFFIX}", work / f"{STATE}{SUFFIX}"
    if not finished.exists():
        with _quiet_lightning():
            options = _trainer_options(recipe, feed.train, work, machine)
            trainer = pl.Trainer(**machine.trainer_options(), **options)
            _run_trainer(trainer, task, _Loaders(recipe, feed, machine), state)
        if not trainer.is_global_zero:
            return None
        move(state, finished)
    return _load_fitted(task, finished, work / f"{BEST}{SUFFIX}")


def _run_trainer(trainer: pl.Trainer, task: ChangeTask, loaders: _Loaders, state: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, datamodule=loaders, ckpt_path=state if state.exists() else None)
    except SystemExit as stopped:  # raised by Lightning after Ctrl-C
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)  # Lightning ignores the signal from here on
        raise JobInterrupted(
            f"interrupted at step {task.global_step}; the same command resumes from the last validation."
        ) from stopped
    except OSError as error:
        raise JobInterrupted(
            f"training stopped at step {task.global_step}: {_error_summary(error)}; "
            "the same command resumes it."
        ) from error


def _error_summary(error: OSError) -> str:
    """Summary of an error in the training loop; of a traceback from another process, the last line."""
    return str(error).strip().rpartition("\n")[2]


def _load_fitted(task: ChangeTask, finished: Path, best: Path) -> Fitted:
    disk = SafetensorsIO()
    run, chosen = disk.load_checkpoint(finished), disk.load_checkpoint(best)
    prefix = "average.module."
    weights = {k.removeprefix(prefix): v for k, v in chosen["state_dict"].items() if k.startswith(prefix)}
    task.net.load_state_dict(weights)
    return Fitted(
        net=task.net.cpu().eval(),
        steps=run["global_step"],
        minutes=run["seconds"] / 60,
        validation_f1=chosen["validation_f1"],
    )


def _trainer_options(recipe: Recipe, mixture: Mixture, work: Path, machine: Machine) -> dict[str, Any]:
    bar = not machine.quiet and sys.stderr.isatty() and find_spec("rich") is not None
    written: dict[str, Any] = {"dirpath": work, "enable_version_counter": False}
    callbacks: list[Callback] = [
        TrainingLog(work / LOG, mixture, verbose=not machine.quiet and not bar),
        _Checkpoint(
            filename=BEST,
            monitor="validation_f1" if recipe.validation.keep == "best" else None,
            mode="max",
            save_on_train_epoch_end=False,
            **written,
        ),
        _Checkpoint(filename=STATE, save_on_train_epoch_end=True, **written),
    ]
    if recipe.validation.patience is not None:
        callbacks.append(EarlyStopping("validation_f1", mode="max", patience=recipe.validation.patience))
    if bar:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return {
        "max_epochs": -1,
        "max_steps": -1,  # the task ends the run, so that the last steps are validated too
        "gradient_clip_val": _GRADIENT_NORM,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "callbacks": callbacks,
        "plugins": [SafetensorsIO()],
        "logger": TensorBoardLogger(work, name="tensorboard") if find_spec("tensorboard") else False,
        "enable_progress_bar": bar,
        "enable_model_summary": False,
        "default_root_dir": work,
    }


class _Checkpoint(ModelCheckpoint):
    FILE_EXTENSION = SUFFIX


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's advice on hardware and loaders during the training loop."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning(\.|$)")
        # More workers than cores are allowed.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        for log in logs:
            log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)
