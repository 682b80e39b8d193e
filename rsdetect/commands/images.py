"""The command `rsdetect images`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.amounts import count_text
from rsdetect.commands.messages import print_json, print_message
from rsdetect.commands.parameters import Debug, Json, Quiet


def images(
    sources: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES.toml",
            help="One table [[image]] per file: path; optionally bands, mask_band, mask_values, buildings.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder, for --images of rsdetect train.")],
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Prepare GeoTIFFs as source images for training, which then requires no raster library.

    Files on the same grid with the same bands are dates of one place.
    """
    from rsdetect.training.compositing.prepare_images import prepare_images, read_image_list

    written = prepare_images(read_image_list(sources), out)
    if as_json:
        print_json({"images": [str(path) for path in written]})
        return
    if not quiet:
        print_message(f"{count_text(len(written), 'place')} prepared: {out}")
