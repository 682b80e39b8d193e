"""Registry of detectors: built-in ones, of installed packages, and of users' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from rsdetect.detectors.base import Detector
from rsdetect.detectors.own_file import is_own_file, load_own
from rsdetect.errors import DetectorError, InputError

GROUP = "rsdetect.detectors"
_BUILT_IN = {
    "best": "rsdetect.detectors.best:BestDetector",
    "siamese": "rsdetect.detectors.learned:SiameseDetector",
    "cva": "rsdetect.detectors.cva:CvaDetector",
    "sfa": "rsdetect.detectors.sfa:SfaDetector",
    "texture": "rsdetect.detectors.texture:TextureDetector",
    "difference": "rsdetect.detectors.difference:DifferenceDetector",
    "irmad": "rsdetect.detectors.irmad:IrMadDetector",
    "pca-kmeans": "rsdetect.detectors.pca_kmeans:PcaKmeansDetector",
    "log-ratio": "rsdetect.detectors.log_ratio:LogRatioDetector",
}


class Registry(Mapping[str, type[Detector]]):
    """Registry of detector classes by name, imported on access.

    Packages add theirs by an entry point of the group `rsdetect.detectors`. Built-in names cannot be
    overridden.

    >>> DETECTORS["cva"].name
    'cva'
    """

    def __getitem__(self, name: str) -> type[Detector]:
        """Detector class of a name.

        Raises
        ------
        KeyError
            No detector has this name.
        DetectorError
            The package cannot be imported, or the entry point is no `Detector`.
        """
        point = self._built_in.get(name) or self._points[name]
        try:
            found = point.load()
        except Exception as error:
            raise DetectorError(
                f"`detector={name!r}` cannot be loaded from {point.value} ({type(error).__name__}: {error}); "
                "fix or remove the package that provides it."
            ) from error
        if not (isinstance(found, type) and issubclass(found, Detector)):
            raise DetectorError(
                f"`detector={name!r}`: {point.value} is not a subclass of rsdetect's Detector."
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    @cached_property
    def _built_in(self) -> dict[str, EntryPoint]:
        return {name: EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        others = {point.name: point for point in entry_points(group=GROUP)}
        return {**self._built_in, **{name: others[name] for name in sorted(others) if name not in _BUILT_IN}}


DETECTORS = Registry()


def find_detector(name: str) -> type[Detector]:
    """Find the class of `--detector` in the registry `DETECTORS`, in any case, or as FILE.py:Class.

    Raises
    ------
    InputError
        The name is unknown.
    DetectorError
        The file or package cannot be loaded.
    """
    if is_own_file(name):
        return load_own(name)
    same = [known for known in DETECTORS if known.casefold() == name.casefold()]
    try:
        return DETECTORS[name if name in DETECTORS or len(same) != 1 else same[0]]
    except KeyError:
        raise InputError(
            f"`detector` {name!r} is unknown; choose one of {', '.join(DETECTORS)}, or name a file of your "
            "own as path/to/file.py:Class."
        ) from None
