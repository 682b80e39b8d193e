"""Training log: a CSV file and lines on stderr."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from rsdetect.files import atomic_path
from rsdetect.training.scene_sources import EndlessScenes, Mixture
from rsdetect.training.task import ChangeTask


class TrainingLog(Callback):
    """Training log with one row per validation, and a line on stderr if no progress bar is shown.

    A resumed run appends below the row where it resumes.
    """

    def __init__(self, path: Path, mixture: Mixture, verbose: bool) -> None:
        self._path, self._mixture, self._verbose = path, mixture, verbose

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append a row to the training log; remove scenes that will not be drawn again."""
        assert isinstance(pl_module, ChangeTask)
        if not trainer.is_global_zero:
            return
        figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key != "loss"}
        row = {"step": trainer.global_step, "minutes": round(pl_module.minutes, 2)}
        row |= {key: round(value, 4) for key, value in {"loss": pl_module.mean_loss(), **figures}.items()}
        rows = [old for old in self._rows() if int(old["step"]) < trainer.global_step]
        with atomic_path(self._path) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
            writer.writerows([*rows, row])
        if self._verbose:
            print(
                ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items()), file=sys.stderr
            )
        for source in self._mixture.sources:
            if isinstance(source, EndlessScenes):
                source.remove_stale(trainer.global_step)

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="") as file:
            return list(csv.DictReader(file))
