"""Scene of a pair: pixels of a file or source, and reading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import SceneError
from rsdetect.grid import Grid, Window
from rsdetect.paths import file_name
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.blocks import Pixels, SharedBlocks
from rsdetect.scenes.control_points import ControlPoints
from rsdetect.scenes.displacement import Displacement
from rsdetect.scenes.failing_servers import GoneAway
from rsdetect.scenes.handles import (
    GDAL_ERRORS,
    alpha_in_use,
    gdal_window,
    has_mask_band,
    keep_open,
    open_raster,
    read_failure,
    read_patiently,
    thread_handle,
    with_gdal_environment,
)
from rsdetect.scenes.quality import MaskMeaning, mask_meaning
from rsdetect.scenes.source_blocks import parts_under, source_files
from rsdetect.scenes.validity import NOT_MEASURED, Validity
from rsdetect.scenes.warping import BLOCK, warped_bands, warped_classes
from rsdetect.scenes.watched import Watched, require_unchanged

if TYPE_CHECKING:
    from rsdetect.scenes.source import Source

_T = TypeVar("_T")
_WHOLE = 1e-6  # to which an offset is an integer multiple of the scale

# What reading may end with. The header was read before, so a scene that cannot be opened went away.
_BROKEN: tuple[type[Exception], ...] = (SceneError, *GDAL_ERRORS)
_BROKEN_OR_AWAY: tuple[type[Exception], ...] = (GoneAway, *_BROKEN)


@dataclass(frozen=True)
class MaskFile:
    """Mask file of a scene: clouds or quality, on any grid that can be warped to the scene's."""

    path: str
    version: tuple[int, int] | None  # (bytes, modification time in ns) of a local file
    values: tuple[int, ...] = ()  # pixel values that hide the ground
    bits: tuple[int, ...] = ()  # bit numbers, 0 = lowest, any of which hides the ground
    # Groups of bits: lowest bit, number of bits, and the values of the group that hide the ground.
    fields: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    # Without these the kind decides; of a plain mask every value but 0 hides the ground.
    watched: tuple[Watched, ...] = field(default=(), compare=False, repr=False)
    kind: str = "plain"  # one of MASK_KINDS but "auto"
    guessed: bool = field(default=False, compare=False, repr=False)  # not given, and not in the name
    by_content: bool = field(default=False, compare=False, repr=False)  # the kind is that of its values
    bands: int = field(default=1, compare=False, repr=False)  # of the file, of which the first is read

    @property
    def meaning(self) -> MaskMeaning:
        """Values and bits that hide the ground."""
        if self.values or self.bits or self.fields or self.kind == "plain":
            return MaskMeaning(self.values, self.bits, self.fields)
        return mask_meaning(self.kind, "")

    def hides(self, classes: NDArray[np.int64]) -> BoolArray:
        """Pixels that the scene's mask hides; -1 (outside of the mask) is hidden."""
        return self.meaning.hides(classes)


@dataclass(frozen=True)
class Scene:
    """Scene of one date of a pair. It can be pickled and holds no open file, if its source does not."""

    path: str  # whatever GDAL opens; the name of a source or of a scene of `files`
    version: tuple[int, int] | None  # (bytes, modification time in ns) of a local file, or of all `files`
    grid: Grid  # the grid that `offset` counts on: the file's own, or the one it is warped onto
    bands: tuple[int, ...]  # band numbers, 1 = first
    dtype: str  # of those bands in the file
    validity: Validity  # by which mask and numbers a pixel counts as data
    nodata: float | None = None  # that the file declares
    offset: tuple[int, int] = (0, 0)  # (row, column) of the pair's first pixel on `grid`
    warp: str | None = None  # resampling by which the file is warped onto `grid`; None = read as it is
    blocks: tuple[int, int] = (BLOCK, BLOCK)  # (rows, columns) that are decoded at a time
    mask: MaskFile | None = None
    files: BandFiles | None = None  # where each band is a file of its own
    control: ControlPoints | None = None  # which alone place the file; `warp` is set
    displacement: Displacement | None = None  # of its content on the pair's grid, undone while it is read
    # A physical value is number * scale + offset; one entry a band of `bands`, or empty: numbers as they are.
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    # What gives the pixels; None = GDAL opens `path`. A fingerprint has the source's token, not its repr.
    source: Source | None = field(default=None, repr=False)
    # Its local files as they were when the header was read. Not part of what the scene is: a copy of them is
    # the same scene.
    watched: tuple[Watched, ...] = field(default=(), compare=False, repr=False)

    @property
    def name(self) -> str:
        """File name of the scene without its folder."""
        return file_name(self.path)

    def in_bands(self, bands: Sequence[int]) -> Scene:
        """The scene with some of its bands only, counted from 0."""

        def chosen(values: tuple[_T, ...]) -> tuple[_T, ...]:
            return tuple(values[band] for band in bands) if values else ()

        return replace(
            self, bands=chosen(self.bands), scales=chosen(self.scales), offsets=chosen(self.offsets)
        )


@with_gdal_environment
def read_scene(scene: Scene, window: Window) -> tuple[Float32Array, BoolArray]:
    """Read a `window` of a scene, on the pair's grid.

    Returns
    -------
    values, valid
        (bands, height, width) float32 and (height, width) bool, True = usable. Values are reflectance, or
        whatever the scene's scale and offset give, and the file's numbers where it names none. Outside the
        scene, and wherever a pixel is not valid, values are 0. A pixel is valid when every band
        that is used is.

    Raises
    ------
    ReadError, SourceUnavailable
        The file broke while it was read, or its server went away; the message names it.
    """
    if scene.displacement is None:
        return _read_in_place(scene, window)
    source = scene.displacement.source_window(window)
    return scene.displacement.resample(*_read_in_place(scene, source), source, window)


def _read_in_place(scene: Scene, window: Window) -> tuple[Float32Array, BoolArray]:
    """Read a `window` of a scene as `read_scene` does, without its displacement."""
    wanted = window.shifted(*scene.offset)
    inside = wanted.intersection(scene.grid.window)
    if inside != wanted:
        values = np.zeros((len(scene.bands), *window.shape), dtype=np.float32)
        valid = np.zeros(window.shape, dtype=bool)
        if inside.is_empty:
            return values, valid
    else:
        values = np.empty((len(scene.bands), *window.shape), dtype=np.float32)
        valid = np.empty(window.shape, dtype=bool)
    shared = _shared.get(_file_key(scene))
    parts = [(inside, _decode(scene, inside))] if shared is None else shared.read(inside)
    for part, pixels in parts:
        rows, cols = part.slices_in(wanted)
        values[:, rows, cols] = pixels.values
        valid[rows, cols] = pixels.usable
    rows, cols = inside.slices_in(wanted)
    _to_physical(scene, values[:, rows, cols])
    if scene.mask is not None:
        valid[rows, cols] &= ~scene.mask.hides(read_mask(scene.mask, scene.grid, inside))
    if not valid[rows, cols].all():
        np.copyto(values, np.float32(0), where=~valid)
    return values, valid


def _to_physical(scene: Scene, values: Float32Array) -> None:
    """Apply scale and offset in place, so that numbers of one ground in two encodings come out equal."""
    if not scene.scales:
        return
    for band, scale, offset in zip(values, scene.scales, scene.offsets, strict=True):
        shift = offset / scale
        # Whole steps are exact: 5000 - 1000 is the 4000 of before the baseline to the last bit.
        whole = round(shift)
        band += np.float32(whole if abs(shift - whole) < _WHOLE * max(1, abs(shift)) else shift)
        band *= np.float32(scale)


def physical_values(scene: Scene, number: float) -> Float32Array:
    """What `read_scene` gives for a number of the scene's file, (bands,) float32."""
    values = np.full((len(scene.bands), 1), number, np.float32)
    _to_physical(scene, values)
    return np.asarray(values[:, 0])


@contextmanager
def sharing_blocks(
    windows: Mapping[Scene, Sequence[Window]], most_bytes: int
) -> Iterator[list[SharedBlocks]]:
    """Share decoded blocks of scenes between the threads of this process, in a context.

    Parameters
    ----------
    windows
        Windows that will be read of each scene, each once, on the pair's grid.
    most_bytes
        Memory of the cache.
    """
    planned: dict[Scene, list[Window]] = {}
    for scene, places in windows.items():
        planned.setdefault(_file_key(scene), []).extend(
            _on_file(scene, place).intersection(scene.grid.window) for place in places
        )
    share = most_bytes // max(1, len(planned))
    made: dict[Scene, SharedBlocks] = {}
    for scene, places in planned.items():
        rows, cols = scene.blocks
        # A file that is one block (a picture in a single strip, say) is left to GDAL.
        if rows * cols * bytes_per_pixel(scene) <= share:
            mosaic = source_files(scene.path)
            made[scene] = SharedBlocks(
                scene.grid.window,
                (rows, cols),
                places,
                partial(_decode, scene),
                share,
                partial(parts_under, mosaic) if mosaic else None,
            )
    # Of two jobs at once in this process the first is the one that shares; the other may read through it.
    ours = [scene for scene, blocks in made.items() if _shared.setdefault(scene, blocks) is blocks]
    try:
        yield list(made.values())
    finally:
        for scene in ours:
            del _shared[scene]


def _on_file(scene: Scene, window: Window) -> Window:
    """Window of the pair's grid as it is read from the scene's own grid."""
    if scene.displacement is not None:
        window = scene.displacement.source_window(window)
    return window.shifted(*scene.offset)


# Whatever is read of a file inside `sharing_blocks`, by `_file_key`.
_shared: dict[Scene, SharedBlocks] = {}


def _file_key(scene: Scene) -> Scene:
    """Key of the pixels that a scene reads from its file, independent of the pair's grid."""
    return replace(scene, mask=None, offset=(0, 0), displacement=None)


def bytes_per_pixel(scene: Scene) -> int:
    """Memory of a decoded pixel of the scene in bytes, including its validity."""
    if scene.warp:
        return 4 * len(scene.bands) + 1
    return max(np.dtype(dtype).itemsize for dtype in scene.dtype.split(", ")) * len(scene.bands) + 1


def _handle(scene: Scene) -> Any:
    return thread_handle(_file_key(scene), lambda stack: _open_scene(scene, stack))


def _decode(scene: Scene, inside: Window) -> Pixels:
    # What an array computes may fail in any way.
    broken = _BROKEN if scene.source is None else (Exception,)
    away: tuple[type[Exception], ...] = (GoneAway, *broken)
    place = scene.files.vrt if scene.files else scene.path
    try:
        raw, usable = read_patiently(place, _file_key(scene), lambda: _raw(scene, inside), broken)
    except away as error:
        require_unchanged(scene.watched)
        raise read_failure(
            f"{scene.path} cannot be read at rows {inside.row_off} to {inside.row_end - 1}, columns "
            f"{inside.col_off} to {inside.col_end - 1}",
            error,
            is_local=scene.version is not None,
        ) from error
    if not scene.warp:
        usable &= scene.validity.usable(raw, scene.bands)
    if raw.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and so not usable
            raw = raw.astype(np.float32, copy=False)
        usable &= (np.abs(raw) < NOT_MEASURED).all(axis=0)  # nor NaN
    return Pixels(raw, usable)


def _raw(scene: Scene, inside: Window) -> tuple[NDArray[Any], BoolArray]:
    if scene.source is not None:
        return scene.source.read(inside, scene.bands)
    dataset = _handle(scene)
    if scene.warp:
        raw = dataset.read(window=gdal_window(inside))
        return raw[:-1], raw[-1] != 0
    return read_unmasked(dataset, scene.bands, gdal_window(inside), masked=scene.validity.masked)


def read_unmasked(
    dataset: Any, bands: tuple[int, ...], place: Any, *, masked: bool = True
) -> tuple[NDArray[Any], BoolArray]:
    """Pixels of an open dataset, and where its mask band, or else its alpha band, says that they are data.

    GDAL's own mask would forget the alpha band where there is a nodata value or where more or fewer than
    three bands stand beside it.
    """
    raw: NDArray[Any] = dataset.read(list(bands), window=place)
    usable = np.ones(raw.shape[1:], dtype=bool)
    if not masked:
        return raw, usable
    if (alpha := alpha_in_use(dataset, bands)) is not None:
        usable &= dataset.read(alpha, window=place) != 0
    elif has_mask_band(dataset):
        usable &= dataset.read_masks(bands[0], window=place) != 0
    return raw, usable


def _open_scene(scene: Scene, stack: ExitStack) -> Any:
    place = scene.files.vrt if scene.files else scene.path
    dataset = keep_open(open_raster(place, of=scene.path), stack)
    require_unchanged(scene.watched)  # after it was opened: what is replaced later, this handle does not see
    if scene.warp:
        view = warped_bands(
            dataset, scene.bands, scene.grid, scene.warp, scene.validity, control=scene.control
        )
        dataset = keep_open(open_raster(view, of=scene.path), stack)
    return dataset


def read_mask(mask: MaskFile, grid: Grid, inside: Window) -> NDArray[np.int64]:
    """Values of a scene's mask on `grid`, (height, width); -1 outside of the mask."""

    def opener(stack: ExitStack) -> Any:
        dataset = keep_open(open_raster(mask.path), stack)
        require_unchanged(mask.watched)
        if grid.crs is not None:
            view = warped_classes(dataset, grid)
            dataset = keep_open(open_raster(view, of=mask.path), stack)
        return dataset

    key = (mask.path, mask.version, grid)

    def read() -> NDArray[np.int64]:
        classes: NDArray[np.int64] = thread_handle(key, opener).read(1, window=gdal_window(inside))
        return classes.astype(np.int64)

    try:
        return read_patiently(mask.path, key, read, _BROKEN)
    except _BROKEN_OR_AWAY as error:
        require_unchanged(mask.watched)
        raise read_failure(
            f"the mask {mask.path} cannot be read", error, is_local=mask.version is not None
        ) from error
