"""Quality masks of the scenes of a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsdetect.errors import GridMismatch, InputError
from rsdetect.grid import Grid
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.header import read_header
from rsdetect.scenes.scene import MaskFile, Scene

if TYPE_CHECKING:
    from rsdetect.scenes.pair import PairOptions


def masks_of_pair(
    options: PairOptions, before: Scene, after: Scene
) -> tuple[MaskFile | None, MaskFile | None]:
    """Masks of a pair: those given by the user, or those of the scenes' products.

    Raises
    ------
    InputError, GridMismatch
        A mask cannot be read, or does not lie where its scene does.
    """
    if any(not 0 <= bit < 31 for bit in options.mask_bits):
        raise InputError("`mask_bits` counts bits from 0 (the lowest) to 30.")
    if not options.masks:
        own = _own_mask(options, before), _own_mask(options, after)
        if (options.mask_values or options.mask_bits) and own == (None, None):
            raise InputError("`mask_values` and `mask_bits` say how to read a mask; name it with `masks`.")
        return own
    if len(options.masks) > 2:
        raise InputError(f"`masks` takes one file for both dates or two, and got {len(options.masks)}.")
    return (
        _mask(options.masks[0], before, options.mask_values, options.mask_bits),
        _mask(options.masks[-1], after, options.mask_values, options.mask_bits),
    )


def _own_mask(options: PairOptions, scene: Scene) -> MaskFile | None:
    """Quality mask of the scene's product, with the documented meaning or the user's."""
    if scene.files is None or scene.files.mask is None:
        return None
    path, meaning = scene.files.mask
    if options.mask_values or options.mask_bits:
        return _mask(path, scene, options.mask_values, options.mask_bits)
    return _mask(path, scene, meaning.values, meaning.bits)


def _mask(path: str, scene: Scene, values: tuple[int, ...], bits: tuple[int, ...]) -> MaskFile | None:
    if not path:
        return None
    header = read_header(path)
    if header.grid.crs is None and header.grid.shape != scene.grid.shape:
        raise GridMismatch(
            f"the mask {path} has no georeference and {_size(header.grid)} pixels, its scene "
            f"{scene.path} has {_size(scene.grid)}."
        )
    if (header.grid.crs is None) != (scene.grid.crs is None):
        raise GridMismatch(f"of the mask {path} and its scene {scene.path} only one has a CRS.")
    if not header.dtypes[0].startswith(("int", "uint", "bool")):
        raise InputError(f"the mask {path} holds {header.dtypes[0]} values; a mask holds integers.")
    return MaskFile(path, file_version(path), values, bits, header.watched)


def _size(grid: Grid) -> str:
    return f"{grid.width} x {grid.height}"
