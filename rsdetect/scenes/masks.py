"""Quality masks of the scenes of a pair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rsdetect.errors import GridMismatch, InputError, NothingToCompare
from rsdetect.grid import Grid
from rsdetect.paths import file_name
from rsdetect.scenes.alignment import window_of
from rsdetect.scenes.band_files import file_version, without_query
from rsdetect.scenes.header import read_header
from rsdetect.scenes.mask_classes import kind_by_content
from rsdetect.scenes.quality import kind_by_name
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
    NothingToCompare
        A mask lies outside its scene.
    """
    if any(not 0 <= bit < 31 for bit in options.mask_bits):
        raise InputError("`mask_bits` counts bits from 0 (the lowest) to 30.")
    kinds = options.mask_kind or ("auto",)
    if not options.masks:
        own = _own_mask(options, before, kinds[0]), _own_mask(options, after, kinds[-1])
        if (options.mask_values or options.mask_bits or options.mask_kind) and own == (None, None):
            raise InputError(
                "`mask_values`, `mask_bits` and `mask_kind` say how to read a mask; name it with `masks`."
            )
        return own
    if len(options.masks) > 2:
        raise InputError(f"`masks` takes one file for both dates or two, and got {len(options.masks)}.")
    return (
        _mask(options.masks[0], before, options, kinds[0]),
        _mask(options.masks[-1], after, options, kinds[-1]),
    )


def _own_mask(options: PairOptions, scene: Scene, kind: str) -> MaskFile | None:
    """Quality mask of the scene's product, read as the user says, by its name, or as documented."""
    if scene.files is None or scene.files.mask is None:
        return None
    path, meaning = scene.files.mask
    named = kind if kind != "auto" else kind_by_name(file_name(without_query(path)))
    mask = _mask(path, scene, options, named or "plain")
    if mask is None or options.mask_values or options.mask_bits or named:
        return mask
    return replace(mask, values=meaning.values, bits=meaning.bits, fields=meaning.fields)


def _mask(path: str, scene: Scene, options: PairOptions, kind: str) -> MaskFile | None:
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
    if header.grid.crs is not None and not _overlap(header.grid, scene.grid):
        raise NothingToCompare(
            f"the mask {path} lies outside its scene {scene.path}; give the mask of this scene as `masks`."
        )
    if not header.dtypes[0].startswith(("int", "uint", "bool")):
        raise InputError(f"the mask {path} holds {header.dtypes[0]} values; a mask holds integers.")
    values, bits = options.mask_values, options.mask_bits
    if values or bits:
        kind, guessed, by_content = "plain", False, False
    else:
        kind, guessed, by_content = kind_of_mask(path, kind)
    return MaskFile(
        path,
        file_version(path),
        values,
        bits,
        watched=header.watched,
        kind=kind,
        guessed=guessed,
        by_content=by_content,
        bands=len(header.dtypes),
    )


def kind_of_mask(path: str, kind: str) -> tuple[str, bool, bool]:
    """Kind of a mask, and for "auto" whether it is not known, and whether its values and bands gave it.

    "auto" is the kind of the file's name, else of its content, else "plain".
    """
    if kind != "auto":
        return kind, False, False
    if named := kind_by_name(file_name(without_query(path))):
        return named, False, False
    found = kind_by_content(path)
    return found or "plain", found is None, found is not None


def _overlap(mask: Grid, scene: Grid) -> bool:
    """True if a mask and its scene, both with a CRS, have ground in common."""
    try:
        return not window_of(mask, scene).is_empty
    except NothingToCompare:  # no way from one CRS to the other
        return False


def _size(grid: Grid) -> str:
    return f"{grid.width} x {grid.height}"
