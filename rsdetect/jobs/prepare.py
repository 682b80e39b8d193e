"""Preparation of a pair before it is checked: its registration, fitted once and stored in the work folder."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

from rsdetect.checks.register import Registration, fit_registration
from rsdetect.devices import usable_cores
from rsdetect.files import as_json, write_text
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import describe_input, fingerprint
from rsdetect.scenes.pair import Pair

_log = logging.getLogger(__name__)


def register(
    pair: Pair, *, wanted: bool, outputs: Outputs | None = None, resume: bool = True
) -> tuple[Pair, Registration | None]:
    """Registered pair and its registration; the pair itself unless `wanted`.

    Parameters
    ----------
    outputs
        Holds the fit of an interrupted job, and keeps this one; None = fit without storing it.

    Raises
    ------
    InputError
        As `fit_registration`.
    """
    if not wanted:
        return pair, None
    if outputs is None:
        found = fit_registration(pair, usable_cores())
        return found.apply(pair), found
    inputs = {date: describe_input(getattr(pair, date), pair) for date in ("before", "after")}
    key = fingerprint(inputs, pair, {"name": "registration"}, None)
    file = outputs.fit_file(key, resume=resume, ending=Outputs.REGISTRATION)
    try:
        found = Registration.of_record(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        found = fit_registration(pair, usable_cores())
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, as_json(asdict(found)))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("the stored registration %s is damaged (%s), so that it is fitted again.", file, error)
        file.unlink()
        return register(pair, wanted=wanted, outputs=outputs)
    return found.apply(pair), found
