"""What a scene is compared with: chosen by policy, put together pixel by pixel."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.ingestion.ingest import ingest_scene, open_ingested
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.site import choose_site
from rsdetect.monitoring.baseline import Baselines, choose_baseline_scenes
from rsdetect.monitoring.job import (
    CompositeBaseline,
    FixedBaseline,
    PreviousBaseline,
    ScenesSection,
    SeasonBaseline,
)
from rsdetect.monitoring.journal import Journal
from rsdetect.scenes.scene import read_scene
from support.scenes import TEN_METRES, UTM, write_scene


def at(day, share=1.0):
    taken = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return IngestedScene(day, taken, f"{day}.tif", None, day, share, False)


def chosen(policy, scene, *earlier):
    choice = choose_baseline_scenes(policy, scene, earlier)
    return None if choice is None else [each.id for each in choice.scenes]


def test_previous_is_the_scene_before_and_behind_its_clouds_those_before_it():
    a, b, c, d = at("2024-01-01"), at("2024-02-01"), at("2024-03-01", 0.8), at("2024-04-01")
    assert chosen(PreviousBaseline(), c, a, b) == ["2024-02-01"]
    assert chosen(PreviousBaseline(), d, a, b, c) == ["2024-03-01", "2024-02-01", "2024-01-01"]
    assert chosen(PreviousBaseline(), a) is None


def test_fixed_is_one_scene_by_id_or_date_for_all_after_it():
    a, b, c = at("2024-01-01"), at("2024-02-01", 0.8), at("2024-03-01")
    for name in ("2024-01-01",):
        assert chosen(FixedBaseline(scene=name), c, a, b) == ["2024-01-01"]
    assert chosen(FixedBaseline(scene="2024-02-01"), c, a, b) == ["2024-02-01"]
    assert chosen(FixedBaseline(scene="2024-02-01"), b, a) is None


def test_season_is_the_scene_of_an_earlier_year_with_the_fewest_days_apart():
    july = at("2024-07-10")
    earlier = [at("2022-07-11"), at("2023-06-20"), at("2023-07-20"), at("2024-06-30")]
    assert chosen(SeasonBaseline(), july, *earlier) == ["2022-07-11"]
    assert chosen(SeasonBaseline(), july, *earlier[1:]) == ["2023-07-20"]
    assert chosen(SeasonBaseline(max_days=5), july, *earlier[1:]) is None
    assert chosen(SeasonBaseline(), july, earlier[-1]) is None


def test_season_takes_the_later_of_two_that_are_as_far_apart():
    assert chosen(SeasonBaseline(), at("2024-07-10"), at("2022-07-10"), at("2023-07-10")) == ["2023-07-10"]


def test_the_days_around_new_year_are_no_year_apart():
    january = at("2024-01-05")
    assert chosen(SeasonBaseline(), january, at("2023-12-28")) is None
    assert chosen(SeasonBaseline(), january, at("2022-12-28"), at("2023-12-28")) == ["2022-12-28"]


def test_season_behind_clouds_is_the_next_one_of_the_season():
    earlier = [at("2023-06-25"), at("2023-07-09", 0.5), at("2023-12-01")]
    assert chosen(SeasonBaseline(), at("2024-07-10"), *earlier) == ["2023-07-09", "2023-06-25"]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=30, unique=True))
def test_season_against_the_definition(days_ago):
    scene = at("2024-07-10")
    start = scene.taken
    earlier = [
        at((start - timedelta(days=days)).date().isoformat()) for days in sorted(days_ago, reverse=True)
    ]

    def apart(other):
        """Counted day by day around the calendar of a year without 29 February."""
        ahead = (date(2023, *start.date().timetuple()[1:3]) - date(2023, 1, 1)).days
        month, day = other.taken.month, other.taken.day
        behind = (date(2023, month, min(day, 28) if month == 2 else day) - date(2023, 1, 1)).days
        return min((ahead - behind) % 365, (behind - ahead) % 365)

    old = [each for each in earlier if (start - each.taken).days >= 183 and apart(each) <= 60]
    wanted = sorted((apart(each), (start - each.taken).days, each.id) for each in old)
    found = chosen(SeasonBaseline(), scene, *earlier)
    assert (found[0] if found else None) == (wanted[0][2] if wanted else None)


# --- put together ---------------------------------------------------------------------------------------


@pytest.fixture
def taken(tmp_path):
    """Six scenes of 30 x 40 pixels with holes, taken in; the site, and the pixels with NaN in the holes."""
    rng = np.random.default_rng(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    refs, pixels = [], []
    for number in range(6):
        array = rng.integers(1, 5000, (2, 30, 40)).astype(np.uint16)
        hidden = rng.random((30, 40)) < (0.4 if number else 0.1)
        hidden[:2] = number > 1  # seen twice at most
        hidden[5] = True  # never seen
        path = write_scene(tmp_path / f"{number}.tif", array)
        mask = write_scene(tmp_path / f"{number}_mask.tif", hidden.astype(np.uint8))
        refs.append(SceneRef(str(number), start + timedelta(days=number), (path,), mask=mask))
        pixels.append(np.where(hidden, np.nan, array.astype(np.float32)))
    site = choose_site(refs, None, None)
    options = ScenesSection()
    scenes = [IngestedScene.of(ingest_scene(ref, None, site, options, tmp_path / "copies")) for ref in refs]
    return site, options, scenes, np.array(pixels)


def packed_median(pixels, count):
    """Of each pixel, the median of its last `count` valid observations; pixels come latest first."""
    out = np.full(pixels.shape[1:], np.nan, np.float32)
    for row, col in np.ndindex(out.shape[1:]):
        seen = [each[:, row, col] for each in pixels if not np.isnan(each[0, row, col])][:count]
        if seen:
            out[:, row, col] = np.median(np.array(seen, np.float32), axis=0)
    return out


@pytest.mark.parametrize("count", [1, 2, 3, 4, 50])
def test_a_composite_is_the_median_of_the_last_valid_observations(taken, tmp_path, count):
    site, options, scenes, pixels = taken
    policy = CompositeBaseline(count=count)
    with Journal(tmp_path / "journal.sqlite", write=True) as journal:
        baselines = Baselines(journal, site, policy, options, tmp_path / "baselines")
        made = baselines.for_scene(scenes[-1], scenes[:-1])
        again = baselines.for_scene(scenes[-1], scenes[:-1])
    assert again == made
    with rasterio.open(made.path) as raster:
        np.testing.assert_array_equal(raster.read(), packed_median(pixels[-2::-1], count))
        assert np.isnan(raster.nodata)
        assert (raster.crs, raster.transform) == (UTM, TEN_METRES)
    assert [path.name for path in (tmp_path / "baselines").iterdir()] == [f"{made.key}.tif"]


def test_a_baseline_that_was_cleared_away_is_made_again_when_it_is_wanted(taken, tmp_path):
    site, options, scenes, _ = taken
    with Journal(tmp_path / "journal.sqlite", write=True) as journal:
        baselines = Baselines(journal, site, PreviousBaseline(), options, tmp_path / "baselines")
        made = baselines.for_scene(scenes[-1], scenes[:-1])
        (tmp_path / "baselines" / f"{made.key}.tif").unlink()
        assert baselines.for_scene(scenes[-1], scenes[:-1]) == made
        assert not made.is_on_disk
        assert baselines.restored(made) == made
        assert made.is_on_disk


def test_an_event_is_followed_against_the_ground_before_it():
    """Of a season, too: the year after is compared with the year before the event, not with the event."""
    years = [at(f"{year}-07-10") for year in (2021, 2022, 2023)]
    first, scene = years[1], at("2024-07-10")
    assert chosen(SeasonBaseline(), scene, *years) == ["2023-07-10"]
    assert chosen(SeasonBaseline(), scene, *[each for each in years if each.taken < first.taken]) == [
        "2021-07-10"
    ]


# --- taken in -------------------------------------------------------------------------------------------


def copied(tmp_path, ref, site_of=None, **options):
    site = choose_site([site_of or ref], None, None)
    section = ScenesSection(**options)
    row = ingest_scene(ref, None, site, section, tmp_path / "copies")
    assert row.state == "usable", row.reason
    scene = open_ingested(IngestedScene.of(row), site, section)
    return row, read_scene(scene, site.grid.window)


def test_a_scene_in_one_file_is_used_where_it_lies(tmp_path):
    path = write_scene(tmp_path / "a.tif", np.ones((3, 8, 9), np.uint8))
    row, (values, valid) = copied(tmp_path, SceneRef("a", datetime.now(UTC), (path,)))
    assert row.content["path"] == path
    assert not (tmp_path / "copies").exists()
    assert values.shape == (3, 8, 9)
    assert valid.all()


def test_a_scene_in_one_file_per_band_becomes_one_with_its_mask_applied(tmp_path):
    red = np.arange(64, dtype=np.uint16).reshape(8, 8) + 1
    swir = (np.arange(16, dtype=np.uint16).reshape(4, 4) + 1) * 100
    mask = np.zeros((4, 4), np.uint8)
    mask[0, 0] = 9
    twenty = Affine(20, 0, TEN_METRES.c, 0, -20, TEN_METRES.f)
    files = (
        write_scene(tmp_path / "red.tif", red),
        write_scene(tmp_path / "swir.tif", swir, transform=twenty),
    )
    hides = write_scene(tmp_path / "scl.tif", mask, transform=twenty)
    ref = SceneRef("a", datetime.now(UTC), files, ("Red", "swir16"), hides, (8, 9), source="here")
    row, (values, valid) = copied(tmp_path, ref, resampling="nearest")
    assert row.content["names"] == ["red", "swir16"]
    assert row.content["valid_share"] == 60 / 64
    assert not valid[:2, :2].any()
    np.testing.assert_array_equal(values[0][valid], red[valid])
    np.testing.assert_array_equal(values[1][valid], swir.repeat(2, 0).repeat(2, 1)[valid])
    with rasterio.open(row.content["path"]) as copy:
        assert copy.descriptions == ("red", "swir16")


def test_a_file_that_changes_is_taken_in_again_and_one_that_does_not_is_not(tmp_path):
    path = write_scene(tmp_path / "a.tif", np.ones((1, 8, 9), np.uint8))
    ref = SceneRef("a", datetime.now(UTC), (path,))
    site, options = choose_site([ref], None, None), ScenesSection()
    first = ingest_scene(ref, None, site, options, tmp_path)
    assert ingest_scene(ref, first, site, options, tmp_path) is first
    write_scene(tmp_path / "a.tif", np.full((1, 8, 9), 200, np.uint16))
    assert ingest_scene(ref, first, site, options, tmp_path).fingerprint != first.fingerprint
    assert (
        ingest_scene(ref, first, site, ScenesSection(min_valid=0.5), tmp_path).fingerprint
        != first.fingerprint
    )


def test_the_key_in_an_address_is_no_part_of_a_scene(tmp_path):
    from rsdetect.ingestion.ingest import ingest_fingerprint

    path = write_scene(tmp_path / "a.tif", np.ones((1, 8, 9), np.uint8))
    site = choose_site([SceneRef("a", datetime.now(UTC), (path,))], None, None)
    taken = datetime(2024, 1, 1, tzinfo=UTC)
    refs = [SceneRef("a", taken, (f"https://x.org/a.tif?{key}",)) for key in ("sig=1", "sig=2")]
    refs.append(SceneRef("a", taken, ("https://x.org/b.tif?sig=1",)))
    one, same, other = (ingest_fingerprint(ref, site, ScenesSection()) for ref in refs)
    assert one == same != other


def test_what_is_hardly_seen_is_clouded(tmp_path):
    hidden = np.ones((8, 9), np.uint8)
    hidden[0, :6] = 0
    path = write_scene(tmp_path / "a.tif", np.ones((1, 8, 9), np.uint8))
    mask = write_scene(tmp_path / "m.tif", hidden)
    ref = SceneRef("a", datetime.now(UTC), (path,), mask=mask)
    site = choose_site([ref], None, None)
    row = ingest_scene(ref, None, site, ScenesSection(min_valid=0.1), tmp_path)
    assert (row.state, row.reason) == ("clouded", "8.3% of its pixels are valid")
    assert ingest_scene(ref, None, site, ScenesSection(min_valid=0.05), tmp_path).state == "usable"
