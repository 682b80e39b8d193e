"""Option dataclasses: by keyword only, and one item is one item in every field that takes several."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import pydantic
import pytest

import rsdetect
from rsdetect.detectors import Detector
from rsdetect.errors import InputError
from rsdetect.evaluation.options import EvaluateOptions
from rsdetect.evaluation.run import evaluate
from rsdetect.feeds.sections import Section
from rsdetect.jobs.options import DetectOptions
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import PairOptions
from rsdetect.training.options import TrainOptions
from rsdetect.training.prepare_scenes import PrepareOptions

REQUIRED = {  # of option dataclasses that have no default for everything
    TrainOptions: {"out": Path("m.safetensors")},
    PrepareOptions: {"wanted": WantedBands(("red",), 1)},
}
ONE = {  # of each sequence field, what a single item becomes; None = refused by name
    ("CompareOptions", "detectors"): ("cva", ("cva",)),
    ("EvaluateOptions", "bands"): ("red", ("red",)),
    ("EvaluateOptions", "shifts_px"): (0.5, (0.5,)),
    ("EvaluateOptions", "disturb"): ("haze", ("haze",)),
    ("PairOptions", "accept"): ("no-place", ("no-place",)),
    ("PairOptions", "bands"): (3, (3,)),
    ("PairOptions", "dates"): ("2024-05-03", None),
    ("PairOptions", "mask_bits"): (4, (4,)),
    ("PairOptions", "mask_values"): (9, (9,)),
    ("PairOptions", "mask_kind"): ("fmask", ("fmask",)),
    ("PairOptions", "nodata"): (0, (0.0,)),
    ("PairOptions", "masks"): (Path("m.tif"), ("m.tif",)),
    ("PrepareOptions", "bands"): ("red", ("red",)),
    ("SceneSpec", "shift_px"): (0.5, None),
    ("TrainOptions", "average_with"): ("siamese", ("siamese",)),
    ("TrainOptions", "bands"): ("red", ("red",)),
    ("TrainOptions", "changes"): ("seed=1", ("seed=1",)),
    ("ScoreOptions", "detector_options"): ("level=otsu", ("level=otsu",)),
    ("EvaluateOptions", "detector_options"): ("level=otsu", ("level=otsu",)),
    ("TrainOptions", "folders"): (Path("pairs"), ("pairs",)),
}

DISTINCT = {("CompareOptions", "detectors")}  # the same item twice is refused


def classes_of_the_package(matching):
    found = {}
    for module in pkgutil.walk_packages(rsdetect.__path__, "rsdetect."):
        if module.name.endswith("__main__"):
            continue
        for each in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(each) and each.__module__ == module.name and matching(each):
                found[each.__name__] = each
    return found


OPTIONS = classes_of_the_package(
    lambda each: dataclasses.is_dataclass(each) and each.__name__.endswith(("Options", "Spec"))
)
SEQUENCES = sorted(
    (name, field.name)
    for name, kind in OPTIONS.items()
    for field in dataclasses.fields(kind)
    if str(field.type).startswith(("tuple", "Sequence", "list")) and "date" not in str(field.type)
)


def made(name, **fields):
    return OPTIONS[name](**REQUIRED.get(OPTIONS[name], {}), **fields)


def test_the_option_dataclasses_are_found():
    assert {"DetectOptions", "PairOptions", "TraceOptions", "EvaluateOptions", "TrainOptions"} <= set(OPTIONS)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_options_are_given_by_keyword_only(name):
    parameters = list(inspect.signature(OPTIONS[name]).parameters.values())
    assert parameters
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}


def test_every_sequence_field_is_in_the_table():
    assert sorted(ONE) == SEQUENCES


@pytest.mark.parametrize(("name", "field"), SEQUENCES)
def test_one_item_is_one_item_or_is_refused_by_name(name, field):
    given, wanted = ONE[name, field]
    if wanted is None:
        with pytest.raises(InputError, match=field):
            made(name, **{field: given})
    else:
        assert getattr(made(name, **{field: given}), field) == wanted
        if (name, field) in DISTINCT:
            with pytest.raises(InputError, match=field):
                made(name, **{field: [given, given]})
        else:
            assert getattr(made(name, **{field: [given, given]}), field) == wanted * 2


@pytest.mark.parametrize(("name", "field"), SEQUENCES)
def test_an_item_of_another_kind_is_refused_by_name(name, field):
    with pytest.raises(InputError, match=field):
        made(name, **{field: [{}]})


def test_a_mask_is_not_taken_letter_by_letter():
    assert DetectOptions.from_keywords(masks="m.tif").pair.masks == ("m.tif",)
    with pytest.raises(InputError, match="`mask_values` takes integers, and got '3,8'"):
        PairOptions(masks="m.tif", mask_values="3,8")


def test_a_single_folder_is_one_folder(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        evaluate(tmp_path, detector="cva")


def test_sections_of_files_refuse_one_item_instead_of_several():
    """YAML and TOML have lists; `exclude: a.tif` is refused, and not read letter by letter."""
    models = classes_of_the_package(lambda each: issubclass(each, Section))
    fields = [
        (model, name)
        for model in models.values()
        for name, field in model.model_fields.items()
        if str(field.annotation).startswith("tuple") or "tuple[" in str(field.annotation)
    ]
    assert ("ScenesSection", "exclude") in [(model.__name__, name) for model, name in fields]
    for model, name in fields:
        with pytest.raises(pydantic.ValidationError) as refused:
            model.model_validate({name: "one"})
        assert any(error["loc"][0] == name for error in refused.value.errors())


class Own(Detector):
    name = "own"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"detector": Own}, r"`detector` is the class Own; give an object of it, `detector=Own\(\)`"),
        ({"detector": 3}, "`detector` is 3; give a name"),
        ({"min_area": "400"}, "`min_area` takes a number, and got '400'"),
        ({"threshold": "0.5"}, "`threshold` takes a number, and got '0.5'"),
        ({"workers": "2"}, "`workers` takes an integer, and got '2'"),
        ({"tile_size": 256.5}, "`tile_size` takes an integer, and got 256.5"),
        ({"device": 0}, "`device` 0 is unknown"),
    ],
)
def test_a_value_of_another_type_is_refused_with_a_remedy(given, message):
    with pytest.raises(InputError, match=message):
        DetectOptions.from_keywords(**given)


def test_evaluate_refuses_the_class_of_a_detector():
    with pytest.raises(InputError, match="`detector` is the class Own"):
        EvaluateOptions(detector=Own)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "", "cuda:-1"])
def test_an_unknown_device_is_refused_also_by_detectors_that_use_none(device):
    with pytest.raises(InputError, match="device"):
        DetectOptions.from_keywords(detector="cva", device=device)
