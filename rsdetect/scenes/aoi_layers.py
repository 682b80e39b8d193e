"""Layers of a vector file that hold an area of interest: the one that is named, or the first with any."""

from __future__ import annotations

import warnings
from typing import Any

from rsdetect.errors import InputError, RsdetectError
from rsdetect.paths import as_gdal_path, split_layer
from rsdetect.scenes.failing_servers import GoneAway
from rsdetect.scenes.handles import gone_away, one_line
from rsdetect.scenes.named_files import refuse_endless_named
from rsdetect.scenes.remote import gdal_name, patiently
from rsdetect.scenes.vectors import read_polygons


def read_layer(text: str) -> tuple[Any, str]:
    """Read the layer with the area of interest, and note the choice.

    Returns
    -------
    frame, note
        A GeoDataFrame; the note is "" for a file of one layer, or where the user names the layer.

    Raises
    ------
    InputError
        The file cannot be read, has no such layer, or no places.
    """
    path, layer = split_layer(text)
    names = _layer_names(path)
    if layer is not None and layer not in names:
        raise InputError(f"{path} has no layer {layer!r}; it has {', '.join(names)}.")
    if layer is not None or len(names) < 2:
        frame = _read(path, layer or (names[0] if names else None))
        if not hasattr(frame, "geometry"):
            raise InputError(f"{path} is a table without places; give polygons as the area of interest.")
        return frame, ""
    for name in names:
        frame = _read(path, name)
        if hasattr(frame, "geometry") and _has_polygons(frame):
            return frame, (
                f"the area of interest is the layer {name!r} of {path}, the first with polygons "
                f"(layers: {', '.join(names)}); {path}:LAYER names another"
            )
    raise InputError(f"{path} holds no polygon to take as the area of interest, in none of its layers.")


def layer_notes(aoi: object) -> tuple[str, ...]:
    """Notes on the layer of an area of interest; empty where there was no choice."""
    note = read_layer(aoi)[1] if isinstance(aoi, str) else ""
    return (f"{note}.",) if note else ()


def _has_polygons(frame: Any) -> bool:
    kinds = frame.geometry.explode(index_parts=False).geom_type
    return bool(kinds.isin(["Polygon", "MultiPolygon"]).any())


def _layer_names(path: str) -> list[str]:
    """Names of the layers that may hold an area of interest."""
    import pyogrio

    refuse_endless_named(path)
    place = as_gdal_path(path)
    try:
        listed = patiently(place, lambda: pyogrio.list_layers(gdal_name(place)), (Exception,))
    except GoneAway as error:
        raise gone_away(f"{path} cannot be opened", error) from error
    except RsdetectError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be opened as polygons: {one_line(error)}.") from error
    return [str(name) for name, _ in listed]


def _read(path: str, layer: str | None) -> Any:
    """One layer as an area of interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_polygons(path, layer=layer)
