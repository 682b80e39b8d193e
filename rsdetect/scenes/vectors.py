"""Polygons of a vector file, here or on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rsdetect.errors import InputError, RsdetectError
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.failing_servers import GoneAway
from rsdetect.scenes.handles import gone_away, one_line
from rsdetect.scenes.named_files import refuse_endless_named
from rsdetect.scenes.remote import gdal_name, patiently

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def read_polygons(path: str, what: str = "polygons", **options: Any) -> GeoDataFrame:
    """A layer of a vector file, the first one where `options` of `geopandas.read_file` name none.

    Raises
    ------
    InputError
        It is no vector file, or not there.
    SourceUnavailable
        It lies on another machine, which does not answer.
    """
    import geopandas  # half a second that a job without an area of interest need not wait

    refuse_endless_named(path)
    # By GDAL's own name: geopandas would download an address itself, and wait for ever.
    place = as_gdal_path(path)
    try:
        return patiently(place, lambda: geopandas.read_file(gdal_name(place), **options), (Exception,))
    except GoneAway as error:
        raise gone_away(f"{path} cannot be opened", error) from error
    except RsdetectError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be opened as {what}: {one_line(error)}.") from error
