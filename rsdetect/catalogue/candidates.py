"""Candidates of a period: the scenes of its days with their clear shares, and which are taken."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

import shapely

from rsdetect.catalogue.options import PeriodOptions, Pick
from rsdetect.catalogue.period import Period
from rsdetect.errors import DoubtError, InputError, JobInterrupted, RsdetectError
from rsdetect.feeds.files import FilesOfScenes
from rsdetect.feeds.passes import merge_passes
from rsdetect.feeds.scene_refs import SceneFeed, SceneListing, SceneRef
from rsdetect.feeds.sections import StacSource
from rsdetect.grid import Window
from rsdetect.ingestion.clear_share import clear_share, coarse_site
from rsdetect.ingestion.ingest import SetAside
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site, choose_site, require_site_bands, site_within_aoi
from rsdetect.jsontypes import JsonObject
from rsdetect.scenes.aoi import Area, settle_aoi
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import PairOptions
from rsdetect.secrets import without_secrets

_THREADS = 8  # that wait for servers


@dataclass(frozen=True)
class PeriodScene:
    """Scene of a period: how much of the area it shows, and whether it is taken."""

    scene: str  # its id in the catalogue, or its path
    date: str  # ISO date of acquisition, UTC
    tile: str  # "" = unknown; of the tiles of a pass, joined by commas
    clear_share: float | None  # of the area; None = it cannot be read
    is_taken: bool
    reason: str  # why it is not taken
    source: str  # address of the item, or path


@dataclass(frozen=True)
class PeriodListing:
    """Listing of two periods: their scenes by date, and what the source left out."""

    before: tuple[PeriodScene, ...]
    after: tuple[PeriodScene, ...]
    left_out: tuple[str, ...]  # a sentence for each incomplete scene

    def as_json(self) -> JsonObject:
        """Listing in JSON types."""
        return {
            "before": [asdict(each) for each in self.before],
            "after": [asdict(each) for each in self.after],
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True)
class Candidates:
    """Candidates of two periods on one site."""

    site: Site
    options: ScenesSection  # of reading
    refs: dict[str, tuple[SceneRef, ...]]  # "before" and "after", by date
    shares: dict[str, tuple[float | str, ...]]  # clear share of each, or why it has none
    ranked: dict[str, tuple[SceneRef, ...]]  # the clear ones, as they are taken
    pick: Pick
    left_out: tuple[str, ...]

    def listing(self) -> PeriodListing:
        """Listing for users."""
        before, after = (tuple(self._scenes(which)) for which in ("before", "after"))
        return PeriodListing(before, after, self.left_out)

    def _scenes(self, which: str) -> list[PeriodScene]:
        taken = {ref.id for ref in self.ranked[which][: 1 if self.pick == "least-cloud" else None]}
        return [
            period_scene(ref, share, is_taken=ref.id in taken)
            for ref, share in zip(self.refs[which], self.shares[which], strict=True)
        ]


def period_scene(ref: SceneRef, share: float | str, *, is_taken: bool) -> PeriodScene:
    """Scene of a period with its clear share, or with the reason why it has none."""
    tiles = ", ".join(sorted({tile.tile for tile in ref.tiles or (ref,) if tile.tile}))
    known = share if isinstance(share, float) else None
    reason = share if isinstance(share, str) else ("" if is_taken else _why_not(share))
    return PeriodScene(
        scene=ref.id,
        date=ref.day,
        tile=tiles,
        clear_share=None if known is None else round(known, 4),
        is_taken=is_taken,
        reason=reason,
        source=without_secrets(ref.source),
    )


def _why_not(share: float) -> str:
    return "another scene of the period is clearer" if share > 0 else "nothing of the area is clear"


def find_candidates(asked: PeriodOptions, pair: PairOptions, wanted: WantedBands | None) -> Candidates:
    """Find the scenes of both periods, measure their clear shares, and pick those that are taken.

    Parameters
    ----------
    wanted
        Bands of the detector; None = any.

    Raises
    ------
    InputError
        The catalogue, collection, area or bands are wrong, or a period has no clear scene.
    JobInterrupted
        A server does not answer.
    """
    if pair.masks:
        raise InputError("`mask` is a file of one scene; scenes of periods have masks of their own.")
    options, aoi = _reading(pair), settle_aoi(pair.aoi)
    listings = {which: _list(asked, period, aoi, pair.bands) for which, period in asked.periods.items()}
    refs = {which: tuple(merge_passes(listing)) for which, listing in listings.items()}
    site = _site([*refs["before"], *refs["after"]], aoi, options)
    require_site_bands(site, pair.bands, wanted)
    shares = _shares(refs, coarse_site(site), options)
    ranked = {which: _rank(asked, which, refs[which], shares[which]) for which in refs}
    left_out = tuple(sentence for listing in listings.values() for sentence in listing.left_out)
    return Candidates(site, options, refs, shares, ranked, asked.pick, left_out)


def _reading(pair: PairOptions) -> ScenesSection:
    """Options of reading the scenes of a period, as those of a pair say."""
    if len(pair.nodata) > 1 or len(pair.mask_kind) > 1:
        raise InputError("scenes of periods take one `nodata` and one `mask_kind` for all.")
    given = {
        "mask_values": pair.mask_values,
        "mask_bits": pair.mask_bits,
        "mask_kind": pair.mask_kind[0] if pair.mask_kind else "auto",
        "nodata": pair.nodata[0] if pair.nodata else "auto",
        "min_valid": 0.0,
        "align": pair.align,
        "resampling": pair.resampling,
        "accept": pair.accept,
    }
    return ScenesSection.model_validate(given)


def _list(
    asked: PeriodOptions, period: Period, aoi: str | Area | None, bands: Sequence[int | str] | None
) -> SceneListing:
    """Scenes of a period, as their feed lists them."""
    feed: SceneFeed
    if asked.stac is None:
        feed = FilesOfScenes(str(asked.scenes), period.first, period.last)
    else:
        from rsdetect.feeds.stac import StacScenes

        collections = () if asked.collection is None else (asked.collection,)
        section = StacSource(url=asked.stac, collections=collections, since=period.first, until=period.last)
        names = tuple(str(name).lower() for name in bands or ())
        if any(name.isdecimal() for name in names):
            raise InputError("`bands` of a catalogue are names, such as red,green,blue,nir.")
        feed = StacScenes(section, asked.stac, aoi, names)
    return feed.list_scenes()


def _site(refs: Sequence[SceneRef], aoi: str | Area | None, options: ScenesSection) -> Site:
    """Site of both periods: the grid of the first scene that can be read, cut to the area."""
    site = choose_site(refs, None, aoi, options.accept, align=options.align)
    if site is None:
        raise InputError(
            f"none of the {len(refs)} scenes of both periods can be opened: {_first_reason(refs)}"
        )
    if site.aoi is None:
        return site
    left, top, right, bottom = (round(edge) for edge in shapely.from_wkb(site.aoi).buffer(1).bounds)
    part = Window(top, left, bottom - top, right - left).intersection(site.grid.window)
    return replace(site_within_aoi(site.grid.crop(part), site.names, aoi), scaled=site.scaled)


def _first_reason(refs: Sequence[SceneRef]) -> str:
    """Why the first scene of a period cannot be opened."""
    from rsdetect.doubts import settle_doubts
    from rsdetect.ingestion.site import scene_headers

    try:
        for header in scene_headers((refs[0].tiles or refs)[0]):
            settle_doubts(header.doubts, ())
    except RsdetectError as error:
        return str(error)
    return "their grids or bands are not usable."


def _shares(
    refs: dict[str, tuple[SceneRef, ...]], site: Site, options: ScenesSection
) -> dict[str, tuple[float | str, ...]]:
    """Clear share of each scene of the periods, or why it has none."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="mask") as pool:
        return {
            which: tuple(pool.map(partial(_share, site=site, options=options), several))
            for which, several in refs.items()
        }


def _share(ref: SceneRef, site: Site, options: ScenesSection) -> float | str:
    if ref.problem:
        return ref.problem
    try:
        return clear_share(ref, site, options)
    except JobInterrupted:
        raise
    except (RsdetectError, DoubtError, SetAside) as error:
        return str(error)


def _rank(
    asked: PeriodOptions, which: str, refs: Sequence[SceneRef], shares: Sequence[float | str]
) -> tuple[SceneRef, ...]:
    """The clear scenes of a period in the order in which they are taken."""
    clear = [
        (share, ref)
        for ref, share in zip(refs, shares, strict=True)
        if isinstance(share, float) and share > 0
    ]
    if not clear:
        raise InputError(_nothing_clear(asked, which, refs, shares))
    clear.reverse()
    if asked.pick == "least-cloud":
        clear.sort(key=lambda found: -found[0])  # of equally clear ones the latest
    return tuple(ref for _, ref in clear)


def _nothing_clear(
    asked: PeriodOptions, which: str, refs: Sequence[SceneRef], shares: Sequence[float | str]
) -> str:
    """Message for a period without a clear scene."""
    reasons = [share for share in shares if isinstance(share, str)]
    count = f"{len(refs)} scene{'s' if len(refs) != 1 else ''}"
    why = "of none of which the area is clear" if not reasons else f"and {refs[0].id}: {reasons[0]}"
    return (
        f"{asked.place} has no clear scene for `{which}_period` {asked.periods[which]}: {count}, "
        f"{why.rstrip('.')}."
    )
