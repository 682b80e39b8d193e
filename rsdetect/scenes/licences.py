"""Licences of scenes, from the tags of local files."""

from __future__ import annotations

from rsdetect.scenes.header import read_header
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene

_TAGS = ("LICENSE", "LICENCE", "COPYRIGHT", "TIFFTAG_COPYRIGHT", "EXIF_COPYRIGHT")


def licence_of(pair: Pair) -> str:
    """Licences of both scenes, each once; "" where no file names one."""
    found = [_licence(scene) for scene in (pair.before, pair.after)]
    return "; ".join(dict.fromkeys(text for text in found if text))


def _licence(scene: Scene) -> str:
    if scene.version is None or scene.files is not None:
        return ""
    tags = {name.upper(): text for name, text in read_header(scene.path).tags.items()}
    return next((tags[name].strip() for name in _TAGS if tags.get(name, "").strip()), "")
