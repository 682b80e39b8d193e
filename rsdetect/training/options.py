"""Options of `rsdetect train`, and its work folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from rsdetect.deprecation import replace_deprecated
from rsdetect.errors import InputError, OutputError
from rsdetect.files import clear_unfinished, write_text
from rsdetect.folders import refuse_place
from rsdetect.nets.checkpoint import SUFFIX, model_hash
from rsdetect.reading import refuse_endless
from rsdetect.statuses import write_error
from rsdetect.training.recipe import Recipe
from rsdetect.validation import as_items, number_or_name, refuse_unknown, settle_sequences, text

RUN = "run.json"


class TrainKeywords(TypedDict, total=False):
    """Keywords of `TrainOptions`, except folders and `out`, for typed calls."""

    recipe: str | None
    changes: Sequence[str] | str
    base: str | None
    average_with: Sequence[str] | str
    folds: int | None
    group_by: str | None
    bands: Sequence[int | str] | None
    layout: str
    unlabelled: str | None
    images: str | Path | None
    work: str | Path | None
    device: str
    workers: int | None
    overwrite: bool
    quiet: bool


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `rsdetect train`."""

    out: Path
    folders: tuple[str, ...] = ()  # of labelled pairs
    recipe: str | None = None  # a name or a TOML file; None = chosen by the other options
    changes: tuple[str, ...] = ()  # of the recipe, KEY=VALUE
    base: str | None = None  # the model to start from
    average_with: tuple[str, ...] = ()  # models whose weights are averaged with the trained ones
    folds: int | None = None  # number of cross-validation folds of the places
    group_by: str | None = None  # grouping of pairs into places, see rsdetect.labelled.grouping
    bands: tuple[int | str, ...] | None = None  # of the labelled pairs; None = by name
    layout: str = "auto"  # of the labelled pairs
    unlabelled: str | None = None  # folder of unlabelled pairs
    images: Path | None = None  # prepared images for composite scenes
    work: Path | None = None  # None = beside `out`
    device: str = "auto"
    workers: int | None = None  # None = all cores but one
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        settle_sequences(self, folders=text, changes=text, average_with=text, bands=number_or_name)

    @classmethod
    def from_keywords(
        cls,
        folders: str | Path | Sequence[str | Path],
        out: str | Path,
        **keywords: Unpack[TrainKeywords],
    ) -> TrainOptions:
        """Training options from keywords; unknown ones are refused.

        >>> TrainOptions.from_keywords("pairs", "m.safetensors", work="here").work.name
        'here'
        """
        given = replace_deprecated(keywords)
        refuse_unknown(given, TrainKeywords)
        for name in ("images", "work"):
            if given.get(name) is not None:
                given[name] = Path(given[name])
        return cls(folders=as_items("folders", folders, text), out=Path(out), **given)

    @property
    def recipe_name(self) -> str:
        """Name of the recipe: as given, or the default for the other options."""
        if self.recipe is not None:
            return self.recipe
        return ("labelled" if self.base is None else "fine-tune") if self.folders else "siamese"


@contextmanager
def claim_work_folder(options: TrainOptions, recipe: Recipe) -> Iterator[Path]:
    """Claim the work folder of a training run, which belongs to one run only; a context manager.

    If the run is refused before any training, new files in the folder are removed, so that the corrected
    command is not mistaken for another run.

    Raises
    ------
    InputError
        The model file exists, its folder does not, or the work folder belongs to another run.
    """
    out = options.out
    refuse_place(out.parent, out.name)
    if out.suffix != SUFFIX:
        raise InputError(f"`out` {out} does not end in {SUFFIX}, as model files do.")
    if out.exists() and not options.overwrite:
        raise OutputError(f"{out} exists already; `overwrite=True` replaces it.")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"There is no folder {out.absolute().parent} to write {out.name} into.")
    work = options.work or out.with_suffix(".work")
    kept, run = work / RUN, _run_identity(options, recipe)
    refuse_endless(kept)
    clear_unfinished(work, RUN)  # of a run that was killed as it claimed the folder
    there = set(work.iterdir()) if work.is_dir() else None
    if kept.exists() and kept.read_text(encoding="utf-8") != run:
        raise InputError(
            f"{work} belongs to a run with other options (see {kept}); give `work` another folder, "
            "or remove this one."
        )
    if there and kept not in there:
        raise OutputError(f"{work} holds files of no training run; give `work` another folder.")
    try:
        work.mkdir(parents=True, exist_ok=True)
        write_text(kept, run)
    except OSError as error:
        raise write_error(f"the work folder {work}", error) from error
    clear_unfinished(out.absolute().parent, out.name)
    clear_unfinished(work)
    try:
        yield work
    except InputError:
        if kept not in (there or ()) and not any(work.rglob(f"*{SUFFIX}")):
            _remove_new_entries(work, there)
        raise


def _remove_new_entries(work: Path, there: set[Path] | None) -> None:
    """Remove new entries of the options' work folder, not in `there`; None = remove the folder too."""
    for entry in set(work.iterdir()) - (there or set()):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if there is None:
        work.rmdir()


def _run_identity(options: TrainOptions, recipe: Recipe) -> str:
    """Identity of a training run: all options that affect the result, as JSON."""
    run = {
        "recipe": recipe.model_dump(mode="json"),
        "folders": [str(Path(folder).absolute()) for folder in options.folders],
        "from": model_hash(options.base) if options.base is not None else None,
        "average_with": [model_hash(model) for model in options.average_with],
        "folds": options.folds,
        "group_by": options.group_by,
        "bands": options.bands,
        "layout": options.layout,
        "unlabelled": options.unlabelled,
        "images": str(options.images.absolute()) if options.images is not None else None,
    }
    return json.dumps(run, indent=2)
