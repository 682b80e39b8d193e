"""Options of a comparison of detectors on one pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from rsdetect.backends.select import require_known
from rsdetect.detectors.base import Detector
from rsdetect.devices import require_device_name
from rsdetect.errors import InputError
from rsdetect.scenes.pair import PairKeywords, PairOptions
from rsdetect.validation import refuse_unknown


class CompareKeywords(PairKeywords, total=False):
    """Keywords of `rsdetect.compare` beside scenes, detectors and outputs."""

    truth: str | Path | None
    device: str
    backend: str


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Options of a comparison of detectors."""

    detectors: tuple[str | Detector, ...]  # names, files as FILE.py:Class, or objects; each once
    pair: PairOptions = field(default_factory=PairOptions)
    truth: Path | None = None  # label of the changes: a raster or polygons
    device: str = "auto"  # auto, cpu, cuda, cuda:i
    backend: str = "auto"  # runtime of networks: auto, torch, openvino, onnx

    def __post_init__(self) -> None:
        given = as_detectors(self.detectors)
        if not all(isinstance(each, str | Detector) for each in given):
            raise InputError("`detectors` takes names of detectors, files as FILE.py:Class, or objects.")
        object.__setattr__(self, "detectors", given)
        names = self.names
        if not names:
            raise InputError("`detectors` names no detector; give some, as in `detectors=['cva', 'sfa']`.")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"`detectors` names {name} twice.")
        require_known(self.backend)
        require_device_name(self.device)

    @property
    def names(self) -> list[str]:
        """Names of the compared detectors."""
        return [each.name if isinstance(each, Detector) else each for each in self.detectors]

    @classmethod
    def from_keywords(
        cls, detectors: Sequence[str | Detector] | str | Detector, **keywords: Unpack[CompareKeywords]
    ) -> CompareOptions:
        """Make the options of a comparison of detectors from keywords; unknown ones raise.

        >>> CompareOptions.from_keywords("cva, sfa", align=True).names
        ['cva', 'sfa']
        """
        refuse_unknown(keywords, CompareKeywords)
        given: dict[str, Any] = dict(keywords)
        truth = given.pop("truth", None)
        own = {name: given.pop(name) for name in ("device", "backend") if name in given}
        return cls(
            detectors=as_detectors(detectors),
            pair=PairOptions(**given),
            truth=None if truth is None else Path(truth),
            **own,
        )


def as_detectors(given: Sequence[str | Detector] | str | Detector) -> tuple[str | Detector, ...]:
    """Detectors of a comparison from a sequence, a text with commas, or a single object."""
    if isinstance(given, str):
        return tuple(part.strip() for part in given.split(",") if part.strip())
    return tuple(given) if isinstance(given, Iterable) else (given,)
