"""Command line parameters that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.completion import backend_names, detector_names, normalisation_names

Before = Annotated[
    str | None, typer.Argument(metavar="BEFORE", help="The earlier scene: anything GDAL opens.")
]
After = Annotated[str | None, typer.Argument(metavar="AFTER", help="The later scene, of the same place.")]
BeforeBand = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FILE", help="A band of the earlier scene, once for each, instead of BEFORE."),
]
AfterBand = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FILE", help="A band of the later scene, once for each, instead of AFTER."),
]
Bands = Annotated[
    str | None, typer.Option(help="Bands to compare, by number or name: 3,2,1 or red,green,blue.")
]
Mask = Annotated[
    str | None,
    typer.Option(metavar="FILE[,FILE]", help="Cloud or quality mask, one for both dates or one each."),
]
MaskValues = Annotated[str | None, typer.Option(help="Mask values that hide the ground, e.g. 3,8,9,10.")]
MaskBits = Annotated[str | None, typer.Option(help="Mask bits that hide the ground, 0 = lowest, e.g. 3,4.")]
MaskKindOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND[,KIND]",
        help="Encoding of the mask: auto (by its name, values and bands), plain (all but 0), sentinel2-scl, "
        "landsat-qa, fmask, hls-fmask, udm2, oa-fmask, cloud-probability, maja-clm, "
        "force-qai, s2cloudless, modis-state.",
    ),
]
NodataOption = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE[,VALUE]",
        help="Pixel value that is no data, for both dates or one each; none: all is data; auto: as declared.",
    ),
]
Aoi = Annotated[str | None, typer.Option(metavar="FILE", help="Polygons to which the job is limited.")]
Zones = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Polygons such as parcels: layer zones and zones.csv have the change in each."
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="DISTANCE|REGEX",
        help="Pairs of one place: nearer than 500m, or by a match in their names.",
    ),
]
DetectorName = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME|FILE.py:Class",
        help="best (default), siamese, cva, ... as rsdetect detectors lists them, or one of your own.",
        autocompletion=detector_names,
    ),
]
DetectorOptions = Annotated[
    str | None,
    typer.Option(metavar="NAME=VALUE,...", help="Parameters of the detector: level=kittler,index=ndvi."),
]
Align = Annotated[bool, typer.Option("--align", help="Warp AFTER onto the grid of BEFORE where they differ.")]
Resampling = Annotated[str, typer.Option(help="Resampling for --align: nearest, bilinear, cubic, ...")]
Register = Annotated[
    bool,
    typer.Option("--register", help="Measure how AFTER is displaced, by a shift or a smooth field; undo it."),
]
Normalise = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        help="Values of both dates made comparable: percentile (each date by its own), robust or irmad (by "
        "pixels that did not change), histogram, none.",
        autocompletion=normalisation_names,
    ),
]
Dates = Annotated[str | None, typer.Option(help="Dates of both scenes: 2020-06-01,2021-06-03.")]
Accept = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Go on with a doubt that an error names; once for each."),
]
Backend = Annotated[
    str,
    typer.Option(
        help="Runtime of the network: auto, torch, openvino or onnx (the last two int8).",
        autocompletion=backend_names,
    ),
]
TileSize = Annotated[
    int | None,
    typer.Option(help="Edge of a tile in pixels, does not affect the result; default: by memory."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory of the job, or of a worker of a cluster, like 2GB; default: a share of free memory.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Tiles in flight; default: one per core, or per thread of a cluster."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
NoQgisProject = Annotated[
    bool, typer.Option("--no-qgis-project", help="No changes.qgz, and no project in changes.gpkg.")
]
Kinds = Annotated[
    bool, typer.Option("--kinds", help="Kind of change as a second band of change_probability.tif.")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="No report.html.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Verify checksums or lengths of all blocks of the scenes first.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no warnings.")]
LogFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Append stages, warnings and results to FILE, with time stamps."),
]
Threshold = Annotated[
    str, typer.Option(metavar="P|auto", help="Change probability above 0, up to 1; auto = the detector's.")
]
Stac = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Instead of BEFORE and AFTER: a STAC catalogue (URL or path)."),
]
Collection = Annotated[str | None, typer.Option(metavar="NAME", help="Collection of the catalogue.")]
Scenes = Annotated[
    str | None,
    typer.Option(metavar="PATTERN", help="Instead of BEFORE and AFTER: local scenes, 'DIR/**/*.SAFE'."),
]
BeforePeriod = Annotated[
    str | None, typer.Option(metavar="FROM/TO", help="Days or months of the earlier scenes: 2023-05/2023-09.")
]
AfterPeriod = Annotated[
    str | None, typer.Option(metavar="FROM/TO", help="Days or months of the later scenes: 2024-05/2024-09.")
]
Pick = Annotated[
    str,
    typer.Option(
        help="What is taken of a period: composite (median of the clear observations) or least-cloud (the "
        "scene that shows most of the area)."
    ),
]
MinArea = Annotated[
    str,
    typer.Option(
        metavar="M2|auto",
        help="Leave out smaller regions; in m² (pixels without a CRS); auto = nine pixels, 0 = none.",
    ),
]
Opening = Annotated[
    int, typer.Option(metavar="PX", help="First take off what is narrower than 2 PX + 1 pixels.")
]
FillHoles = Annotated[
    float, typer.Option(metavar="M2", help="Fill smaller holes; in m² (pixels without a CRS).")
]
MinWidth = Annotated[
    float,
    typer.Option(
        metavar="M",
        help="Drop regions that hold no circle of this diameter; in m (pixels without a CRS).",
    ),
]
MergeGap = Annotated[
    float,
    typer.Option(metavar="M", help="Make regions nearer than this one feature; in m (pixels without a CRS)."),
]
ShapeAttributes = Annotated[
    bool,
    typer.Option(
        "--shape-attributes",
        help="Add columns: compactness, length, width, orientation, number of holes.",
    ),
]
Simplify = Annotated[
    float, typer.Option(help="Tolerance of simplified outlines; in m (pixels without a CRS).")
]
