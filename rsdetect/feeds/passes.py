"""Passes of a satellite: one scene per pass from the tiles a source lists, each in its newest processing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from rasterio.warp import transform_bounds

from rsdetect.errors import RsdetectError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.scenes.handles import GDAL_ERRORS
from rsdetect.scenes.opening import header_of, open_source

# Satellites come back after an orbit of 90 minutes or more; the tiles of a pass are minutes apart at most.
_ONE_PASS = timedelta(minutes=30)
_SAME_GROUND = 0.9  # of the area that two scenes cover together
_SUFFIX = re.compile(r"(?:\.(?:SAFE|zip|tar|tiff?|jp2))+$", re.IGNORECASE)
_BAND_FILE = re.compile(r"[._](?:(?:SR|ST)_)?\{band\}.*")  # of scenes with a file per band
# What names one scene (k) and which processing of it this is (v).
_PRODUCTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<k1>S2[A-D]_MSIL\w\w_\d{8}T\d{6})(?:_N(?P<v1>\d{4}))?(?P<k2>_R\d{3}_T\w{5})(?:_(?P<v2>\d{8}T\d{6}))?",
        r"(?P<k1>S2[A-D]_\d{1,2}[A-Z]{3}_\d{8})_(?P<v1>\d+)(?P<k2>_L\w\w)",
        r"(?P<k1>L\w\d\d_L\w{3}_\d{6}_\d{8})(?:_(?P<v2>\d{8}))?_(?P<v1>\d\d)_(?P<v3>RT|T2|T1)",
        r"(?P<k1>HLS\.\w\d\d\.T\w{5}\.\d{7}T\d{6})\.v(?P<v1>\d+\.\d+)",
        r"(?P<k1>.+?)[._-]v(?P<v1>\d+(?:\.\d+)*)",
    )
)
_SENSOR = re.compile(
    r"(?:.*/)?(S[123][A-D]|L[COTEM]0\d|HLS\.\w\d\d|(?:M[CO]D|MYD|VNP|VJ[12])\d\d\w*|PSScene|SkySat)[._]",
    re.IGNORECASE,
)
_UNREADABLE: tuple[type[Exception], ...] = (RsdetectError, *GDAL_ERRORS)
_Bounds = tuple[float, float, float, float]
_Version = tuple[tuple[tuple[int, str], ...], ...]


def merge_passes(refs: Sequence[SceneRef]) -> list[SceneRef]:
    """Scene references with one entry per pass, by date.

    Of several processings of a scene the newest is used. Scenes of one sensor that were taken within half an
    hour and cover different ground become one scene, a mosaic of its tiles. Scenes of one moment that cover
    the same ground, without a sign of which is newer, have a `problem` and are set aside at ingestion.
    """
    found: list[SceneRef] = []
    groups: dict[str, list[SceneRef]] = defaultdict(list)
    for ref in _newest(refs):
        groups[_sensor(ref)].append(ref)
    for sensor, members in groups.items():
        found += _merge(sensor, sorted(members, key=lambda ref: (ref.taken, ref.id)))
    return sorted(found, key=lambda ref: (ref.taken, ref.id))


def _newest(refs: Sequence[SceneRef]) -> list[SceneRef]:
    """The newest processing of each scene of a pass, which knows the ids of the others."""
    versions: dict[object, list[tuple[_Version, SceneRef]]] = defaultdict(list)
    for ref in refs:
        key, version = _identity(ref)
        versions[key].append(((_numbered(ref.processed), *version), ref))
    kept = []
    for several in versions.values():
        *others, (latest, newest) = sorted(several, key=_processing_order)
        if others:
            ids = tuple(ref.id for _, ref in others)
            same = all(version == latest for version, _ in others)
            what = "the same product as" if same else "the newer processing of"
            note = f"{newest.id} is used, {what} {', '.join(ids)}"
            newest = replace(newest, replaces=(*newest.replaces, *ids), note=note)
        kept.append(newest)
    return kept


def _processing_order(processing: tuple[_Version, SceneRef]) -> tuple[_Version, bool, str]:
    """Sort key of a scene's processings; a folder is read faster than an archive of the same pass."""
    version, ref = processing
    return version, not ref.id.lower().endswith((".zip", ".tar")), ref.id


def _identity(ref: SceneRef) -> tuple[object, _Version]:
    """Key of the scene that a pass observed, equal for its processings, and the version of this one."""
    *folders, file = (_SUFFIX.sub("", _BAND_FILE.sub("", part)) for part in ref.id.split("/"))
    for name in (file, *folders):
        for pattern in _PRODUCTS:
            if match := pattern.fullmatch(name):
                parts = match.groupdict()
                key = (parts["k1"], parts.get("k2"))
                version = tuple(_numbered(parts.get(part) or "") for part in ("v1", "v2", "v3"))
                return (key, ref.taken.date()), version
    if ref.tile and ref.sensor:
        return (ref.sensor, ref.tile, ref.taken), ()
    return ref.id, ()


def _numbered(text: str) -> tuple[tuple[int, str], ...]:
    """Version of a pass as a sort key, in which 10 comes after 9.

    >>> _numbered("1.9") < _numbered("1.10") < _numbered("2"), _numbered("RT") < _numbered("T1")
    (True, True)
    """
    parts: list[str] = re.findall(r"\d+|[^\d.]+", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _sensor(ref: SceneRef) -> str:
    """Sensor and processing level of a pass, by the source or by the id; "" where unknown."""
    level = re.search(r"MSIL\w\w|_L\d[A-Z]{2}_|_L[12][AC]\b", ref.id)
    if ref.sensor:
        return f"{ref.sensor} {level[0].strip('_')}" if level else ref.sensor
    named = _SENSOR.match(ref.id)
    return "" if named is None else f"{named[1].upper()} {level[0].strip('_') if level else ''}".strip()


def _merge(sensor: str, refs: list[SceneRef]) -> list[SceneRef]:
    """Scenes of one sensor, the tiles of a pass merged."""
    passes: list[list[SceneRef]] = []
    for ref in refs:
        near = [tiles for tiles in passes if ref.taken - tiles[0].taken <= _ONE_PASS]
        fitting = next((tiles for tiles in near if not _overlaps_one(ref, tiles)), None)
        if fitting is None:
            passes.append([ref])
        else:
            fitting.append(ref)
    seen: dict[str, int] = defaultdict(int)
    found = []
    for tiles in passes:
        same = [
            ref.id for other in passes for ref in other if other is not tiles and ref.taken == tiles[0].taken
        ]
        if len(tiles) == 1:
            found.append(replace(tiles[0], problem=_problem(tiles[0], same)) if same else tiles[0])
            continue
        day = tiles[0].day
        seen[day] += 1
        number = f" {seen[day]}" if seen[day] > 1 else ""
        found.append(_mosaic(f"{sensor or 'mosaic'} {day}{number}", tiles))
    return found


def _problem(ref: SceneRef, others: list[str]) -> str:
    return (
        f"{' and '.join(sorted([ref.id, *others]))} have one acquisition time and cover the same ground, "
        "so that their order is unknown; name one of them under scenes.exclude"
    )


def _mosaic(name: str, tiles: list[SceneRef]) -> SceneRef:
    """One scene for the tiles of a pass; the newest processing is read first."""
    ordered = sorted(tiles, key=lambda ref: (ref.processed, ref.id), reverse=True)
    notes = [ref.note for ref in ordered if ref.note]
    return SceneRef(
        id=name,
        taken=min(ref.taken for ref in tiles),
        files=tuple(path for ref in ordered for path in ref.files),
        band_names=ordered[0].band_names,
        source=ordered[0].source,
        sensor=ordered[0].sensor,
        tiles=tuple(ordered),
        replaces=tuple(each for ref in ordered for each in (ref.id, *ref.replaces)),
        note="; ".join(notes),
    )


def _overlaps_one(ref: SceneRef, tiles: Sequence[SceneRef]) -> bool:
    """True if a tile of the pass covers the ground of `ref`, as far as is known."""
    own = _bounds(ref)
    for tile in tiles:
        names = _tile(ref), _tile(tile)
        if all(names):
            if names[0] == names[1]:
                return True
            continue
        other = _bounds(tile)
        if own is None or other is None or _common_share(own, other) >= _SAME_GROUND:
            return True
    return False


def _tile(ref: SceneRef) -> str:
    """Tile of a pass, or path and row, by the source or by the id; "" where unknown."""
    named = re.search(r"_T(\d\d[A-Z]{3})(?:[_.]|$)|^L\w\d\d_L\w{3}_(\d{6})_", ref.id)
    return ref.tile or ("" if named is None else named[1] or named[2])


def _common_share(one: _Bounds, other: _Bounds) -> float:
    turns = (-360.0, 0.0, 360.0)  # to the other side of 180 degrees
    wide = max(min(one[2], other[2] + turn) - max(one[0], other[0] + turn) for turn in turns)
    high = min(one[3], other[3]) - max(one[1], other[1])
    common = max(wide, 0.0) * max(high, 0.0)
    whole = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - common
    return common / whole if whole else 0.0


def _bounds(ref: SceneRef) -> _Bounds | None:
    """Bounds of a tile of a pass in degrees, or in pixels without a CRS; None where it cannot be opened."""
    if ref.bounds is not None:
        return ref.bounds
    try:
        grid = header_of(open_source(ref.files[0])).grid
        if grid.crs is None:
            return grid.bounds
        left, bottom, right, top = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)
        right += 360 * (right < left)
    except _UNREADABLE:
        return None
    return left, bottom, right, top
