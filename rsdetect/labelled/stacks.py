"""Scenes that are kept as a file a band, as one file: a VRT in a temporary folder."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from rsdetect.errors import InputError
from rsdetect.labelled.files import files_in
from rsdetect.scenes.handles import open_raster
from rsdetect.scenes.scene import Header, read_header

_SENTINEL_2 = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir", "b11": "swir1", "b12": "swir2"}
_BAND = re.compile(r"(?:^|[_-])(b\d{1,2}a?)$", re.IGNORECASE)
_VRT_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def band_files(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Band name -> file, in order; names of Sentinel-2 bands as rsdetect calls them.

    >>> _name("S2A_OPER_T40RBN_B8A"), _name("B02"), _name("B2"), _name("red")
    ('b8a', 'blue', 'blue', 'red')
    """
    found: dict[str, Path] = {}
    for path in sorted(files_in(folder, suffixes), key=lambda path: _place_in_order(path.stem)):
        name = _name(path.stem)
        if name in found:
            raise InputError(f"{found[name]} and {path} are the same band, {name}.")
        found[name] = path
    if not found:
        raise InputError(f"{folder} holds no band.")
    return found


def stack_bands(folder: Path, suffixes: frozenset[str]) -> str:
    """Path of a raster with all bands of `folder`, on the grid of the finest.

    All files cover the same ground; coarser ones are resampled bilinearly. The raster lives as long as this
    process.
    """
    headers = {name: read_header(str(path)) for name, path in band_files(folder, suffixes).items()}
    finest = max(headers.values(), key=lambda header: header.grid.height * header.grid.width)
    bands = "".join(
        _band(number, name, header, finest) for number, (name, header) in enumerate(headers.items(), 1)
    )
    grid = finest.grid
    place = ""
    if finest.georeferenced:
        numbers = ",".join(repr(float(number)) for number in grid.transform.to_gdal())
        place = f"<SRS>{escape(grid.crs or '')}</SRS><GeoTransform>{numbers}</GeoTransform>"
    text = (
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">{place}'
        f"{_tags(finest.path)}{bands}</VRTDataset>"
    )
    path = Path(tempfile.mkdtemp(prefix=f"{folder.parent.name}-", dir=_scratch())) / f"{folder.name}.vrt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def _band(number: int, name: str, header: Header, finest: Header) -> str:
    with open_raster(header.path) as dataset:
        if dataset.count != 1:
            raise InputError(f"{header.path} holds {dataset.count} bands, in a folder with a file a band.")
    nodata = "" if header.nodata is None else f"<NoDataValue>{header.nodata!r}</NoDataValue>"
    source = "" if header.nodata is None else f"<NODATA>{header.nodata!r}</NODATA>"
    return (
        f'<VRTRasterBand dataType="{_VRT_TYPES[header.dtypes[0]]}" band="{number}">'
        f"<Description>{escape(name)}</Description>{nodata}"
        '<ComplexSource resampling="bilinear">'
        f'<SourceFilename relativeToVRT="0">{escape(str(Path(header.path).absolute()))}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{header.grid.width}" '
        f'ySize="{header.grid.height}"/><DstRect xOff="0" yOff="0" xSize="{finest.grid.width}" '
        f'ySize="{finest.grid.height}"/>{source}</ComplexSource></VRTRasterBand>'
    )


def _tags(path: str) -> str:
    """The finest band's tags, which may tell the date."""
    with open_raster(path) as dataset:
        items = "".join(
            f'<MDI key="{escape(key)}">{escape(value)}</MDI>' for key, value in dataset.tags().items()
        )
    return f"<Metadata>{items}</Metadata>"


def _name(stem: str) -> str:
    found = _BAND.search(stem)
    if not found:
        return stem.lower()
    code = found[1].lower()
    code = f"b0{code[1:]}" if re.fullmatch(r"b\d", code) else code
    return _SENTINEL_2.get(code, code)


def _place_in_order(stem: str) -> tuple[float, str]:
    """By band number, 8A after 8."""
    found = _BAND.search(stem)
    if not found:
        return 0, stem
    digits = re.sub(r"\D", "", found[1])
    return int(digits) + (0.5 if found[1][-1] in "aA" else 0), stem


@functools.cache
def _scratch() -> str:
    folder, owner = tempfile.mkdtemp(prefix="rsdetect-bands-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child leaves its parent's files alone
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
