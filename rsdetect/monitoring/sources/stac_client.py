"""STAC client: access to a catalogue with retries, paging, and a distinction of transient failures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.extras import missing_extra
from rsdetect.monitoring.retries import TRANSIENT_STATUSES, http_retries
from rsdetect.scenes.handles import one_line

_SECONDS_TO_ANSWER = (10.0, 60.0)  # timeouts: to connect, to respond
_ITEMS_A_PAGE = 100


@dataclass(frozen=True)
class StacCatalogue:
    """STAC catalogue at a URL or path."""

    url: str

    def items(
        self,
        collections: Sequence[str],
        bbox: tuple[float, float, float, float] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> list[Any]:
        """All STAC items; an API is searched by collections, box and dates, and may return more.

        Parameters
        ----------
        bbox
            West, south, east, north in degrees; None = anywhere.
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
                return list(self._search_items(root, collections, bbox, dates))
            return list(_static_catalogue_items(root, collections, self.url))

    def _catalogue_root(self) -> Any:
        """Root of the STAC catalogue: a client where it declares an API, else a static object."""
        import pystac
        from pystac_client import Client

        io = _stac_io()
        content = json.loads(io.read_text(self.url))
        if not isinstance(content, dict) or content.get("type") not in ("Catalog", "Collection"):
            raise InputError(f"{self.url} is not a STAC catalogue: {_json_kind(content)}.")
        if "conformsTo" in content:
            return Client.from_file(self.url, stac_io=io)
        return pystac.read_file(self.url, stac_io=io)

    def _search_items(
        self,
        client: Any,
        collections: Sequence[str],
        bbox: tuple[float, float, float, float] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> Iterator[Any]:
        """Search the items of a STAC API."""
        if bbox is None:
            raise InputError(f"{self.url} is searched by location; add an area of interest (aoi) to the job.")
        if collections:
            _require_collections(collections, {found.id for found in client.get_collections()}, self.url)
        search = client.search(
            collections=list(collections) or None,
            bbox=list(bbox),
            datetime=None if dates == (None, None) else list(dates),
            limit=_ITEMS_A_PAGE,
        )
        yield from search.items()

    @contextmanager
    def _translated_stac_errors(self) -> Iterator[None]:
        """Translate errors of the STAC libraries into `InputError` and `JobInterrupted`."""
        from pystac.errors import STACError
        from pystac_client.exceptions import APIError

        try:
            yield
        except (APIError, STACError, OSError, ValueError, KeyError) as error:
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

    # Searches are safe to repeat, also by POST.
    return StacApiIO(max_retries=http_retries(), timeout=_SECONDS_TO_ANSWER)


def _static_catalogue_items(root: Any, collections: Sequence[str], url: str) -> Iterator[Any]:
    """Items of a static STAC catalogue; other collections are not opened."""
    if not collections:
        yield from root.get_items(recursive=True)
        return
    below = (
        [root, *root.get_all_collections()]
        if root.STAC_OBJECT_TYPE == "Collection"
        else root.get_all_collections()
    )
    found = {collection.id: collection for collection in below}
    _require_collections(collections, set(found), url)
    for name in collections:
        yield from found[name].get_items(recursive=True)


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
