"""Options of reading a pair, shared by the commands that compare scenes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

from rsdetect.commands.parameters import (
    Accept,
    Align,
    Aoi,
    Bands,
    Dates,
    Mask,
    MaskBits,
    MaskKindOption,
    MaskValues,
    NodataOption,
    Normalise,
    Register,
    Resampling,
)
from rsdetect.jobs.parse import parse_pair_options

_OPTIONS: dict[str, tuple[Any, object]] = {  # name: type for typer, default
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
}


def with_pair_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a command: its parameter `pair` becomes the options of a pair, but those left out.

    The command gets them parsed, as `PairOptions`.
    """
    names = [name for name in _OPTIONS if name not in left_out]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        # The type of `pair` is imported for mypy only, because it takes time to load.
        hints = get_type_hints(command, localns={"PairOptions": object}, include_extras=True)
        parameters: list[inspect.Parameter] = []
        kind: Any = None
        for each in inspect.signature(command).parameters.values():
            if each.name == "pair":
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters += [
                    inspect.Parameter(name, kind, default=default, annotation=annotation)
                    for name, (annotation, default) in _OPTIONS.items()
                    if name in names
                ]
            else:
                parameters.append(each.replace(annotation=hints[each.name], kind=kind or each.kind))

        @wraps(command)
        def with_options(**given: Any) -> None:
            pair = parse_pair_options(**{name: given.pop(name) for name in names})
            command(**given, pair=pair)

        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate
