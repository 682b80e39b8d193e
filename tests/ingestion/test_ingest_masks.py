"""Masks of ingested scenes: how often one is read to know its kind, and what describes that of a product."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.ingestion.ingest import ingest_scene
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import choose_site
from rsdetect.scenes import masks
from support.products import write_safe
from support.scenes import write_scene


def ingested(tmp_path, ref, **options):
    site = choose_site([ref], None, None)
    row = ingest_scene(ref, None, site, ScenesSection(**options), tmp_path / "copies")
    assert row.state == "usable", row.reason
    return row.content


def test_a_mask_is_sampled_once_to_know_its_kind(tmp_path, monkeypatch):
    sampled = []
    monkeypatch.setattr(masks, "kind_by_content", lambda path: sampled.append(path) or "sentinel2-scl")
    path = write_scene(tmp_path / "a.tif", np.ones((3, 8, 9), np.uint8))
    classes = write_scene(tmp_path / "quality.tif", np.full((8, 9), 4, np.uint8))
    content = ingested(tmp_path, SceneRef("a", datetime.now(UTC), (path,), mask=classes))
    assert sampled == [classes]
    assert (content["path"], content["mask"], content["valid_share"]) == (path, classes, 1)


@pytest.mark.parametrize(
    ("options", "share"), [({}, 0.25), ({"mask_values": (5,)}, 0.75), ({"mask_kind": "plain"}, 0.5)]
)
def test_the_job_can_describe_the_mask_of_a_product(tmp_path, options, share):
    classes = np.resize(np.array([9, 5, 0, 0], np.uint8), (1, 60, 60))
    safe = write_safe(tmp_path, np.full((6, 120, 120), 2000, np.uint16), classes=classes)
    content = ingested(tmp_path, SceneRef("a", datetime.now(UTC), (str(safe),)), **options)
    assert content["valid_share"] == share
