"""Examples of the commands, for their help: two lines each."""

from __future__ import annotations

EXAMPLES = {
    "detect": """
        rsdetect detect 2020.tif 2021.tif --out changes
        rsdetect detect S2A_old.SAFE S2B_new.SAFE --out changes --aoi city.geojson --threshold 0.7
    """,
    "batch": """
        rsdetect batch pairs.csv --out changes
        rsdetect batch pairs.csv --out changes --detector cva --min-area 400 --json
    """,
    "check": """
        rsdetect check 2020.tif 2021.tif
        rsdetect check 2020.tif 2021.tif --align --deep
    """,
    "vectorize": """
        rsdetect vectorize changes --threshold 0.7
        rsdetect vectorize changes --min-area 0 --simplify 10
    """,
    "report": """
        rsdetect report changes
        rsdetect report changes --json
    """,
    "simulate": """
        rsdetect simulate --out pair
        rsdetect simulate --out pair --kind s2 --size 512 --seed 7 --cloud 0
    """,
    "images": """
        rsdetect images images.toml --out prepared
        rsdetect images images.toml --out prepared --json
    """,
    "train": """
        rsdetect train pairs --out mine.safetensors
        rsdetect train pairs --out mine.safetensors --from siamese --minutes 30
    """,
    "evaluate": """
        rsdetect evaluate pairs --out scores
        rsdetect evaluate pairs --out scores --detector cva --shifts none
    """,
    "compare": """
        rsdetect compare 2020.tif 2021.tif --detectors best,cva,sfa --truth changed.gpkg
        rsdetect compare scores_old scores_new
    """,
    "quantise": """
        rsdetect quantise mine.safetensors
        rsdetect quantise mine.safetensors pairs
    """,
    "info": """
        rsdetect info changes
        rsdetect info siamese --json
    """,
    "detectors": """
        rsdetect detectors
        rsdetect detectors --json
    """,
    "check-detector": """
        rsdetect check-detector cva
        rsdetect check-detector mine.py:Brightness --detector-options band=2
    """,
    "monitor init": """
        rsdetect monitor init
        rsdetect monitor init forest.yaml
    """,
    "monitor run": """
        rsdetect monitor run job.yaml
        rsdetect monitor run job.yaml --dry-run
    """,
    "monitor status": """
        rsdetect monitor status job.yaml
        rsdetect monitor status job.yaml --json
    """,
    "monitor prune": """
        rsdetect monitor prune job.yaml --dry-run
        rsdetect monitor prune job.yaml
    """,
    "monitor timeline": """
        rsdetect monitor timeline job.yaml --event 4f2a
        rsdetect monitor timeline job.yaml --at 9.0016,47.8502 --out timelines
    """,
    "monitor serve": """
        rsdetect monitor serve job.yaml --every 6h
        rsdetect monitor serve forest.yaml city.yaml --cron "0 6 * * MON"
    """,
}
