"""Time a raster of change probability to a GeoPackage of polygons, beside GDAL and rasterio with GeoPandas.

    python benchmarks/polygons.py                        # 10 980 x 10 980, all cases, five repeats
    python benchmarks/polygons.py --edge 4000 --cases specks --json polygons.json

Every ratio compares medians from one run, in which all programs take turns. The peers have less work: they
get a mask of 0 and 1 instead of the percent that rsdetect reads and compares with its threshold, and compute
no attributes. The output of rsdetect has area, perimeter, pixels, mean and largest
probability, both layers (changes and footprint), the spatial index and the styles.

"Cold" is a whole new process, from its start to its end, imports included: the command `rsdetect vectorize`
beside the command `gdal_polygonize -mask`. "Warm" is one call inside a process that has done the same before:
`write_polygons` beside `gdal.Polygonize` with the same arguments, from opening the raster to the closed
GeoPackage. Files are in the system's cache for all of them. Peak memory is that of the cold process. The
polygons count as the same when all normalised geometries are equal, corner by corner.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.shutil import copy as copy_raster
from scipy import ndimage

from rsdetect.jobs.outputs import Outputs

PIXEL_AREA_M2 = 100.0
THRESHOLD = 50  # percent
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that has GDAL's own bindings
OURS, GDAL, SHAPES = "rsdetect", "gdal_polygonize", "rasterio + GeoPandas"


@dataclass(frozen=True)
class Case:
    """A raster, and what is asked of it."""

    regions: int  # larger ones, together 2 % of a whole Sentinel-2 tile
    region_pixels: int  # about so many each
    specks: int  # of one to four pixels
    min_area: float  # m2


CASES = {
    "2000": Case(2_000, 1_200, 0, 0.0),
    "34000": Case(34_000, 70, 0, 0.0),
    "specks": Case(2_000, 1_200, 30_000, 0.0),
    "specks-min-area": Case(2_000, 1_200, 30_000, 10 * PIXEL_AREA_M2),
}


def main() -> None:
    """Make the rasters, take turns, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edge", type=int, default=10_980, help="edge of the raster in pixels")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--without-geopandas", action="store_true", help="only gdal_polygonize as peer")
    parser.add_argument("--keep", type=Path, help="folder for the rasters, used again if they are there")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        _serve(WORKERS[args.worker])
        return
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        figures = {
            name: _measure(CASES[name], args, (args.keep or Path(scratch)) / f"{name}-{args.edge}")
            for name in args.cases
        }
    _print_table(figures)
    if args.json:
        args.json.write_text(json.dumps({"edge": args.edge, "cases": figures}, indent=2) + "\n")


def _measure(case: Case, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if not (folder / "mask.tif").exists():
        _apart(_make, case, args.edge, folder)
    peers = [GDAL] if args.without_geopandas else [GDAL, SHAPES]
    commands = {name: _cold_command(name, folder) for name in (OURS, *peers)}
    cold: dict[str, list[float]] = {name: [] for name in commands}
    warm: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    with ExitStack() as stack:
        call = {name: stack.enter_context(_worker(name, folder)) for name in commands}
        for repeat in range(args.repeats + 1):
            for name, command in commands.items():
                taken, mib = _run_cold(command, folder)
                again = call[name]()
                if repeat:  # the first round fills caches
                    cold[name].append(taken)
                    memory[name].append(mib)
                    warm[name].append(again)
    figures: dict[str, Any] = {
        name: {
            "cold_s": round(statistics.median(cold[name]), 3),
            "warm_s": round(statistics.median(warm[name]), 3),
            "peak_mib": round(statistics.median(memory[name])),
        }
        for name in commands
    }
    ours = figures[OURS]
    for name in peers:
        figures[name] |= {
            "cold_over_ours_cold": round(figures[name]["cold_s"] / ours["cold_s"], 2),
            "cold_over_ours_warm": round(figures[name]["cold_s"] / ours["warm_s"], 2),
            "warm_over_ours_warm": round(figures[name]["warm_s"] / ours["warm_s"], 2),
        }
    return figures | _apart(_compare, folder, list(commands), case.min_area)


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own: what this one holds would be counted as memory of those that it starts."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _compare(folder: Path, names: list[str], min_area: float) -> dict[str, Any]:
    polygons = {name: _polygons(folder / f"{name}.gpkg", min_area) for name in names}
    return {
        "polygons": len(polygons[OURS]),
        "corners": int(shapely.get_num_coordinates(shapely.from_wkb(polygons[OURS])).sum()),
        "same_polygons": all(found == polygons[OURS] for found in polygons.values()),
    }


def _polygons(path: Path, min_area: float) -> list[bytes]:
    """The normalised polygons of a GeoPackage as sorted WKB; the peers leave out small ones only here."""
    layer = pyogrio.list_layers(path)[0][0]
    geometry = shapely.normalize(shapely.from_wkb(pyogrio.raw.read(path, layer=layer, columns=[])[2]))
    geometry = geometry[shapely.area(geometry) >= min_area]
    return sorted(shapely.to_wkb(geometry))


# -- rasters -----------------------------------------------------------------------------------------------


def _make(case: Case, edge: int, folder: Path) -> None:
    """A finished run whose raster has the regions of `case` (fewer on a smaller edge), and a mask of them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    share = (edge / 10_980) ** 2
    inside = _regions(rng, edge, round(case.regions * share), case.region_pixels)
    _add_specks(rng, inside, round(case.specks * share))
    percent = _background(rng, edge)
    percent[inside] = rng.integers(THRESHOLD, 101, np.count_nonzero(inside))
    _write(folder / Outputs.RASTER, percent, 255)
    _write(folder / "mask.tif", inside.astype(np.uint8), None)
    (folder / Outputs.RECORD).write_text(json.dumps(_record(case.min_area)))


def _regions(rng: np.random.Generator, edge: int, count: int, pixels: int) -> np.ndarray:
    """Ragged blobs, one at a random place in each of `count` cells of a grid."""
    inside = np.zeros((edge, edge), np.bool_)
    cells = int(np.ceil(count**0.5))
    size = 2 * int(np.ceil(pixels**0.5))
    stamps = [_blob(rng, size, pixels) for _ in range(50)]
    for cell in rng.permutation(cells * cells)[:count]:
        row, col = (
            int((index + rng.random()) * (edge - size * cells) / cells) + index * size
            for index in divmod(int(cell), cells)
        )
        inside[row : row + size, col : col + size] |= stamps[rng.integers(len(stamps))]
    return inside


def _blob(rng: np.random.Generator, size: int, pixels: int) -> np.ndarray:
    """The one connected piece of a smooth random surface, higher in the middle, that has `pixels` at most."""
    away = np.hypot(*(np.indices((size, size)) - (size - 1) / 2)) / size
    surface = ndimage.gaussian_filter(rng.normal(size=(size, size)), 1.5) - 1.5 * away
    label, _ = ndimage.label(surface >= np.sort(surface, axis=None)[-pixels])
    return label == np.argmax(np.bincount(label.ravel())[1:]) + 1


def _add_specks(rng: np.random.Generator, inside: np.ndarray, count: int) -> None:
    row, col = rng.integers(0, inside.shape[0] - 2, (2, count))
    inside[row, col] = True
    inside[row[::3] + 1, col[::3]] = True
    inside[row[::4], col[::4] + 1] = True


def _background(rng: np.random.Generator, edge: int) -> np.ndarray:
    """Low probabilities that vary slowly with a little noise, as a detector leaves them."""
    coarse = rng.gamma(0.6, 8, (edge // 32 + 2,) * 2).clip(0, THRESHOLD - 5)
    slow = ndimage.zoom(coarse.astype(np.float32), 32, order=1)[:edge, :edge]
    slow += rng.normal(0, 0.3, slow.shape).astype(np.float32)
    return np.rint(slow.clip(0, THRESHOLD - 1)).astype(np.uint8)


def _write(path: Path, values: np.ndarray, nodata: int | None) -> None:
    """As `detect` writes its raster."""
    plain = path.with_name("plain.tif")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "tiled": True, "crs": "EPSG:32633"}
    shape = {
        "height": values.shape[0],
        "width": values.shape[1],
        "transform": Affine(10, 0, 4e5, 0, -10, 6e6),
    }
    with rasterio.open(plain, "w", **profile, **shape, nodata=nodata) as raster:
        raster.write(values, 1)
    copy_raster(plain, path, driver="COG", COMPRESS="DEFLATE", BLOCKSIZE=512, NUM_THREADS="ALL_CPUS")
    plain.unlink()


def _record(min_area: float) -> dict[str, Any]:
    """What `vectorize` goes by. The scenes are gone: the peers have none to take differences from either."""
    return {
        "rsdetect": "run",
        "inputs": {"before": {"path": "gone.tif"}, "after": {"path": "gone.tif"}},
        "options": {"pair": {}},
        "detector": {"name": "siamese", "threshold": THRESHOLD / 100},
        "threshold": THRESHOLD / 100,
        "level_percent": THRESHOLD,
        "min_area": min_area,
        "simplify": 0.0,
        "check": {"before": {"date": "2020-06-01"}, "after": {"date": "2021-06-30"}},
        "counts": {},
    }


# -- cold --------------------------------------------------------------------------------------------------


def _cold_command(name: str, folder: Path) -> list[str]:
    mask, out = str(folder / "mask.tif"), str(folder / f"{name}.gpkg")
    if name == OURS:
        return [str(Path(sys.executable).with_name("rsdetect")), "vectorize", str(folder)]
    if name == GDAL:
        command = shutil.which("gdal_polygonize") or shutil.which("gdal_polygonize.py")
        if command is None:
            raise SystemExit("gdal_polygonize is not there; on Debian it comes with gdal-bin.")
        return [command, "-q", "-mask", mask, mask, "-f", "GPKG", out, "changes", "DN"]
    return [sys.executable, __file__, "--worker", name]


def _run_cold(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of a whole process, and its peak memory in MiB."""
    if command[-2:] == ["changes", "DN"]:  # gdal_polygonize would add to what is there
        Path(command[-3]).unlink(missing_ok=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stderr is not None
    if "--worker" in command:
        process.stdin.write(f"{folder}\n".encode())
    process.stdin.close()
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with status {process.returncode}: {said}")
    if command[1] == "vectorize":
        shutil.copy(folder / Outputs.POLYGONS, folder / f"{OURS}.gpkg")
    return taken, usage.ru_maxrss / 1024


# -- warm: processes that do the same again and again --------------------------------------------------------

_GDAL_WORKER = """
import sys, time
from pathlib import Path
from osgeo import gdal, ogr
gdal.UseExceptions()
for line in sys.stdin:
    folder = Path(line.strip())
    out = folder / "warm.gpkg"
    out.unlink(missing_ok=True)
    started = time.perf_counter()
    raster = gdal.Open(str(folder / "mask.tif"))
    band = raster.GetRasterBand(1)
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(out))
    layer = made.CreateLayer("changes", raster.GetSpatialRef(), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("DN", ogr.OFTInteger))
    gdal.Polygonize(band, band, layer, 0, [])
    del layer, made, band, raster
    print(time.perf_counter() - started, flush=True)
"""


def _ours(folder: Path) -> None:
    from rsdetect.jobs.options import PolygonOptions
    from rsdetect.jobs.polygons import PolygonRequest, write_polygons
    from rsdetect.scoring.raster import ProbabilityRaster

    record = json.loads((folder / Outputs.RECORD).read_text())
    options = PolygonOptions(threshold=record["threshold"], min_area=record["min_area"])
    grid = ProbabilityRaster(folder / Outputs.RASTER).grid
    asked = PolygonRequest.of(options, record["detector"], (None, None), grid)
    with rasterio.Env(GDAL_CACHEMAX=16 * 2**20):
        write_polygons(folder / Outputs.RASTER, folder / "warm-ours.gpkg", asked, None)


def _shapes(folder: Path) -> None:
    import geopandas
    import rasterio.features
    from shapely.geometry import shape

    with rasterio.open(folder / "mask.tif") as raster:
        values, crs, transform = raster.read(1), raster.crs, raster.transform
    found = rasterio.features.shapes(values, mask=values.astype(np.bool_), transform=transform)
    frame = geopandas.GeoDataFrame(geometry=[shape(each) for each, _ in found], crs=crs)
    frame.to_file(folder / f"{SHAPES}.gpkg", driver="GPKG")


WORKERS: dict[str, Callable[[Path], None]] = {OURS: _ours, SHAPES: _shapes}


def _serve(work: Callable[[Path], None]) -> None:
    for line in sys.stdin:
        started = time.perf_counter()
        work(Path(line.strip()))
        print(time.perf_counter() - started, flush=True)


@contextmanager
def _worker(name: str, folder: Path) -> Iterator[Callable[[], float]]:
    """A process of its own that works once a call; the seconds that it took."""
    command = (
        [SYSTEM_PYTHON, "-c", _GDAL_WORKER] if name == GDAL else [sys.executable, __file__, "--worker", name]
    )
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def work() -> float:
        stdin.write(f"{folder}\n")
        stdin.flush()
        return float(stdout.readline())

    try:
        yield work
    finally:
        stdin.close()
        process.wait()


def _print_table(figures: dict[str, Any]) -> None:
    head = ("", "cold s", "warm s", "peak MiB", "x cold", "x cold/warm", "x warm")
    for case, of_case in figures.items():
        same = "the same" if of_case["same_polygons"] else "NOT the same"
        print(f"\n{case}: {of_case['polygons']} polygons, {of_case['corners']} corners, {same} in all")
        print("{:22}{:>8}{:>8}{:>10}{:>8}{:>13}{:>8}".format(*head))
        for name in (name for name in (OURS, GDAL, SHAPES) if name in of_case):
            one = of_case[name]
            ratios = [
                one.get(f"{key}", "")
                for key in ("cold_over_ours_cold", "cold_over_ours_warm", "warm_over_ours_warm")
            ]
            row = (name, one["cold_s"], one["warm_s"], one["peak_mib"], *ratios)
            print("{:22}{:>8}{:>8}{:>10}{:>8}{:>13}{:>8}".format(*row))


if __name__ == "__main__":
    main()
