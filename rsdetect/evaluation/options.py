"""Options of an evaluation and its sources."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from rsdetect.detectors.base import Detector
from rsdetect.detectors.settings import as_settings, require_detector
from rsdetect.errors import InputError
from rsdetect.evaluation.disturbance import disturb, require_disturbances
from rsdetect.evaluation.misregistration import misregister
from rsdetect.jsontypes import JsonValue
from rsdetect.paths import split_path
from rsdetect.scenes.bands import parse_bands
from rsdetect.scenes.pair import Pair, PairOptions
from rsdetect.validation import number, number_or_name, refuse_unknown, settle_sequences, text

SHIFTS_PX = (0.5, 1.0, 2.0)
_FARTHEST_PX = 64


class EvaluateKeywords(TypedDict, total=False):
    """Keyword arguments of `evaluate`: the fields of `EvaluateOptions`."""

    detector: str | Detector | None
    model: str | None
    detector_options: Mapping[str, JsonValue] | Sequence[str] | str
    device: str
    backend: str
    bands: Sequence[int | str] | None
    layout: str
    align: bool
    shifts_px: Sequence[float]
    disturb: Sequence[str] | str
    seed: int
    group_by: str | None
    split: str | Path | None
    part: str | None
    log_look: str | None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of `evaluate`."""

    detector: str | Detector | None = None  # as in `detect`
    model: str | None = None  # path or name of a model file; None = the default of the detector
    detector_options: tuple[str, ...] = ()  # as in `detect`
    device: str = "auto"  # auto, cpu, cuda, cuda:i
    backend: str = "auto"  # runtime of the network: auto, torch, openvino, onnx
    bands: Sequence[int | str] | None = None  # for folders without bands of their own
    layout: str = "auto"  # one of rsdetect.labelled.LAYOUTS
    align: bool = False  # warp the after scene to the grid of the before scene if they differ
    shifts_px: tuple[float, ...] = SHIFTS_PX  # synthetic misregistration of the after scenes
    disturb: tuple[str, ...] = ()  # synthetic disturbances of the after scenes, see evaluation.disturbance
    seed: int = 0  # of the bootstrap
    group_by: str | None = None  # a distance or a regular expression, see rsdetect.labelled.grouping
    split: Path | None = None  # file that divides the pairs into parts, see rsdetect.evaluation.split
    part: str | None = None  # of the split
    log_look: str | None = None  # reason for evaluating a part reserved for reporting

    def __post_init__(self) -> None:
        require_detector(self.detector)
        object.__setattr__(self, "detector_options", as_settings(self.detector_options))
        settle_sequences(self, bands=number_or_name, shifts_px=number, disturb=text)
        require_disturbances(self.disturb)
        if self.seed < 0:
            raise InputError(f"`seed` {self.seed} is below 0.")
        for shift in self.shifts_px:
            if not 0 < abs(shift) <= _FARTHEST_PX or math.isnan(shift):
                raise InputError(
                    f"`shifts_px` {shift:g} is not a shift in pixels; give more than 0, up to {_FARTHEST_PX}."
                )
        if (self.split is None) != (self.part is None):
            raise InputError("`split` and `part` require each other.")
        if self.log_look is not None and (self.split is None or not self.log_look.strip()):
            raise InputError("`log_look` is the reason for evaluating a part of `split`.")
        if self.group_by is not None and self.split is not None:
            raise InputError("`group_by` and `split` both define places; give one of them.")

    @property
    def conditions(self) -> dict[str, Callable[[Pair], Pair]]:
        """Conditions besides the pairs as they are: name of their figures -> the pair under it."""
        shifted = {f"shift_{px:g}_px": partial(misregister, cols_px=px) for px in self.shifts_px}
        return {**shifted, **{name: partial(disturb, name=name) for name in self.disturb}}

    @classmethod
    def from_keywords(cls, **keywords: Unpack[EvaluateKeywords]) -> EvaluateOptions:
        """Make the options of an evaluation from keywords; unknown ones raise.

        >>> EvaluateOptions.from_keywords(detector="cva", shifts_px=[1]).shifts_px
        (1.0,)
        """
        refuse_unknown(keywords, EvaluateKeywords)
        given: dict[str, Any] = dict(keywords)
        if given.get("split") is not None:
            given["split"] = Path(given["split"])
        return cls(**given)


@dataclass(frozen=True)
class LabelledSet:
    """Labelled set: a source of an evaluation, the folder within which figures are pooled."""

    name: str
    folder: Path
    pair_options: PairOptions


def labelled_sets(folders: Sequence[str | Path], options: EvaluateOptions) -> list[LabelledSet]:
    """Labelled sets of an evaluation from FOLDER, or FOLDER:BANDS with bands of its own.

    Raises
    ------
    InputError
        There is no folder, or one is given twice.
    """
    if not folders:
        raise InputError("give at least one folder of labelled pairs.")
    given = [_folder_and_bands(folder) for folder in folders]
    paths = [path.resolve() for path, _ in given]
    if len(set(paths)) < len(paths):
        raise InputError(f"{next(path for path in paths if paths.count(path) > 1)} is given twice.")
    short = [path.name for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path, _ in given]
    return [
        LabelledSet(name, path, PairOptions(bands=bands or options.bands, align=options.align))
        for name, (path, bands) in zip(names, given, strict=True)
    ]


def _folder_and_bands(folder: str | Path) -> tuple[Path, tuple[int | str, ...] | None]:
    """Split the option FOLDER:BANDS of an evaluation's source."""
    path, bands = split_path(str(folder))
    if bands is None or Path(folder).exists():
        return Path(folder), None
    return Path(path), parse_bands(bands)
