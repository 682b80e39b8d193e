"""Handles of open raster files, one per thread, because GDAL's handles must not be shared."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import rasterio
from rasterio.env import env_ctx_if_needed
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from rsdetect.errors import ReadError, SceneError, SourceUnavailable
from rsdetect.grid import Window
from rsdetect.scenes.failing_servers import GoneAway
from rsdetect.scenes.named_files import refuse_endless_named
from rsdetect.scenes.remote import gdal_name, patiently, require_hope

# A pair without georeference is reported once, by rsdetect.scenes.pair.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

# GDAL's own failures, which rasterio passes on under two unrelated roots.
GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, rasterio._err.CPLE_BaseError)

P = ParamSpec("P")
T = TypeVar("T")

_HANDLES_A_THREAD = 12  # two scenes and two masks, each perhaps under a warp; a raster, and those around it
_local = threading.local()


def open_raster(path: str, *, of: str | None = None) -> Any:
    """Open `path`, a file or a view `of` one, for reading.

    Raises
    ------
    SceneError
        It is no raster, or not there; the message names the file.
    SourceUnavailable
        It lies on another machine, which does not answer.
    """
    refuse_endless_named(path, SceneError)
    os.environ.pop("GTIFF_IGNORE_READ_ERRORS", None)  # with it, GDAL reads damaged blocks as pixels
    return _opened(path, lambda: rasterio.open(gdal_name(path)), of or path)


def source_name(path: str) -> str:
    """Name under which a virtual raster has the file at `path`; errors as `open_raster`."""
    return _opened(path, lambda: gdal_name(path), path)


def _opened(path: str, opening: Callable[[], T], name: str) -> T:
    """What `opening` gives; its errors name the file `name`."""
    try:
        return patiently(path, opening, GDAL_ERRORS)
    except GoneAway as error:
        raise gone_away(f"{name} cannot be read", error) from error
    except GDAL_ERRORS as error:
        raise SceneError(f"{name} cannot be opened as a raster: {one_line(error)}") from error
    except (UnicodeError, ValueError) as error:  # a name that GDAL cannot be given
        raise SceneError(f"{name} cannot be opened as a raster: {one_line(error)}.") from error


def gdal_window(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Window of rasterio, in ranges of rows and columns, for a GDAL handle."""
    return (window.row_off, window.row_end), (window.col_off, window.col_end)


def one_line(error: BaseException) -> str:
    """GDAL's error message on one line, without a full stop."""
    cause = error
    if isinstance(error.__cause__, Exception) and not isinstance(error, GoneAway):
        cause = error.__cause__
    text = " ".join(str(cause).split()).rstrip(".")
    return text or type(error).__name__


def read_failure(what: str, error: Exception, *, is_local: bool) -> ReadError | SourceUnavailable:
    """Error for a failed read of a file that could be opened before.

    A local file is damaged permanently. A remote one may become available again, so the job is interrupted.

    Parameters
    ----------
    what
        The sentence up to GDAL's own words, "a.tif cannot be read".
    is_local
        The file has a size and a time stamp here (`rsdetect.scenes.scene.file_version`).
    """
    text = f"{what}: {one_line(error)}"
    if is_local:
        return ReadError(f"{text}.")
    return gone_away(what, error)


def gone_away(what: str, error: Exception) -> SourceUnavailable:
    """What to raise where a file on another machine cannot be read now."""
    return SourceUnavailable(
        f"{what}: {one_line(error)}; once it can be read again, the same command resumes from here."
    )


def read_patiently(path: str, key: Any, read: Callable[[], T], errors: tuple[type[Exception], ...]) -> T:
    """What `read` gives by this thread's handle for `key`; with a new handle where it has to try again.

    Raises
    ------
    GoneAway
        The file lies on another machine, which does not answer.
    """

    def reading() -> T:
        try:
            return read()
        except errors:
            drop_handle(key)
            raise

    require_hope(path)  # threads wait for each other, and each would try as often
    return patiently(path, reading, errors)


def alpha_band(dataset: Any) -> int | None:
    """Number of the alpha band of an open handle, which marks valid pixels of the others (not 0).

    GDAL marks the fourth band of any file of bytes as alpha by default, so one that is described as something
    else is data.
    """
    for number, (colour, text) in enumerate(zip(dataset.colorinterp, dataset.descriptions, strict=True), 1):
        words = (text or "alpha").lower()
        if colour.name == "alpha" and any(word in words for word in ("alpha", "mask", "opacity")):
            return number
    return None


def alpha_in_use(dataset: Any, bands: tuple[int, ...]) -> int | None:
    """Alpha band in use of an open handle, unless overridden by a mask band or among the `bands`."""
    alpha = alpha_band(dataset)
    return None if alpha in bands or has_mask_band(dataset) else alpha


def has_mask_band(dataset: Any) -> bool:
    """True if an open handle has a mask, inside or next to the file, of the valid pixels of all bands."""
    return [flag.name for flag in dataset.mask_flag_enums[0]] == ["per_dataset"]


def keep_open(dataset: Any, stack: ExitStack) -> Any:
    """Keep the handle `dataset` open until `stack` is closed.

    Not by entering it: rasterio ties an entered dataset to a GDAL environment, made where there is none, and
    closing it later, under another environment, would take that one away.
    """
    stack.callback(dataset.close)
    return dataset


def with_gdal_environment(read: Callable[P, T]) -> Callable[P, T]:
    """Decorator to read with a GDAL environment, created for the call if the thread has none.

    Without one, GDAL writes its own complaints straight to stderr.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        with env_ctx_if_needed():
            return read(*args, **kwargs)

    return reading


def thread_handle(key: Any, opener: Callable[[ExitStack], Any]) -> Any:
    """Open handle of this thread for `key`, opened on first use; the least recently used one is closed.

    `opener` keeps every dataset that it opens on the stack it is given, by `keep_open`.
    """
    handles: OrderedDict[Any, tuple[Any, ExitStack]] | None = getattr(_local, "handles", None)
    if handles is None:
        handles = _local.handles = OrderedDict()
    if key in handles:
        handles.move_to_end(key)
        return handles[key][0]
    with ExitStack() as stack:
        dataset = opener(stack)
        handles[key] = dataset, stack.pop_all()
    if len(handles) > _HANDLES_A_THREAD:
        handles.popitem(last=False)[1][1].close()
    return dataset


def drop_handle(key: Any) -> None:
    """Close this thread's handle for `key`, where it has one."""
    found = getattr(_local, "handles", {}).pop(key, None)
    if found is not None:
        found[1].close()


def close_handles() -> None:
    """Close the open handles of the calling thread."""
    for _, stack in getattr(_local, "handles", {}).values():
        stack.close()
    _local.handles = OrderedDict()
