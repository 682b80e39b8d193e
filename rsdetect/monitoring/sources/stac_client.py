"""The way into a STAC catalogue: retries, pages, and which failures may pass."""

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
from rsdetect.monitoring.retries import MAY_PASS, patient
from rsdetect.scenes.handles import one_line

_SECONDS_TO_ANSWER = (10.0, 60.0)  # to connect, to answer
_ITEMS_A_PAGE = 100


@dataclass(frozen=True)
class CatalogueDoor:
    """A catalogue by its address or path."""

    url: str

    def items(
        self,
        collections: Sequence[str],
        bbox: tuple[float, float, float, float] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> list[Any]:
        """Every item; an API is asked for those of the collections, box and dates, and may give more.

        Parameters
        ----------
        bbox
            West, south, east, north in degrees; None = anywhere.
        dates
            First and last moment; None = open.

        Raises
        ------
        InputError
            It is not there, not STAC, or has no such collection.
        JobInterrupted
            It does not answer.
        """
        from pystac_client.warnings import PystacClientWarning

        with self._told_in_words(), warnings.catch_warnings():
            # About what a server says of itself; what goes wrong is told by errors.
            warnings.simplefilter("ignore", PystacClientWarning)
            root = self._root()
            if "conformsTo" in root.extra_fields:
                return list(self._searched(root, collections, bbox, dates))
            return list(_walked(root, collections, self.url))

    def _root(self) -> Any:
        import pystac
        from pystac_client import Client

        io = _stac_io()
        content = json.loads(io.read_text(self.url))
        if not isinstance(content, dict) or content.get("type") not in ("Catalog", "Collection"):
            raise InputError(f"{self.url} is no STAC catalogue: {_what_it_is(content)}.")
        if "conformsTo" in content:
            return Client.from_file(self.url, stac_io=io)
        return pystac.read_file(self.url, stac_io=io)

    def _searched(
        self,
        client: Any,
        collections: Sequence[str],
        bbox: tuple[float, float, float, float] | None,
        dates: tuple[datetime | None, datetime | None],
    ) -> Iterator[Any]:
        if bbox is None:
            raise InputError(f"{self.url} is asked for a place; give the job an area of interest (aoi).")
        if collections:
            _require(collections, {found.id for found in client.get_collections()}, self.url)
        search = client.search(
            collections=list(collections) or None,
            bbox=list(bbox),
            datetime=None if dates == (None, None) else list(dates),
            limit=_ITEMS_A_PAGE,
        )
        yield from search.items()

    @contextmanager
    def _told_in_words(self) -> Iterator[None]:
        from pystac.errors import STACError
        from pystac_client.exceptions import APIError

        try:
            yield
        except (APIError, STACError, OSError, ValueError, KeyError) as error:
            raise _in_words(self.url, error) from error


def _in_words(url: str, error: Exception) -> InputError | JobInterrupted:
    """What went wrong, and whether it may pass."""
    from pystac_client.exceptions import APIError

    # A link that cannot be followed comes as an error about the link, with the server's behind it.
    answer: BaseException | None = error
    while answer is not None and not isinstance(answer, APIError):
        answer = answer.__cause__
    if answer is None:
        told = (
            error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        )
        return InputError(f"{url} cannot be read as a STAC catalogue: {told[:300]}.")
    status = getattr(answer, "status_code", None)
    if status is None or status in MAY_PASS:
        told = f"status {status}" if status else one_line(answer)
        return JobInterrupted(
            f"the catalogue {url} cannot be reached now ({told}); nothing was changed, and the same command "
            "tries again."
        )
    return InputError(f"{url} refuses (status {status}): {' '.join(str(error).split())[:300]}.")


def require_stac() -> None:
    """Raise `InputError` where the libraries for catalogues are not installed."""
    try:
        import pystac_client  # noqa: F401
    except ImportError:
        raise missing_extra("monitor", "a STAC catalogue") from None


def _stac_io() -> Any:
    from pystac_client.stac_api_io import StacApiIO

    # Asking is safe to repeat, by POST too.
    return StacApiIO(max_retries=patient(), timeout=_SECONDS_TO_ANSWER)


def _walked(root: Any, collections: Sequence[str], url: str) -> Iterator[Any]:
    """The items of a static catalogue; collections that are not wanted are not gone into."""
    if not collections:
        yield from root.get_items(recursive=True)
        return
    below = (
        [root, *root.get_all_collections()]
        if root.STAC_OBJECT_TYPE == "Collection"
        else root.get_all_collections()
    )
    found = {collection.id: collection for collection in below}
    _require(collections, set(found), url)
    for name in collections:
        yield from found[name].get_items(recursive=True)


def _require(collections: Sequence[str], known: set[str], url: str) -> None:
    missing = [name for name in collections if name not in known]
    if missing:
        raise InputError(
            f"{url} has no collection {missing[0]!r}; it has {', '.join(sorted(known)) or 'none'}."
        )


def _what_it_is(content: Any) -> str:
    kind = content.get("type") if isinstance(content, dict) else None
    return f"it is a {kind}" if kind else "its JSON is something else"
