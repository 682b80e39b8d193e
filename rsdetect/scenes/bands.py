"""Choice of the bands to compare in each scene, by number or by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rsdetect.errors import InputError
from rsdetect.scenes.header import Header
from rsdetect.scenes.known_bands import known_bands, nearest_band, wavelength_in
from rsdetect.scenes.other_bands import other_bands
from rsdetect.scenes.radar import is_radar


@dataclass(frozen=True)
class WantedBands:
    """Bands that a detector requires or can use."""

    names: tuple[str, ...]  # in its order
    required: int  # number of first bands that are required; the others are optional
    by_name: bool = False  # whether scenes without these band names are refused, not read in file order


@dataclass(frozen=True)
class BandChoice:
    """Choice of the bands to compare, in the detector's order."""

    before: tuple[int, ...]  # band numbers in the before file, 1 = first
    after: tuple[int, ...]  # band numbers in the after file
    names: tuple[str, ...]  # "red", ... or "band3" without a name
    # Which of the detector's own bands each one is, 0 = its first; empty where it has none of its own.
    slots: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()  # what the user should know of the choice


def parse_bands(text: str | None) -> tuple[int | str, ...] | None:
    """Parse `--bands`.

    >>> parse_bands("3,2,1"), parse_bands("red, NIR")
    ((3, 2, 1), ('red', 'nir'))
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InputError(f"`bands` {text!r} names no band; write 3,2,1 or red,green,blue.")
    return tuple(int(part) if part.isdecimal() else part.lower() for part in parts)


def choose_bands(
    before: Header,
    after: Header,
    requested: Sequence[int | str] | None,
    wanted: WantedBands | None,
) -> BandChoice:
    """Choose the bands of both scenes.

    Parameters
    ----------
    requested
        What the user asked for, numbers from 1 or names; None = leave it to the detector.
    wanted
        Bands that the detector requires; None = any number of any bands.

    Raises
    ------
    InputError
        A band does not exist, or there are fewer than the detector requires.
    """
    for header in (before, after):
        if not header.usable:
            raise InputError(f"{header.path} holds no band but alpha; there is nothing in it to compare.")
    if requested is not None:
        return _named_apart(_requested(before, after, _normal(requested), wanted))
    if wanted is None:
        return _named_apart(_all_bands(before, after))
    named = [_by_names(header, wanted) for header in (before, after)]
    if named[0] is not None and named[1] is not None:
        slots = tuple(sorted(named[0].keys() & named[1].keys()))
        return BandChoice(
            before=tuple(named[0][slot] for slot in slots),
            after=tuple(named[1][slot] for slot in slots),
            names=tuple(wanted.names[slot] for slot in slots),
            slots=slots,
        )
    unnamed = [header for header, found in zip((before, after), named, strict=True) if found is None]
    if wanted.by_name:
        raise InputError(_nameless(unnamed, wanted))
    count = wanted.required
    for header in (before, after):
        if len(header.usable) < count:
            raise InputError(_too_few(header, wanted))
    if others := [header for header in unnamed if any(_known(header))]:
        raise InputError(_nameless(others, wanted))
    names = wanted.names[:count]
    first = dict.fromkeys(_shown(header, header.usable[:count]) for header in (before, after))
    note = (
        f"no band is named {', '.join(names)} in {' and '.join(header.path for header in unnamed)}: the "
        f"first {count} bands of both scenes ({' and '.join(first)}) are taken for them; `bands` chooses "
        "others."
    )
    return BandChoice(before.usable[:count], after.usable[:count], names, tuple(range(count)), (note,))


def _normal(requested: Sequence[int | str]) -> tuple[int | str, ...]:
    """Normalise requested bands: names in lower case, numbers as int; text as on the command line."""
    if not requested:
        raise InputError("`bands` chooses no band; leave it out to compare all.")
    return tuple(band.strip().lower() if isinstance(band, str) else int(band) for band in requested)


def _requested(
    before: Header, after: Header, requested: tuple[int | str, ...], wanted: WantedBands | None
) -> BandChoice:
    slots = _slots(requested, wanted) if wanted is not None else ()
    if slots:  # in the order of the detector's bands, whatever the order of names
        slots, requested = zip(*sorted(zip(slots, requested, strict=True)), strict=True)
    chosen = tuple(tuple(_band_number(header, band) for band in requested) for header in (before, after))
    names = tuple(
        band if isinstance(band, str) else (before.names[band - 1] or f"band{band}") for band in requested
    )
    return BandChoice(chosen[0], chosen[1], names, slots)


def _slots(requested: tuple[int | str, ...], wanted: WantedBands) -> tuple[int, ...]:
    """Slot of each requested band in the detector's order: by name if all are its names, else by order."""
    if all(band in wanted.names for band in requested) and len(set(requested)) == len(requested):
        slots = tuple(wanted.names.index(str(band)) for band in requested)
        if set(range(wanted.required)) <= set(slots):
            return slots
    if not wanted.required <= len(requested) <= len(wanted.names):
        most = f" to {len(wanted.names)}" if len(wanted.names) > wanted.required else ""
        raise InputError(
            f"`bands` names {len(requested)} bands and the model takes {wanted.required}{most} "
            f"({', '.join(wanted.names)}, in this order); a band may be named more than once."
        )
    return tuple(range(len(requested)))


def _band_number(header: Header, band: int | str) -> int:
    count = len(header.names)
    if isinstance(band, int):
        if not 1 <= band <= count:
            raise InputError(f"{header.path} has bands 1 to {count}, and `bands` asks for {band}.")
        return band
    found = [number for number, name in enumerate(_apart(header.names), 1) if name == band]
    if header.names.count(band) > 1:
        same = [str(number) for number, name in enumerate(header.names, 1) if name == band]
        raise InputError(
            f"{header.path} has {len(same)} bands named {band!r} ({', '.join(same)}); give band numbers, or "
            f"{band}_2 for the second one."
        )
    found = found or [number for number, name in enumerate(_known(header), 1) if name == band]
    if not found and (length := wavelength_in(band)) is not None:
        place = nearest_band([header.wavelengths[i - 1] for i in header.usable if header.wavelengths], length)
        found = [] if place is None else [header.usable[place]]
    if not found:
        known = ", ".join(name for name in header.names if name) or "none of them"
        raise InputError(
            f"{header.path} has no band named {band!r} (named: {known}); give band numbers instead."
        )
    return found[0]


def _known(header: Header) -> tuple[str, ...]:
    """The common name of each band, "" where it has none or cannot be used."""
    found = known_bands(header.names, header.wavelengths, header.path)
    return tuple(name if number in header.usable else "" for number, name in enumerate(found, 1))


def _shown(header: Header, bands: Iterable[int]) -> str:
    """Bands as the file calls them."""
    return ", ".join((header.names[band - 1] or str(band)).upper() for band in bands)


def _named_apart(choice: BandChoice) -> BandChoice:
    """Other names for different bands of one name, so that each keeps a column of its own."""
    bands = dict.fromkeys(zip(choice.before, choice.after, choice.names, strict=True))
    apart = dict(zip(bands, _apart([name for *_, name in bands]), strict=True))
    return replace(
        choice,
        names=tuple(apart[band] for band in zip(choice.before, choice.after, choice.names, strict=True)),
    )


def _apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names with a number behind each repetition.

    >>> _apart(["red", "rededge", "rededge", "rededge"])
    ('red', 'rededge', 'rededge_2', 'rededge_3')
    """
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 or not name else f"{name}_{seen[name]}")
    return tuple(found)


def _all_bands(before: Header, after: Header) -> BandChoice:
    notes: tuple[str, ...] = ()
    if bad := {*before.bad_bands, *after.bad_bands} if len(before.names) == len(after.names) else set():
        before, after = (replace(header, bad_bands=tuple(sorted(bad))) for header in (before, after))
        notes = (
            f"bands {', '.join(map(str, sorted(bad)))} are left out: {before.path} or {after.path} calls "
            "them bad; `bands` can name them.",
        )
    before, after, left_out = _of_light(before, after)
    notes += left_out
    if len(before.usable) != len(after.usable):
        raise InputError(
            f"{before.path} has {len(before.usable)} bands and {after.path} has {len(after.usable)}; "
            "choose with `bands` those that both have."
        )
    named = all(before.names[i - 1] for i in before.usable)
    names = tuple(before.names[i - 1] if named else f"band{i}" for i in before.usable)
    if named and all(after.names[i - 1] for i in after.usable):
        other = tuple(after.names[i - 1] for i in after.usable)
        # By their own names, or by what products mean by them: B4 of one is the red of another.
        for one, two in ((names, other), (_meant(before), _meant(after))):
            if sorted(one) == sorted(two) and len(set(one)) == len(one):
                numbers = tuple(after.usable[two.index(name)] for name in one)
                return BandChoice(before.usable, numbers, names, notes=notes)
        if other != names:
            notes += (
                f"the bands are compared in file order although they are named {', '.join(names)} in "
                f"{before.path} and {', '.join(other)} in {after.path}.",
            )
    return BandChoice(before.usable, after.usable, names, notes=notes)


def _of_light(before: Header, after: Header) -> tuple[Header, Header, tuple[str, ...]]:
    """Headers without thermal and quality bands, unless nothing else is left, and a note that names them."""
    found = [other_bands(header) for header in (before, after)]
    if not any(found) or any(
        len(other) == len(header.usable) for header, other in zip((before, after), found, strict=True)
    ):
        return before, after, ()
    named = dict.fromkeys(
        f"{header.names[number - 1] or f'band {number}'} ({kind})"
        for header, other in zip((before, after), found, strict=True)
        for number, kind in other.items()
    )
    note = f"{', '.join(named)}: left out, no band of reflected light; `bands` can name them."
    kept = [
        replace(header, bad_bands=(*header.bad_bands, *other))
        for header, other in zip((before, after), found, strict=True)
    ]
    return kept[0], kept[1], (note,)


def _meant(header: Header) -> tuple[str, ...]:
    """The common names of the usable bands, or their own where they have none."""
    known = _known(header)
    return tuple(known[number - 1] or header.names[number - 1] for number in header.usable)


def _by_names(header: Header, wanted: WantedBands) -> dict[int, int] | None:
    """Band number for each slot whose band is known; None where a required one is missing."""
    known = _known(header)
    found = {}
    for slot, name in enumerate(wanted.names):
        for names in (header.names, known):
            if name in names:
                found[slot] = names.index(name) + 1
                break
    return found if set(range(wanted.required)) <= found.keys() else None


def _nameless(headers: Sequence[Header], wanted: WantedBands) -> str:
    """Refusal of scenes without required bands; those that none of them names are listed."""
    required = wanted.names[: wanted.required]
    known = [{*header.names, *_known(header)} for header in headers]
    missing = [name for name in required if not any(name in names for names in known)] or required
    return (
        f"{' and '.join(header.path for header in headers)} {'has' if len(headers) == 1 else 'have'} no "
        f"band{'s' if len(missing) > 1 else ''} named {', '.join(missing)}; give the numbers of "
        f"{', '.join(required)} as `bands`, in this order."
    )


def _too_few(header: Header, wanted: WantedBands) -> str:
    have, want = len(header.usable), wanted.required
    repeat = ", ".join(["1"] * want)
    bands = f"{header.path} has {have} band{'s' if have != 1 else ''}"
    if is_radar(header):
        return (
            f"{bands} of radar and the model wants {want} ({', '.join(wanted.names[:want])}); take "
            "`detector='log-ratio'`, which compares radar echoes."
        )
    return (
        f"{bands} and the model wants {want} ({', '.join(wanted.names[:want])}); choose with `bands` (one "
        f"band may be repeated: `bands=[{repeat}]`), or take `detector='sfa'`, which works on any bands."
    )
