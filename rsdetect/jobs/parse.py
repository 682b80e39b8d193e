"""Parsing of command line options from text to values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rsdetect.errors import InputError
from rsdetect.paths import split_paths
from rsdetect.validation import as_items

if TYPE_CHECKING:
    from rsdetect.jobs.options import MinArea
    from rsdetect.scenes.source import SceneLike
    from rsdetect.scenes.validity import Nodata


class PairTexts(TypedDict, total=False):
    """Options of `open_pair` as text of the command line; None = not given."""

    bands: str | None
    mask: str | None
    mask_values: str | None
    mask_bits: str | None
    mask_kind: str | None
    nodata: str | None
    aoi: str | None
    align: bool
    resampling: str
    register: bool
    normalise: str
    dates: str | None
    accept: Sequence[str] | None


def parse_scenes(
    before: str | None,
    after: str | None,
    before_bands: Sequence[str] | None,
    after_bands: Sequence[str] | None,
) -> tuple[SceneLike, SceneLike]:
    """Parse the two scenes of a command, each a path or one file per band.

    With `--before-band` the only path is AFTER.
    """
    if before_bands and after is None:
        before, after = None, before
    return (
        _parse_scene("BEFORE", "`before_band`", before, before_bands),
        _parse_scene("AFTER", "`after_band`", after, after_bands),
    )


def _parse_scene(argument: str, option: str, path: str | None, bands: Sequence[str] | None) -> SceneLike:
    if bands and path is not None:
        raise InputError(
            f"{path} is one scene more than the two that are compared; give {argument} or {option}, not both."
        )
    if bands:
        return parse_band_files(option, bands)
    if path is None:
        raise InputError(f"{argument} is missing; give a scene, or its bands with {option} NAME=FILE.")
    return path


def parse_band_files(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Parse `--before-band` and `--after-band`; the first `=` ends the name.

    >>> parse_band_files("--before-band", ["red=B04.jp2", "NIR=a=b,c.tif"])
    {'red': 'B04.jp2', 'nir': 'a=b,c.tif'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, path = text.partition("=")
        name = name.strip().lower()
        if not name or not path or re.search(r"[/\\]", name):
            raise InputError(f"{option} {text!r} names no band; write NAME=FILE: red=B04.jp2.")
        if name in found:
            raise InputError(f"{option} gives the band {name!r} twice: {found[name]} and {path}.")
        found[name] = path
    return found


def parse_pair_options(**given: Unpack[PairTexts]) -> Any:
    """Parse the options of `open_pair` from the command line."""
    from rsdetect.scenes.bands import parse_bands
    from rsdetect.scenes.dates import parse_dates
    from rsdetect.scenes.pair import PairOptions

    mask, kinds = given.get("mask"), given.get("mask_kind")
    return PairOptions(
        bands=parse_bands(given.get("bands")),
        masks=split_paths(mask) if mask else (),
        mask_values=parse_integers("`mask_values`", given.get("mask_values")),
        mask_bits=parse_integers("`mask_bits`", given.get("mask_bits")),
        mask_kind=tuple(part.strip() for part in kinds.split(",")) if kinds else (),
        nodata=parse_nodata_list(given.get("nodata")),
        aoi=given.get("aoi"),
        align=given.get("align", False),
        resampling=given.get("resampling", "bilinear"),
        register=given.get("register", False),
        normalise=given.get("normalise", "percentile"),
        dates=parse_dates(given.get("dates")),
        accept=tuple(given.get("accept") or ()),
    )


def parse_nodata_list(text: str | None) -> tuple[Nodata, ...]:
    """Read what `--nodata` takes, one value for both dates or one each.

    >>> parse_nodata_list("0"), parse_nodata_list("-9999, none")
    ((0.0,), (-9999.0, 'none'))
    """
    from rsdetect.scenes.validity import parse_nodata

    return as_items("nodata", text.split(",") if "," in text else text, parse_nodata) if text else ()


def parse_integers(option: str, text: str | None) -> tuple[int, ...]:
    """Parse a list of integers of the named `option`; empty if not given."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"{option} {text!r} is not a list of integers; write 3,8,9.") from None


def parse_size(text: str) -> tuple[int, int]:
    """Parse `--size` to (width, height) in pixels.

    >>> parse_size("1024"), parse_size("2000x1000")
    ((1024, 1024), (2000, 1000))
    """
    width, *rest = text.split("x")
    height = rest[0] if rest else width
    if len(rest) > 1 or not width.isdecimal() or not height.isdecimal():
        raise InputError(f"`size` {text!r} is not a size; write 1024 or 2000x1000 (width x height).")
    return int(width), int(height)


def parse_shift(text: str | None) -> tuple[float, float] | None:
    """Parse `--shift` to (rows, columns) in pixels."""
    if text is None:
        return None
    try:
        rows, cols = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"`shift` {text!r} is not a shift; write rows,columns in pixels: 0.5,-1.") from None
    return rows, cols


def parse_shifts(text: str) -> tuple[float, ...]:
    """Parse `--shifts`, in pixels.

    >>> parse_shifts("0.5,1"), parse_shifts("none")
    ((0.5, 1.0), ())
    """
    if text == "none":
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"`shifts_px` {text!r} is not a list of pixels; write 0.5,1,2 or none.") from None


def parse_point(text: str | None) -> tuple[float, float] | None:
    """Parse `--at` to (x, y)."""
    if text is None:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
        if not math.isfinite(x + y):
            raise ValueError(text)
    except ValueError:
        raise InputError(
            f"`at` {text!r} is not a point; write X,Y: 500120,5299880 or 9.0016,47.8502."
        ) from None
    return x, y


def parse_threshold(text: str) -> float | None:
    """Parse `--threshold`; None = the detector's own."""
    if text.lower() == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"`threshold` {text!r} is neither a number nor 'auto'.") from None


def parse_min_area(text: str) -> MinArea:
    """Parse `--min-area`.

    >>> parse_min_area("400"), parse_min_area("Auto")
    (400.0, 'auto')
    """
    if text.lower() == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise InputError(f"`min_area` {text!r} is neither a number nor 'auto'.") from None
