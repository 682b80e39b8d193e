"""What a user of the Python API writes; mypy --strict has nothing to say about it (tests/test_api.py)."""

from __future__ import annotations

from pathlib import Path

import rsdetect


def changed_hectares(before: Path, after: Path, out: Path) -> float:
    """Detect, inspect the result, and polygonize it again with another threshold."""
    try:
        changes = rsdetect.detect(before, after, out=out, min_area=400, detector="cva", quiet=True)
    except rsdetect.JobInterrupted:
        changes = rsdetect.ChangeMap.open(out)
    except rsdetect.InputError as error:
        raise SystemExit(str(error)) from error
    again = rsdetect.vectorize(changes.folder, threshold=0.8)
    probability = again.probability()
    share = float((probability > again.threshold).mean())
    report = rsdetect.check(before, after, align=True, mask_values=[3, 8])
    area = again.record["counts"]["changed_area_m2"]
    left: float = report.before["grid"]["bounds"][0]
    print(again, share, report.warnings, len(again.changes()), len(again.footprint()), left)
    return 0.0 if area is None else area / 1e4


def other_ways(pairs: Path, out: Path) -> list[str]:
    """Many pairs, figures, a watched place, and a model of one's own."""
    area = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    report = rsdetect.batch(pairs, out=out, detector="cva", aoi=area)
    made = rsdetect.simulate(out / "pair", kind="s2", height=256, width=256, seed=3)
    scored = rsdetect.score(made["files"][0], made["files"][1], tile_size=256, bands=["red", 2])
    measured = rsdetect.evaluate(out, detector="cva", shifts_px=[0.5], overwrite=True)
    done = rsdetect.monitor(out / "job.yaml")
    card = rsdetect.train(out, out=out / "mine.safetensors", base="siamese", work=out / "work")
    name = "nobody" if card is None else card.name
    found: str = measured.detector["name"]
    return [
        str(report.exit_status),
        str(scored.shape),
        f"{measured.threshold}",
        str(done.status),
        name,
        found,
    ]
