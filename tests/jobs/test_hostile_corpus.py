"""Hostile inputs, made by mutation of good ones: each is read, or refused with an error of rsdetect's own.

`make stress` makes ten times as many.
"""

import json
import os
import random
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import rsdetect
from rsdetect.batches.pairs import read_pairs
from rsdetect.errors import RsdetectError
from rsdetect.feeds.table import TableOfScenes
from rsdetect.grid import Grid
from rsdetect.jobs.options import DetectOptions
from rsdetect.monitoring.job_file import EXAMPLE, read_job
from rsdetect.nets.checkpoint import load_weights
from rsdetect.scenes.aoi import read_aoi
from rsdetect.scenes.header import read_header
from support.scenes import TEN_METRES, random_scene, write_scene
from support.trials import trials

EACH = 1000 if os.environ.get("RSDETECT_STRESS") else 100  # mutations per kind
MODEL = Path(rsdetect.__file__).parent / "models" / "siamese.safetensors"
ODD = [
    *(
        "",
        "null",
        "-1",
        "1e999",
        "NaN",
        ".inf",
        "2024-02-30",
        "0x_",
        "9" * 5000,
        "\0",
        "\ud800",
        "../..",
        "[" * 500,
    ),
    *(
        "{}",
        "[]",
        "*a",
        "&a",
        "<<: 1",
        "!!python/object:os.system {}",
        "<script>",
        "'; DROP TABLE scenes; --",
    ),
    *("http://[::1", "/dev/zero", "\u202e", "%s%n", "~", "1" * 400 + ".5", "true", "2024-01-01T99:99Z"),
]


def mutated(text, seed):
    """A good text with a few odd pieces in it, or a few characters less."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text) + 1)
        stop = min(len(text), start + rng.choice([0, 1, 3, 10, 100]))
        text = text[:start] + rng.choice(ODD) + text[stop:]
    return text.encode("utf-8", "surrogatepass")


def read_or_refused(read):
    with suppress(RsdetectError):  # anything else is a defect
        read()


GOOD = {
    "job.yaml": EXAMPLE.read_text(encoding="utf-8"),
    "pairs.csv": "name,before,after,threshold,dates\na,b.tif,a.tif,0.5,\nb,b.tif,a.tif,,\n",
    "scenes.csv": "scene,date,mask,id\n20240101.tif,2024-01-01,,a\n20240102.tif,2024-01-02T10:00Z,m.tif,b\n",
    "aoi.geojson": json.dumps(
        {
            "type": "FeatureCollection",
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}},
            "features": [
                {
                    "type": "Feature",
                    "properties": {},
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [
                            [[5e5, 53e5], [500300, 53e5], [500300, 5299700], [5e5, 5299700], [5e5, 53e5]]
                        ],
                    },
                }
            ],
        }
    ),
    "scene.vrt": (
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32632</SRS>'
        "<GeoTransform>500000, 10, 0, 5300000, 0, -10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>0</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">b.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    ),
}
READ = {
    "job.yaml": read_job,
    "pairs.csv": lambda path: read_pairs(path, DetectOptions()),
    "scenes.csv": lambda path: TableOfScenes(path).list_scenes(),
    "aoi.geojson": lambda path: read_aoi(str(path), Grid("EPSG:32632", TEN_METRES, 40, 50)),
    "scene.vrt": lambda path: read_header(str(path)),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of rasterio's own logging
@pytest.mark.parametrize("name", GOOD)
def test_mutations_of_text_are_read_or_refused(tmp_path, name):
    write_scene(tmp_path / "b.tif", random_scene(1))
    for seed in trials("hostile inputs", name, range(EACH)):
        (tmp_path / name).write_bytes(mutated(GOOD[name], seed))
        read_or_refused(lambda: READ[name](tmp_path / name))


def test_mutations_of_a_card_are_read_or_refused(tmp_path):
    data = MODEL.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + length])
    card = header["__metadata__"]["card"]
    for seed in trials("hostile inputs", "card", range(EACH)):
        header["__metadata__"]["card"] = mutated(card, seed).decode(errors="replace")
        text = json.dumps(header).encode()
        (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
        read_or_refused(lambda: load_weights(tmp_path / "m.safetensors"))


def test_mutations_of_bytes_of_a_scene_are_read_or_refused(tmp_path):
    write_scene(tmp_path / "b.tif", random_scene(1))
    content = (tmp_path / "b.tif").read_bytes()
    for seed in trials("hostile inputs", "scene", range(EACH)):
        rng, broken = random.Random(seed), bytearray(content)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(min(len(broken), 600))] = rng.randrange(256)
        (tmp_path / f"{seed}.tif").write_bytes(broken)
        read_or_refused(partial(read_header, str(tmp_path / f"{seed}.tif")))
