"""Change map: results of `detect`, for programs and notebooks."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from affine import Affine

from rsdetect.amounts import count_text, size_text
from rsdetect.arraytypes import Float32Array
from rsdetect.errors import InputError
from rsdetect.extras import missing_extra
from rsdetect.grid import Grid
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import Record
from rsdetect.jobs.vectorize import read_run
from rsdetect.percent import from_percent
from rsdetect.scoring.lazy import lazy_raster
from rsdetect.scoring.raster import ProbabilityRaster

if TYPE_CHECKING:
    from folium import Map
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes
    from xarray import DataArray

_EXTRA = "notebook"
_PLOT_PX = 1200  # edge of the plotted image; more than a screen shows


@dataclass(frozen=True, repr=False)
class ChangeMap:
    """Change map: the results of a finished job, three files in a folder."""

    raster: Path  # change_probability.tif
    polygons: Path  # changes.gpkg
    threshold: float  # change probability at or above which a pixel is changed
    record: Record  # the content of run.json

    @classmethod
    def open(cls, folder: str | Path) -> ChangeMap:
        """Open the change map that `detect` wrote into `folder`.

        Raises
        ------
        InputError
            The folder has no finished run.
        """
        folder = Path(folder)
        record = cast(Record, read_run(folder))
        return cls(folder / Outputs.RASTER, folder / Outputs.POLYGONS, record["threshold"], record)

    @classmethod
    def of_same_job(
        cls, folder: Path, fingerprint: str, polygons: dict[str, object], added: Mapping[str, object]
    ) -> ChangeMap | None:
        """The results in `folder`, if a job of this fingerprint drew them with these options of polygons.

        None = there are no results. `polygons` are keys of the record and their values; `added`, options of
        the run that add to the results, and theirs.

        Raises
        ------
        InputError
            The results are those of another job.
        """
        if not (folder / Outputs.RECORD).exists():
            return None
        found = cls.open(folder)
        record = {**found.record}
        run = found.record["options"].get("run", {})
        if record | polygons | {"fingerprint": fingerprint} != record or {**run, **added} != run:
            raise Outputs.refusal(folder)
        return found

    @property
    def folder(self) -> Path:
        """Folder of the change map's files."""
        return self.raster.parent

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the change map's job, of the check and of the result; before 0.5.0 of the check."""
        return tuple(self.record.get("warnings", self.record["check"]["warnings"]))

    def changes(self) -> GeoDataFrame:
        """Changed regions of the map, one polygon each, with the columns of the layer `changes`."""
        return self._layer("changes")

    def footprint(self) -> GeoDataFrame:
        """Footprint of the map: where both dates were observed and scored."""
        return self._layer("footprint")

    def probability(self) -> DataArray:
        """Probability raster of the map as a lazy DataArray (y, x), float32 in [0, 1], NaN = not observed."""
        return lazy_raster(ProbabilityRaster(self.raster))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the change map with matplotlib: probability and outlines of the changes.

        Parameters
        ----------
        ax
            Axes of the plot; None = new axes.

        Raises
        ------
        InputError
            matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot
            from matplotlib.transforms import Affine2D
        except ImportError:
            raise missing_extra(_EXTRA, "ChangeMap.plot") from None
        axes = pyplot.subplots()[1] if ax is None else ax
        grid = ProbabilityRaster(self.raster).grid
        values, t = _overview(self.raster, grid)
        to_ground = Affine2D(np.array([[t.a, t.b, t.c], [t.d, t.e, t.f], [0, 0, 1]]))
        height, width = values.shape
        picture = axes.imshow(
            values, extent=(0, width, height, 0), vmin=0, vmax=1, transform=to_ground + axes.transData
        )
        left, bottom, right, top = grid.bounds
        changes = self.changes()
        if len(changes):
            changes.boundary.plot(ax=axes, color="red", linewidth=0.8)
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.figure.colorbar(picture, ax=axes, label="change probability")
        return axes

    def explore(self) -> Map:
        """Show the footprint and the changes on an interactive map, by folium.

        Raises
        ------
        InputError
            folium is not installed, or the scenes have no CRS.
        """
        footprint = self.footprint()
        if ProbabilityRaster(self.raster).grid.crs is None:
            raise InputError("scenes without a CRS lie on no map; ChangeMap.plot() draws them.")
        try:
            drawn = footprint.explore(style_kwds={"color": "grey", "fill": False}, name="footprint")
            changes = self.changes()
            return changes.explore(m=drawn, color="red", name="changes") if len(changes) else drawn
        except ImportError:
            raise missing_extra(_EXTRA, "ChangeMap.explore") from None

    def __repr__(self) -> str:
        return f"ChangeMap({str(self.folder)!r}: {', '.join(value for _, value in self._facts())})"

    def _repr_html_(self) -> str:
        rows = [*self._facts(), ("raster", self.raster), ("polygons", self.polygons)]
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows)
        return f"<table><caption>{html.escape(repr(self))}</caption>{cells}</table>"

    def _facts(self) -> list[tuple[str, str]]:
        counts = self.record["counts"]
        return [
            ("regions", count_text(counts["regions"], "region")),
            ("changed", size_text(counts["changed_area_m2"], counts["changed_pixels"])),
            ("threshold", f"threshold {self.threshold:g}"),
            ("detector", str(self.record["detector"]["name"])),
        ]

    def _layer(self, name: str) -> GeoDataFrame:
        import geopandas

        return geopandas.read_file(self.polygons, layer=name)


def _overview(path: Path, grid: Grid) -> tuple[Float32Array, Affine]:
    """Overview of the change map's raster, at most `_PLOT_PX` wide and high, and its extent."""
    import rasterio

    with rasterio.open(path) as dataset:
        scale = max(1.0, max(dataset.shape) / _PLOT_PX)
        height, width = (max(1, round(edge / scale)) for edge in dataset.shape)
        percent = dataset.read(1, out_shape=(height, width))
        shrunk = Affine.scale(dataset.width / width, dataset.height / height)
        return from_percent(percent), grid.transform @ shrunk
