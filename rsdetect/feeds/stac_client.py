"""STAC client: access to a catalogue with retries, paging, and a distinction of transient failures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.extras import missing_extra
from rsdetect.feeds.retries import TRANSIENT_STATUSES, http_retries, in_time
from rsdetect.reading import refuse_endless
from rsdetect.scenes.handles import one_line

_SECONDS_TO_ANSWER = (10.0, 60.0)  # timeouts: to connect, to respond
_ITEMS_A_PAGE = 100
_SIGNED_HOSTS = ("planetarycomputer.microsoft.com",)  # whose assets are read with a signature


@dataclass(frozen=True)
class StacCatalogue:
    """STAC catalogue at a URL or path."""

    url: str

    def items(
        self,
        collections: Sequence[str],
        boxes: Sequence[tuple[float, float, float, float]] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> list[Any]:
        """All STAC items; an API is searched by collections, box and dates, and may return more.

        Parameters
        ----------
        boxes
            West, south, east, north of each in degrees; None = anywhere.
        dates
            First and last moment; None = unlimited.

        Raises
        ------
        InputError
            The catalogue does not exist, is not STAC, or lacks a collection.
        JobInterrupted
            The catalogue does not respond.
        """
        from pystac_client.warnings import PystacClientWarning

        with self._translated_stac_errors(), warnings.catch_warnings():
            # Warnings about a server's declarations; failures raise errors.
            warnings.simplefilter("ignore", PystacClientWarning)
            root = self._catalogue_root()
            if "conformsTo" in root.extra_fields:
                return list(self._search_items(root, collections, boxes, dates))
            return list(_static_catalogue_items(root, collections, self.url))

    def _catalogue_root(self) -> Any:
        """Root of the STAC catalogue: a client where it declares an API, else a static object."""
        import pystac
        from pystac_client import Client

        refuse_endless(self.url)
        io = _stac_io()
        content = json.loads(io.read_text(self.url))
        if not isinstance(content, dict) or content.get("type") not in ("Catalog", "Collection"):
            raise InputError(f"{self.url} is not a STAC catalogue: {_json_kind(content)}.")
        if "conformsTo" in content:
            return Client.from_file(self.url, stac_io=io, modifier=_signing(self.url))
        return pystac.read_file(self.url, stac_io=io)

    def _search_items(
        self,
        client: Any,
        collections: Sequence[str],
        boxes: Sequence[tuple[float, float, float, float]] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> Iterator[Any]:
        """Search the items of a STAC API."""
        if boxes is None:
            raise InputError(f"{self.url} is searched by location; add an area of interest (aoi) to the job.")
        if collections:
            _require_collections(collections, {found.id for found in client.get_collections()}, self.url)
        found: dict[tuple[str, str], Any] = {}
        for box in boxes:
            search = client.search(
                collections=list(collections) or None,
                bbox=list(box),
                datetime=None if dates == (None, None) else list(dates),
                limit=_ITEMS_A_PAGE,
            )
            for item in _once(search.items()):
                found.setdefault((str(item.collection_id), item.id), item)
        yield from found.values()

    @contextmanager
    def _translated_stac_errors(self) -> Iterator[None]:
        """Translate errors of the STAC libraries into `InputError` and `JobInterrupted`."""
        from pystac.errors import STACError
        from pystac_client.exceptions import APIError

        try:
            yield
        except JobInterrupted:
            raise
        except (APIError, STACError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            # Of the last three are what pystac makes of JSON of another shape than it expects.
            raise _stac_error(self.url, error) from error


def _stac_error(url: str, error: Exception) -> InputError | JobInterrupted:
    """Error for a failed STAC request: `JobInterrupted` if it is transient."""
    from pystac_client.exceptions import APIError

    # A broken link raises an error about the link, caused by the server's error.
    answer: BaseException | None = error
    while answer is not None and not isinstance(answer, APIError):
        answer = answer.__cause__
    if answer is None:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        )
        return InputError(f"{url} cannot be read as a STAC catalogue: {reason[:300]}.")
    status = getattr(answer, "status_code", None)
    if status is None or status in TRANSIENT_STATUSES:
        reason = f"status {status}" if status else one_line(answer)
        return JobInterrupted(
            f"the catalogue {url} cannot be reached now ({reason}); nothing was changed; run the "
            "same command again."
        )
    return InputError(f"{url} refuses (status {status}): {' '.join(str(error).split())[:300]}.")


def require_stac() -> None:
    """Raise `InputError` if the STAC libraries are not installed."""
    try:
        import pystac_client  # noqa: F401
    except ImportError:
        raise missing_extra("monitor", "a STAC catalogue") from None


def _stac_io() -> Any:
    """STAC I/O with retries."""
    from pystac_client.stac_api_io import StacApiIO

    class InTime(StacApiIO):
        """Requests that end, however slowly a server sends."""

        def request(self, *arguments: Any, **keywords: Any) -> str:
            def ask() -> str:
                return str(super(InTime, self).request(*arguments, **keywords))

            return in_time(ask)

    # Searches are safe to repeat, by POST too.
    return InTime(max_retries=http_retries(), timeout=_SECONDS_TO_ANSWER)


def _signing(url: str) -> Callable[[Any], Any] | None:
    """What signs the assets of a STAC item for their store; None where none is needed, or not installed."""
    if not (urlsplit(url).hostname or "").endswith(_SIGNED_HOSTS):
        return None
    try:
        import planetary_computer
    except ImportError:
        return None
    sign: Callable[[Any], Any] = planetary_computer.sign_inplace
    return sign


def _static_catalogue_items(root: Any, collections: Sequence[str], url: str) -> Iterator[Any]:
    """The items of a static catalogue, each once; of the named collections alone where any are named."""
    tops = [root]
    if collections:
        found = {each.id: each for each in _catalogues(root) if each.STAC_OBJECT_TYPE == "Collection"}
        _require_collections(collections, set(found), url)
        tops = [found[name] for name in collections]
    seen: set[str] = set()
    for top in tops:
        for catalogue in _catalogues(top):
            yield from _items(catalogue, seen)


def _catalogues(top: Any) -> Iterator[Any]:
    """A catalogue and all below it, each once, even where one names itself or another above it."""
    seen: set[str] = set()
    waiting = [top]
    while waiting:
        catalogue = waiting.pop()
        yield catalogue
        for link in reversed(catalogue.get_child_links()):
            href = link.get_absolute_href()
            if href in seen or href == top.get_self_href():
                continue
            seen.add(href)
            waiting.append(_linked(link, catalogue, ("Catalog", "Collection")))


def _items(catalogue: Any, seen: set[str]) -> Iterator[Any]:
    for link in catalogue.get_item_links():
        href = link.get_absolute_href()
        if href not in seen:
            seen.add(href)
            yield _linked(link, catalogue, ("Feature",))


def _linked(link: Any, catalogue: Any, kinds: tuple[str, ...]) -> Any:
    """What a link leads to, which must be what the link says that it is."""
    found = link.resolve_stac_object(root=catalogue.get_root()).target
    if found.STAC_OBJECT_TYPE not in kinds:
        raise InputError(
            f"{catalogue.get_self_href()} links {link.get_absolute_href()} as {link.rel!r}, and that is a "
            f"{found.STAC_OBJECT_TYPE}."
        )
    return found


def _once(items: Iterator[Any]) -> Iterator[Any]:
    """Each item once; the end where the server begins again, as one with a cycle of pages does for ever."""
    seen: set[tuple[str, str]] = set()
    again = 0
    for item in items:
        key = str(item.collection_id), item.id
        again = again + 1 if key in seen else 0
        if again >= 2 * _ITEMS_A_PAGE:
            return
        if not again:
            seen.add(key)
            yield item


def _require_collections(collections: Sequence[str], known: set[str], url: str) -> None:
    """Raise if the STAC catalogue lacks a requested collection."""
    missing = [name for name in collections if name not in known]
    if missing:
        raise InputError(
            f"{url} has no collection {missing[0]!r}; it has {', '.join(sorted(known)) or 'none'}."
        )


def _json_kind(content: Any) -> str:
    """Description of a JSON document that is not a STAC catalogue."""
    kind = content.get("type") if isinstance(content, dict) else None
    return f"it is a {kind}" if kind else "its JSON has another type"
