"""STAC scenes: the items of a static catalogue or of an API with search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from rsdetect.errors import InputError
from rsdetect.feeds.scene_refs import SceneListing, SceneRef
from rsdetect.feeds.sections import StacSource
from rsdetect.feeds.stac_client import StacCatalogue, require_stac
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.aoi import Area, area_polygons
from rsdetect.scenes.mask_classes import classified_meaning
from rsdetect.scenes.projecting import in_degrees
from rsdetect.scenes.quality import mask_meaning, settled_kind
from rsdetect.scenes.radiometry import linear_of_asset
from rsdetect.scenes.stac_item import assets_of_item, declared_nodata

_DEGREES = "EPSG:4326"
_USUAL = ("red", "green", "blue", "nir", "swir16", "swir22")
_WEST, _EAST = (-180, -90, 0, 90), (0, -90, 180, 90)


@dataclass(frozen=True)
class StacScenes:
    """STAC scenes of a job: the items that match its section."""

    section: StacSource
    url: str  # URL or path of the catalogue
    aoi: str | Area | None = None  # polygons; items that do not touch them are left out
    bands: tuple[str, ...] = ()  # common names of the bands, where the section names no assets

    def list_scenes(self) -> SceneListing:
        """List the STAC items that match collections, dates, area and cloud cover.

        Raises
        ------
        InputError
            The catalogue or collection does not exist, no item matches, or none has the assets.
        JobInterrupted
            The catalogue does not respond, or the connection was lost.
        """
        require_stac()
        area = None if self.aoi is None else _aoi_in_degrees(self.aoi)
        wanted = self.section
        door = StacCatalogue(self.url)
        found = door.items(wanted.collections, None if area is None else search_boxes(area), self._dates())
        items = [item for item in found if self._is_wanted(item, area)]
        if not items:
            raise InputError(f"{self.url} has no item{self._filter_text()}.")
        taken = [(item, self._assets(item)) for item in items]
        whole = [(item, assets) for item, assets in taken if not assets.missing]
        if not whole:
            item, assets = taken[0]
            what, has = assets.described(item)
            raise InputError(f"no item in {self.url} has the {what}; {item.id} has {has}.")
        clear = [(item, assets) for item, assets in whole if not self._is_too_cloudy(item)]
        left_out = [
            f"{item.id} is left out: it has no {'asset' if wanted.assets else 'band'} "
            f"{', '.join(assets.missing)}."
            for item, assets in taken
            if assets.missing
        ]
        if len(clear) < len(whole):
            left_out.append(
                f"{len(whole) - len(clear)} of {len(whole)} items are left out: their cloud cover exceeds "
                f"max_cloud {wanted.max_cloud:g}."
            )
        return SceneListing(tuple(self._scene(item, assets) for item, assets in clear), tuple(left_out))

    def _dates(self) -> tuple[datetime | None, datetime | None]:
        """First and last moment of the STAC search; None = open."""
        since, until = self.section.since, self.section.until
        return (
            None if since is None else datetime.combine(since, time.min, UTC),
            None if until is None else datetime.combine(until, time.max, UTC),
        )

    def _is_wanted(self, item: Any, area: Any) -> bool:
        """True if a STAC item matches the filters; repeats those of the server, which some ignore."""
        wanted = self.section
        if wanted.collections and item.collection_id not in wanted.collections:
            return False
        taken, (since, until) = _item_datetime(item), self._dates()
        if taken is None or (since and taken < since) or (until and taken > until):
            return False
        if any(item.properties.get(key) != value for key, value in wanted.where.items()):
            return False
        if area is None or item.geometry is None:
            return True
        footprint = in_degrees(np.array([shape(item.geometry)], dtype=object), _DEGREES)
        return bool(shapely.intersects(footprint, area).any())

    def _assets(self, item: Any) -> _WantedAssets:
        """Assets of a STAC item that the scene is read from: those of the section, else by common names."""
        keys, mask = self.section.assets, self.section.mask_asset
        if keys:
            wanted = (*keys, *((mask,) if mask else ()))
            return _WantedAssets(keys, (), mask, wanted, tuple(k for k in wanted if k not in item.assets))
        found = assets_of_item(item)
        if not found.bands and (whole := _asset_of_all_bands(item)):
            return _WantedAssets((whole,), (), mask or found.mask)
        names = self.bands or tuple(name for name in _USUAL if name in found.bands) or tuple(found.bands)
        missing = tuple(name for name in names if name not in found.bands)
        if missing or not names:
            return _WantedAssets((), tuple(found.bands), None, names, missing or ("with a common name",))
        return _WantedAssets(tuple(found.bands[name] for name in names), names, mask or found.mask)

    def _is_too_cloudy(self, item: Any) -> bool:
        """True if a STAC item's cloud cover exceeds the maximum."""
        cover = item.properties.get("eo:cloud_cover")
        most = self.section.max_cloud
        return most is not None and cover is not None and float(cover) > most

    def _scene(self, item: Any, assets: _WantedAssets) -> SceneRef:
        """Scene reference for a STAC item."""
        taken = _item_datetime(item)
        assert taken is not None, item.id
        mask = assets.mask
        kind = settled_kind(self.section.mask_kind, mask or "")
        meaning = mask_meaning(kind, "")
        if mask and self.section.mask_kind == "auto" and kind == "plain":
            meaning = classified_meaning(item.assets[mask].extra_fields) or meaning
        return SceneRef(
            # Two collections may contain a scene at two processing levels under one id.
            id=f"{item.collection_id}/{item.id}" if len(self.section.collections) != 1 else item.id,
            taken=taken,
            files=tuple(_asset_path(item, key) for key in assets.keys),
            band_names=assets.names or _asset_band_names(item, assets.keys),
            mask=_asset_path(item, mask) if mask else None,
            mask_values=meaning.values,
            mask_bits=meaning.bits,
            mask_fields=meaning.fields if kind == "plain" else (),
            mask_kind=kind,
            nodata=_asset_nodata(item, assets.keys),
            source=str(item.get_self_href() or f"{self.url}#{item.id}"),
            linear=tuple(
                linear_of_asset(item.properties, str(item.id), item.assets[key]) for key in assets.keys
            ),
            sensor=_item_sensor(item),
            tile=_item_tile(item),
            processed=_item_processed(item),
            bounds=_item_bounds(item),
        )

    def _filter_text(self) -> str:
        """Filters of the STAC section as text for messages."""
        wanted = self.section
        parts = [f" of {', '.join(wanted.collections)}"] if wanted.collections else []
        parts += [f" in {self.aoi}"] if self.aoi is not None else []
        parts += [f" since {wanted.since}"] if wanted.since else []
        parts += [f" until {wanted.until}"] if wanted.until else []
        parts += [f" with {key} {value}" for key, value in wanted.where.items()]
        return "".join(parts)


@dataclass(frozen=True)
class _WantedAssets:
    """Assets of a STAC item that a scene is read from, or those that it lacks."""

    keys: tuple[str, ...]
    names: tuple[str, ...]  # of the bands; () = as the assets name them. Of a lacking item, those it has
    mask: str | None
    wanted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def described(self, item: Any) -> tuple[str, str]:
        """What a STAC item should have, and what it has, as text."""
        if self.keys:
            return f"assets {', '.join(self.wanted)}", ", ".join(sorted(item.assets))
        if self.wanted:
            return f"bands {', '.join(self.wanted)}", ", ".join(self.names)
        return "common name of a band", f"the assets {', '.join(sorted(item.assets))}"


def _asset_of_all_bands(item: Any) -> str | None:
    """Key of the STAC asset with all bands in one file, each with a common name; None without one."""
    described = ((key, _asset_common_names(asset)) for key, asset in item.assets.items())
    return next((key for key, names in described if len(names) > 1 and all(names)), None)


def _item_datetime(item: Any) -> datetime | None:
    """Acquisition time of a STAC item; the start if it spans a period."""
    found: datetime | None = item.datetime or item.common_metadata.start_datetime
    if found is None:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _item_sensor(item: Any) -> str:
    """Platform of a STAC item, else its constellation or collection."""
    told = item.properties
    return str(told.get("platform") or told.get("constellation") or item.collection_id or "")


def _item_bounds(item: Any) -> tuple[float, float, float, float] | None:
    """West, south, east and north of a STAC item in degrees; None where unknown."""
    if not item.bbox or len(item.bbox) not in (4, 6):
        return None
    half = len(item.bbox) // 2  # with heights there are six
    west, south, east, north = (float(item.bbox[i]) for i in (0, 1, half, half + 1))
    return west, south, east + 360 * (east < west), north  # across 180 degrees east is less than west


def _item_tile(item: Any) -> str:
    """Name of a STAC item's tile, or its path and row; "" where unknown."""
    told = item.properties
    grid = told.get("grid:code") or told.get("s2:mgrs_tile")
    if grid:
        return str(grid)
    if told.get("mgrs:grid_square"):
        return "".join(
            str(told.get(f"mgrs:{key}", "")) for key in ("utm_zone", "latitude_band", "grid_square")
        )
    path, row = told.get("landsat:wrs_path"), told.get("landsat:wrs_row")
    return f"{path}/{row}" if path and row else ""


def _item_processed(item: Any) -> str:
    """Processing of a STAC item as text that sorts by age: baseline, then the time of processing."""
    told = item.properties
    baseline = told.get("s2:processing_baseline") or told.get("processing:version") or ""
    made = (told.get(key) for key in ("s2:generation_time", "processing:datetime", "updated", "created"))
    return f"{baseline} {next((str(time) for time in made if time), '')}".strip()


def _asset_nodata(item: Any, keys: Sequence[str]) -> float | None:
    """Nodata value common to all of these STAC assets; None where they differ."""
    values = {declared_nodata(item.assets[key]) for key in keys}
    return values.pop() if len(values) == 1 else None


def _asset_path(item: Any, key: str) -> str:
    """GDAL path of a STAC asset."""
    return as_gdal_path(str(item.assets[key].get_absolute_href() or item.assets[key].href))


def _asset_band_names(item: Any, keys: Sequence[str]) -> tuple[str, ...]:
    """Common names of the STAC assets' bands, else the assets' keys; () for one file with several bands."""
    described = [_asset_common_names(item.assets[key]) for key in keys]
    if len(keys) == 1 and len(described[0]) != 1:
        return tuple(described[0]) if all(described[0]) else ()
    for key, bands in zip(keys, described, strict=True):
        if len(bands) > 1:
            raise InputError(
                f"the asset {key!r} of {item.id} has {len(bands)} bands; give it alone, or use "
                "assets with one band."
            )
    return tuple(
        (bands[0] if bands and bands[0] else key).lower() for key, bands in zip(keys, described, strict=True)
    )


def _asset_common_names(asset: Any) -> list[str]:
    """Common name per band of a STAC asset, "" without one; by STAC 1.1 or the eo extension."""
    described: Iterable[dict[str, Any]] = (
        asset.extra_fields.get("bands") or asset.extra_fields.get("eo:bands") or ()
    )
    return [str(band.get("eo:common_name") or band.get("common_name") or "").lower() for band in described]


def search_boxes(area: shapely.Geometry) -> list[tuple[float, float, float, float]]:
    """Boxes of a STAC search, west, south, east and north; two for an area on both sides of 180 degrees."""
    west, _, east, _ = area.bounds
    if west > -180 or east < 180:
        return [area.bounds]
    halves = (shapely.intersection(area, shapely.box(*half)) for half in (_WEST, _EAST))
    return [half.bounds for half in halves if not half.is_empty]


def _aoi_in_degrees(aoi: str | Area) -> shapely.Geometry:
    """Read the area of interest for a STAC search, in longitude and latitude, cut at 180 degrees."""
    polygons, crs = area_polygons(aoi)
    if crs is None:
        raise InputError(f"{aoi} has no CRS, but a catalogue is searched in longitude and latitude.")
    return shapely.union_all(in_degrees(polygons, crs))
