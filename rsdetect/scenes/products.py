"""Sentinel-2 (`.SAFE`) and Landsat Collection 2 products, as a folder or archive, as scenes of band files.

Sentinel-2 names of files: https://sentiwiki.copernicus.eu/web/s2-products, the compact ones and those before
December 2016. Landsat: https://www.usgs.gov/landsat-missions/landsat-collection-2.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.reading import refuse_endless
from rsdetect.scenes.band_files import BandFiles, Known
from rsdetect.scenes.band_names import band_name, place_in_order
from rsdetect.scenes.quality import LANDSAT_QA, SENTINEL2_SCL, MaskMeaning
from rsdetect.scenes.radiometry import landsat_linear, sentinel2_linear
from rsdetect.scenes.stacking import stack_files

_S2_METADATA = re.compile(
    r"(?:.*/)?(?:MTD_MSIL(?:1C|2A|2Ap)|S2[A-D]_(?:OPER|USER)_MTD_SAFL(?:1C|2A)[^/]*)\.xml"
)
_S2_BAND = re.compile(r"(.*/)?GRANULE/([^/]+)/IMG_DATA/(?:[^/]+/)?[^/]*_B(?:\d\d|8A)(?:_(\d\d)m)?\.jp2")
_S2_CLASSES = re.compile(r"(?:.*/)?GRANULE/[^/]+/IMG_DATA/(?:[^/]+/)?[^/]*_SCL(?:_[^/]*)?_20m\.jp2")
_S2_DATES = re.compile(r"<(?:PRODUCT_START_TIME|DATATAKE_SENSING_START)>\s*(\d{4}-\d\d-\d\d)")
_LANDSAT_METADATA = re.compile(r"(?:.*/)?L[COTEM]0\d_[^/]*_MTL\.(?:txt|xml|json)", re.IGNORECASE)
# Reflectance at 30 m: neither the panchromatic band of OLI and ETM+ (8) nor the thermal ones.
_LANDSAT_BAND = re.compile(
    r"(?:.*/)?(?:L[CO]0[89]_[^/]*_(?:SR_)?B[1-79]|L[ET]0[457]_[^/]*_(?:SR_)?B[1-57]|LM0\d_[^/]*_B[1-7])\.TIF",
    re.IGNORECASE,
)
_LANDSAT_MASK = re.compile(r"(?:.*/)?L[^/]*_QA_PIXEL\.TIF", re.IGNORECASE)
_LANDSAT_C1_MASK = re.compile(r"(?:.*/)?L[^/]*_BQA\.TIF", re.IGNORECASE)
# Collection 1, BQA: fill, cloud; at least medium confidence of cloud shadow, snow and cirrus.
_LANDSAT_C1_QA = MaskMeaning(bits=(0, 4, 8, 10, 12))
_LANDSAT_DATE = re.compile(r"DATE_ACQUIRED\W+(\d{4}-\d\d-\d\d)")
_BY_HAND = "give its bands by name instead, as in {'red': FILE, 'nir': FILE}"


@dataclass(frozen=True)
class _Holding:
    """Files of a product's folder or archive."""

    path: Path
    names: tuple[str, ...]  # with / between folders

    def text(self, name: str) -> str:
        """Content of a small file of a product."""
        if self.path.is_dir():
            refuse_endless(self.path / name)
            return (self.path / name).read_text(encoding="utf-8", errors="replace")
        if self.path.suffix.lower() == ".zip":
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name).decode("utf-8", errors="replace")
        with tarfile.open(self.path) as archive:
            member = archive.extractfile(name)
            return "" if member is None else member.read().decode("utf-8", errors="replace")

    def gdal(self, name: str) -> str:
        """Path of a product's file for GDAL."""
        full = self.path.absolute()
        if self.path.is_dir():
            return str(full / name)
        start = "/vsizip/" if self.path.suffix.lower() == ".zip" else "/vsitar/"
        return f"{start}{full.as_posix()}/{name}"

    def matching(self, pattern: re.Pattern[str]) -> list[str]:
        return [name for name in self.names if pattern.fullmatch(name)]


def open_product(path: str) -> BandFiles | None:
    """Open the product in a local folder, `.zip` or `.tar`; None if it is no known product.

    Raises
    ------
    InputError
        The product is incomplete, or has several scenes.
    """
    held = _holding(Path(path))
    if held is None:
        return None
    is_safe = held.path.suffix.upper() == ".SAFE" and held.path.name.upper().startswith("S2")
    if is_safe or held.matching(_S2_METADATA) or held.matching(_S2_BAND):
        return _sentinel2(held)
    if held.matching(_LANDSAT_METADATA) or held.matching(_LANDSAT_BAND):
        return _landsat(held)
    return None


def _holding(path: Path) -> _Holding | None:
    if path.is_dir():
        # A folder may hold anything, and much of it; only what products are made of is listed.
        patterns = ("*.xml", "*_MTL.*", "*.[Tt][Ii][Ff]", "GRANULE/*/IMG_DATA/**/*.jp2", "*.SAFE/*.xml")
        found = {each.relative_to(path).as_posix() for pattern in patterns for each in path.glob(pattern)}
        inner = {
            each.relative_to(path).as_posix() for each in path.glob("*.SAFE/GRANULE/*/IMG_DATA/**/*.jp2")
        }
        return _Holding(path, tuple(sorted(found | inner)))
    if path.suffix.lower() not in (".zip", ".tar") or not path.is_file():
        return None
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return _Holding(path, tuple(sorted(archive.namelist())))
        with tarfile.open(path) as archive:
            return _Holding(path, tuple(sorted(archive.getnames())))
    except (zipfile.BadZipFile, tarfile.TarError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as an archive ({error}); download or copy it again."
        ) from error


def _sentinel2(held: _Holding) -> BandFiles:
    metadata = _metadata(held, _S2_METADATA, "MTD_MSIL1C.xml or MTD_MSIL2A.xml")
    files = [match for name in held.names if (match := _S2_BAND.fullmatch(name))]
    if len({match[2] for match in files}) > 1:
        raise InputError(f"{held.path} holds several tiles (GRANULE); {_BY_HAND} of one of them.")
    # Of the resolutions in which level 2A has a band, the finest.
    files.sort(key=lambda match: (place_in_order(_stem(match[0])), match[3] or ""))
    bands: dict[str, str] = {}
    for match in files:
        bands.setdefault(band_name(_stem(match[0])), held.gdal(match[0]))
    mask = _mask(held, _S2_CLASSES, SENTINEL2_SCL)
    told = held.text(metadata)
    codes = {band_name(f"x_B{code}"): pair for code, pair in sentinel2_linear(told).items()}
    # 0 is no data in all Sentinel-2 products (SPECIAL_VALUE_TEXT NODATA), which their files do not declare.
    return _product(held, bands, Known(date=_date(told, _S2_DATES), nodata=0, mask=mask, linear=codes))


def _landsat(held: _Holding) -> BandFiles:
    metadata = _metadata(held, _LANDSAT_METADATA, "..._MTL.txt")
    bands = {band_name(_stem(name)): held.gdal(name) for name in held.matching(_LANDSAT_BAND)}
    mask = _mask(held, _LANDSAT_MASK, LANDSAT_QA) or _mask(held, _LANDSAT_C1_MASK, _LANDSAT_C1_QA)
    told = held.text(metadata)
    of_number = landsat_linear(told, level_2=any("_SR_" in name.upper() for name in bands.values()))
    linear = {
        name: of_number[number]
        for name, path in bands.items()
        if (number := int(place_in_order(_stem(path))[0])) in of_number
    }
    # 0 is fill in all bands of Collection 2; level 1 does not declare it.
    return _product(held, bands, Known(date=_date(told, _LANDSAT_DATE), nodata=0, mask=mask, linear=linear))


def _metadata(held: _Holding, pattern: re.Pattern[str], usual: str) -> str:
    found = held.matching(pattern)
    if not found:
        raise InputError(
            f"{held.path} has no metadata file ({usual}), so it is not whole; download it again, or "
            f"{_BY_HAND}."
        )
    if len({re.sub(r"(_MTL)?\.[^.]*$", "", name) for name in found}) > 1:
        raise InputError(f"{held.path} holds several products ({found[0]}, {found[1]}); give one of them.")
    return found[0]


def _mask(held: _Holding, pattern: re.Pattern[str], meaning: MaskMeaning) -> tuple[str, MaskMeaning] | None:
    found = held.matching(pattern)
    return (held.gdal(found[0]), meaning) if found else None


def _date(metadata: str, pattern: re.Pattern[str]) -> str | None:
    found = pattern.search(metadata)
    return found[1] if found else None


def _product(held: _Holding, bands: dict[str, str], known: Known) -> BandFiles:
    if not bands:
        raise InputError(f"{held.path} holds no file of a band; download it again, or {_BY_HAND}.")
    note = f"{held.path} has no quality mask: clouds in it are compared like ground (`masks` names a mask)."
    return stack_files(
        bands,
        replace(known, name=str(held.path.absolute()), notes=() if known.mask else (note,)),
    )


def _stem(name: str) -> str:
    return Path(name).stem
