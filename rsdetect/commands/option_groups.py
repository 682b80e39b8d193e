"""Groups of options that several commands share: of a pair, of scoring, of polygons."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from rsdetect.commands.completion import model_names
from rsdetect.commands.parameters import (
    Accept,
    AfterPeriod,
    Align,
    Aoi,
    Backend,
    Bands,
    BeforePeriod,
    Collection,
    Dates,
    DetectorName,
    DetectorOptions,
    FillHoles,
    Mask,
    MaskBits,
    MaskKindOption,
    MaskValues,
    Memory,
    MergeGap,
    MinArea,
    MinWidth,
    NodataOption,
    Normalise,
    Opening,
    Pick,
    Register,
    Resampling,
    Scenes,
    ShapeAttributes,
    Simplify,
    Stac,
    Threshold,
    TileSize,
    Workers,
)
from rsdetect.jobs.parse import parse_min_area, parse_pair_options, parse_threshold

if TYPE_CHECKING:
    from rsdetect.catalogue.options import PeriodOptions
    from rsdetect.jobs.options import PolygonOptions, ScoreOptions

_Model = Annotated[
    str | None,
    typer.Option(metavar="FILE|NAME", help="Model of the detector.", autocompletion=model_names),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")]
_Scheduler = Annotated[str | None, typer.Option(metavar="ADDRESS", help="A running Dask scheduler.")]


@dataclass(frozen=True)
class OptionGroup:
    """Group of options of the command line, which one parameter of a command stands for."""

    options: Mapping[str, tuple[Any, object]]  # name: type for typer, default
    parse: Callable[..., Any]  # what the command gets, from the values by name

    def without(self, *names: str) -> OptionGroup:
        """The group but for some of its options."""
        return replace(self, options={n: option for n, option in self.options.items() if n not in names})


def _scoring(detector_options: list[str] | None, **given: Any) -> ScoreOptions:
    from rsdetect.detectors.settings import as_settings
    from rsdetect.jobs.options import ScoreOptions

    return ScoreOptions(detector_options=as_settings(detector_options or ()), **given)


def _periods(**given: Any) -> PeriodOptions | None:
    named = {name: value for name, value in given.items() if value is not None}
    if not named.keys() - {"pick"}:
        return None
    from rsdetect.catalogue.options import PeriodOptions

    return PeriodOptions(**named | {"pick": named["pick"].lower()})


def _polygons(threshold: str, min_area: str, **given: Any) -> PolygonOptions:
    from rsdetect.jobs.options import PolygonOptions

    return PolygonOptions(threshold=parse_threshold(threshold), min_area=parse_min_area(min_area), **given)


PAIR = OptionGroup(
    {
        "bands": (Bands, None),
        "mask": (Mask, None),
        "mask_values": (MaskValues, None),
        "mask_bits": (MaskBits, None),
        "mask_kind": (MaskKindOption, None),
        "nodata": (NodataOption, None),
        "aoi": (Aoi, None),
        "align": (Align, False),
        "resampling": (Resampling, "bilinear"),
        "register": (Register, False),
        "normalise": (Normalise, "percentile"),
        "dates": (Dates, None),
        "accept": (Accept, None),
    },
    parse_pair_options,
)
PERIODS = OptionGroup(
    {
        "stac": (Stac, None),
        "collection": (Collection, None),
        "scenes": (Scenes, None),
        "before_period": (BeforePeriod, None),
        "after_period": (AfterPeriod, None),
        "pick": (Pick, "composite"),
    },
    _periods,
)
SCORING = OptionGroup(
    {
        "detector": (DetectorName, None),
        "model": (_Model, None),
        "detector_options": (DetectorOptions, None),
        "tile_size": (TileSize, None),
        "memory": (Memory, None),
        "device": (_Device, "auto"),
        "backend": (Backend, "auto"),
        "workers": (Workers, None),
        "scheduler": (_Scheduler, None),
    },
    _scoring,
)
POLYGONS = OptionGroup(
    {
        "threshold": (Threshold, "auto"),
        "opening": (Opening, 0),
        "min_area": (MinArea, "auto"),
        "fill_holes": (FillHoles, 0.0),
        "min_width": (MinWidth, 0.0),
        "merge_gap": (MergeGap, 0.0),
        "simplify": (Simplify, 0.0),
        "shape_attributes": (ShapeAttributes, False),
    },
    _polygons,
)


def with_options(**groups: OptionGroup) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a command: each parameter named here becomes the options of its group.

    The command gets each group parsed: `PairOptions`, `ScoreOptions`, `PolygonOptions`, `PeriodOptions`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        # The types of parsed groups are imported for mypy only, because they take time to load.
        names = ("PairOptions", "ScoreOptions", "PolygonOptions", "PeriodOptions")
        parsed = dict.fromkeys(names, Any)
        hints = get_type_hints(command, localns=parsed, include_extras=True)
        parameters: list[inspect.Parameter] = []
        kind: Any = None
        for each in inspect.signature(command).parameters.values():
            if each.name in groups:
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters += [
                    inspect.Parameter(name, kind, default=default, annotation=annotation)
                    for name, (annotation, default) in groups[each.name].options.items()
                ]
            else:
                parameters.append(each.replace(annotation=hints[each.name], kind=kind or each.kind))

        @wraps(command)
        def with_groups(**given: Any) -> None:
            parsed = {
                name: group.parse(**{option: given.pop(option) for option in group.options})
                for name, group in groups.items()
            }
            command(**given, **parsed)

        with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_groups.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_groups

    return decorate
