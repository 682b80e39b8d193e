"""STAC items (`pystac.Item`) as scenes of band files, without importing pystac."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rsdetect.errors import InputError
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.band_files import BandFiles, Known
from rsdetect.scenes.band_names import common_name
from rsdetect.scenes.mask_classes import classified_meaning
from rsdetect.scenes.quality import MaskMeaning, known_mask
from rsdetect.scenes.radiometry import Linear, linear_of_asset
from rsdetect.scenes.stacking import stack_files

_IMAGES = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")
# Measured values that are no reflectance on the grid of the other bands.
_LEFT_OUT = ("lwir", "pan")


def stack_item(item: Any) -> BandFiles:
    """Stack the bands of a STAC item by their common names, with its date and quality mask.

    A band is an asset with one entry in `eo:bands` or `bands` that has a common name; of several with one
    name (three red edges) the others keep the keys of their assets. Of radar the bands are polarisations, by
    `sar:polarizations` of the asset, or of the item for assets named like them.

    Raises
    ------
    InputError
        No asset is a band.
    """
    found = assets_of_item(item)
    bands: dict[str, str] = {}
    linear: dict[str, Linear] = {}
    nodata = set[float | None]()
    for name, key in found.bands.items():
        asset = item.assets[key]
        bands[name] = _href(asset)
        nodata.add(declared_nodata(asset))
        if told := linear_of_asset(item.properties, str(item.id), asset):
            linear[name] = told
    if not bands:
        raise InputError(
            f"the STAC item {item.id} has no asset with one band and its common name; give its bands by "
            "name: {'red': item.assets['B04'].href, ...}."
        )
    mask = None
    if found.mask is not None and found.meaning is not None:
        mask = as_gdal_path(_href(item.assets[found.mask])), found.meaning
    taken = item.datetime or item.common_metadata.start_datetime
    date = None if taken is None else taken.date().isoformat()
    fill = nodata.pop() if len(nodata) == 1 else None
    return stack_files(bands, Known(name=str(item.id), date=date, nodata=fill, mask=mask, linear=linear))


@dataclass(frozen=True)
class ItemAssets:
    """Assets of a STAC item that are bands, and the one that is its quality mask."""

    bands: dict[str, str]  # key of the asset by the common name of its band, in the order of the item
    mask: str | None  # key of the asset; None without one
    meaning: MaskMeaning | None


def assets_of_item(item: Any) -> ItemAssets:
    """Bands and quality mask among the assets of a STAC item, as `stack_item` describes them."""
    bands: dict[str, str] = {}
    mask: tuple[str | None, MaskMeaning | None] = None, None
    for key, asset in item.assets.items():
        name = _band(asset) or _polarisation(item, key, asset)
        # Classes of a band (of vegetation, say) do not make it a mask.
        meaning = known_mask(key) or (None if name else classified_meaning(asset.extra_fields))
        if meaning is not None and mask[0] is None:
            mask = key, meaning
        if name is None or name.startswith(_LEFT_OUT) or key.lower().endswith("-jp2"):
            continue
        bands[key.lower() if name in bands else name] = key
    if "nir" not in bands and "nir08" in bands:  # Landsat's
        bands = {"nir" if name == "nir08" else name: key for name, key in bands.items()}
    return ItemAssets(bands, *mask)


def _href(asset: Any) -> str:
    return str(asset.get_absolute_href() or asset.href)


def declared_nodata(asset: Any) -> float | None:
    """Declared nodata value of all bands of a STAC asset; None without one.

    By the raster extension (`raster:bands`) or STAC 1.1 (`bands`, or the asset itself).
    """
    told = asset.extra_fields
    listed = told.get("raster:bands") or told.get("bands") or []
    values = {each.get("nodata", told.get("nodata")) for each in listed} or {told.get("nodata")}
    if len(values) != 1 or (value := values.pop()) is None:
        return None
    try:
        return float(value)  # the extension writes NaN and infinity as text
    except (TypeError, ValueError):
        return None


def _band(asset: Any) -> str | None:
    """Common name of a STAC asset with one band; None for others."""
    listed = asset.extra_fields.get("eo:bands") or asset.extra_fields.get("bands") or [asset.extra_fields]
    if len(listed) != 1 or not (asset.media_type or _IMAGES[0]).lower().startswith(_IMAGES):
        return None
    if {"thumbnail", "overview", "visual"} & set(asset.roles or ()):
        return None
    name = listed[0].get("common_name") or listed[0].get("eo:common_name")
    return common_name(name) if isinstance(name, str) else None


def _polarisation(item: Any, key: str, asset: Any) -> str | None:
    """Polarisation of a radar STAC asset in lower case; None for others."""
    own = list(asset.extra_fields.get("sar:polarizations") or [])
    if len(own) == 1:
        return str(own[0]).lower()
    return key.lower() if key.upper() in item.properties.get("sar:polarizations", ()) else None
