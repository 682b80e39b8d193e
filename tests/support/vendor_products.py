"""Files of vendors as they are delivered: names and metadata fields of real ones, small pictures.

Each function names the repository and path whose fields it repeats; the values are those of the real file.
"""

from __future__ import annotations

import json
from pathlib import Path

import rasterio
from affine import Affine

from support.scenes import write_scene

THIRTY = Affine(30, 0, 500000, 0, -30, 5300000)


def tag(path, ns=None, **tags):
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns=ns, **tags)
    return path


# opendatacube/eo-datasets, tests/integration/prepare/data/LC08_L1TP_090084_20160121_20170405_01_T1,
# the file ..._MTL.txt
LANDSAT_1 = "LC08_L1TP_090084_20160121_20170405_01_T1"
LANDSAT_1_RADIANCE = (1.2965e-02, 1.3277e-02, 1.2234e-02, 1.0317e-02, 6.3133e-03, 1.5701e-03, 5.2920e-04)


def landsat_mtl():
    """The groups of the real MTL that have what is read, and those that could be mistaken for it."""
    radiance = [f"    RADIANCE_MULT_BAND_{i} = {m:.4E}" for i, m in enumerate(LANDSAT_1_RADIANCE, 1)]
    reflectance = [
        f"    REFLECTANCE_{kind}_BAND_{i} = {value}"
        for kind, value in (("MULT", "2.0000E-05"), ("ADD", "-0.100000"))
        for i in range(1, 10)
    ]
    files = [f'    FILE_NAME_BAND_{i} = "{LANDSAT_1}_B{i}.TIF"' for i in range(1, 12)]
    return "\n".join(
        [
            "GROUP = L1_METADATA_FILE", "  GROUP = METADATA_FILE_INFO",
            f'    LANDSAT_PRODUCT_ID = "{LANDSAT_1}"', "    COLLECTION_NUMBER = 01",
            "    FILE_DATE = 2017-04-05T11:17:36Z", "  END_GROUP = METADATA_FILE_INFO",
            "  GROUP = PRODUCT_METADATA", "    DATE_ACQUIRED = 2016-01-21", *files,
            f'    FILE_NAME_BAND_QUALITY = "{LANDSAT_1}_BQA.TIF"', "  END_GROUP = PRODUCT_METADATA",
            "  GROUP = IMAGE_ATTRIBUTES", "    SUN_ELEVATION = 55.48648300", "  END_GROUP = IMAGE_ATTRIBUTES",
            "  GROUP = MIN_MAX_REFLECTANCE", "    REFLECTANCE_MAXIMUM_BAND_1 = 1.210700",
            "  END_GROUP = MIN_MAX_REFLECTANCE", "  GROUP = RADIOMETRIC_RESCALING", *radiance, *reflectance,
            "  END_GROUP = RADIOMETRIC_RESCALING", "END_GROUP = L1_METADATA_FILE", "END", "",
        ]
    )  # fmt: skip


# Terradue/Stars, src/Stars.Data.Tests/Resources/PLANETSCOPE/L3B/data/20160831_212705_0c43_ortho_analytic_4b
PLANETSCOPE = "20160831_212705_0c43_3B_AnalyticMS"
PLANETSCOPE_FACTORS = (1.96831468518e-05, 2.11127222982e-05, 2.33772293772e-05, 3.58086677059e-05)


def planetscope_xml(factors=PLANETSCOPE_FACTORS):
    bands = "".join(
        f"<ps:bandSpecificMetadata>\n<ps:bandNumber>{i}</ps:bandNumber>\n"
        "<!-- Multiply by radiometricScaleFactor to convert DNs to TOA Radiance -->\n"
        "<ps:radiometricScaleFactor>0.01</ps:radiometricScaleFactor>\n"
        f"<ps:reflectanceCoefficient>{factor}</ps:reflectanceCoefficient>\n</ps:bandSpecificMetadata>\n"
        for i, factor in enumerate(factors, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ps:EarthObservation xmlns:ps="http://schemas.planet.com/ps">'
        "<ps:acquisitionDateTime>2016-08-31T21:27:05+00:00</ps:acquisitionDateTime>"
        f"<ps:numBands>{len(factors)}</ps:numBands>{bands}</ps:EarthObservation>\n"
    )


# sertit/eoreader, eoreader/products/optical/sky_product.py: the tag that it reads, and the order of its bands
SKYSAT_FACTORS = (0.0021, 0.0022, 0.0026, 0.0037)


def skysat_description(factors=SKYSAT_FACTORS):
    return json.dumps({"properties": {"reflectance_coefficients": list(factors)}})


# Terradue/Stars, src/Stars.Data.Tests/Resources/AIRBUS/PLEIADES/ORT/data/5881313101/IMG_PHR1A_PMS_001,
# the file DIM_...XML
PLEIADES = "PHR1A_PMS_202108151541301_ORT_5881313101"
PLEIADES_GAINS = {"B0": 8.85, "B1": 8.89, "B2": 9.95, "B3": 15.24}
PLEIADES_SUN = {"B0": 1915.0, "B1": 1831.0, "B2": 1594.0, "B3": 1060.0}


def pleiades_dimap(processing="BASIC", stretch="false"):
    gains = "".join(
        f"<Band_Radiance><BAND_ID>{band}</BAND_ID><GAIN>{gain}</GAIN><BIAS>0</BIAS></Band_Radiance>"
        for band, gain in PLEIADES_GAINS.items()
    )
    sun = "".join(
        f"<Band_Solar_Irradiance><BAND_ID>{band}</BAND_ID><VALUE>{value}</VALUE></Band_Solar_Irradiance>"
        for band, value in PLEIADES_SUN.items()
    )
    places = "".join(
        f"<Located_Geometric_Values><LOCATION_TYPE>{place}</LOCATION_TYPE><Solar_Incidences>"
        f"<SUN_ELEVATION>{elevation}</SUN_ELEVATION></Solar_Incidences></Located_Geometric_Values>"
        for place, elevation in (
            ("Top Center", 71.25969351912394), ("Center", 71.26746896645534),
            ("Bottom Center", 71.27364287265952),
        )
    )  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Dimap_Document><Metadata_Identification>'
        '<METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT></Metadata_Identification>'
        "<Processing_Information><Product_Settings><Radiometric_Settings>"
        f"<RADIOMETRIC_PROCESSING>{processing}</RADIOMETRIC_PROCESSING>"
        f"<RADIOMETRIC_STRETCH>{stretch}</RADIOMETRIC_STRETCH></Radiometric_Settings></Product_Settings>"
        "</Processing_Information><Raster_Data><Raster_Display><Band_Display_Order>"
        "<RED_CHANNEL>B2</RED_CHANNEL><GREEN_CHANNEL>B1</GREEN_CHANNEL><BLUE_CHANNEL>B0</BLUE_CHANNEL>"
        "<ALPHA_CHANNEL>B3</ALPHA_CHANNEL></Band_Display_Order></Raster_Display></Raster_Data>"
        "<Radiometric_Data><Radiometric_Calibration><Instrument_Calibration><Band_Measurement_List>"
        f"{gains}{sun}</Band_Measurement_List></Instrument_Calibration></Radiometric_Calibration>"
        f"</Radiometric_Data><Geometric_Data><Use_Area>{places}</Use_Area></Geometric_Data>"
        "<Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION>"
        "<MISSION_INDEX>1A</MISSION_INDEX><IMAGING_DATE>2021-08-15</IMAGING_DATE>"
        "<IMAGING_TIME>15:41:30.1Z</IMAGING_TIME></Strip_Source></Source_Identification></Dataset_Sources>"
        "</Dimap_Document>"
    )


# Terradue/Stars, src/Stars.Data.Tests/Resources/DIGITALGLOBE/WORLDVIEW/WV02S00/.../18OCT01022604-M1BS-...XML
WORLDVIEW = "18OCT01022604-M2AS-502541638020_01_P003"
WORLDVIEW_BANDS = {
    "B": (1.783568e-02, 5.43e-02), "G": (1.364197e-02, 6.3e-02), "R": (1.851735e-02, 5.74e-02),
    "N": (2.050828e-02, 9.89e-02),
}  # fmt: skip


def worldview_xml(level="Corrected"):
    bands = "".join(
        f"<BAND_{band}><ABSCALFACTOR>{factor:.15e}</ABSCALFACTOR>"
        f"<EFFECTIVEBANDWIDTH>{width:.15e}</EFFECTIVEBANDWIDTH><TDILEVEL>10</TDILEVEL></BAND_{band}>"
        for band, (factor, width) in WORLDVIEW_BANDS.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<isd><IMD><VERSION>28.3</VERSION>'
        "<GENERATIONTIME>2018-10-01T19:43:12.000000Z</GENERATIONTIME><BANDID>MS1</BANDID>"
        f"<RADIOMETRICLEVEL>{level}</RADIOMETRICLEVEL><BITSPERPIXEL>16</BITSPERPIXEL>{bands}<IMAGE>"
        "<SATID>WV02</SATID><FIRSTLINETIME>2018-10-01T02:26:04.585850Z</FIRSTLINETIME>"
        "<MEANSUNEL>6.890000000000001e+01</MEANSUNEL></IMAGE></IMD></isd>"
    )


def worldview_imd():
    """The same metadata as text, by the fields of OSGeo/gdal, autotest/gcore/data/md_dg.IMD."""
    bands = "".join(
        f"BEGIN_GROUP = BAND_{band}\n\tabsCalFactor = {factor:e};\n\teffectiveBandwidth = {width:e};\n"
        f"END_GROUP = BAND_{band}\n"
        for band, (factor, width) in WORLDVIEW_BANDS.items()
    )
    return (
        'version = "24.06";\nbandId = "MS1";\nradiometricLevel = "Corrected";\n'
        f'radiometricEnhancement = "Off";\nbitsPerPixel = 16;\n{bands}BEGIN_GROUP = IMAGE_1\n'
        '\tsatId = "WV02";\n\tfirstLineTime = 2018-10-01T02:26:04.585850Z;\n\tmeanSunEl = 68.9;\n'
        "END_GROUP = IMAGE_1\nEND;\n"
    )


# senbox-org/optical-toolbox, opttbx-enmap-reader/src/test/resources/eu/esa/opt/dataio/enmap/
# ENMAP01-____L2A-DT0000001049.json: wavelengths, nodata and scale of the real product
ENMAP = "ENMAP01-____L2A-DT0000001049_20220612T105735Z_028_V010302_20230704T145131Z"
ENMAP_FIRST = (418.2, 423.835, 429.256, 434.491)


def enmap_xml(wavelengths):
    bands = "".join(
        f'<bandID number="{i}"><wavelengthCenterOfBand>{length}</wavelengthCenterOfBand>'
        "<FWHMOfBand>6.99561</FWHMOfBand><GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        for i, length in enumerate(wavelengths, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<level_X><base><temporalCoverage>'
        "<startTime>2022-06-12T10:57:35.160668Z</startTime></temporalCoverage></base><specific>"
        f"<bandCharacterisation>{bands}</bandCharacterisation></specific></level_X>"
    )


def write_beside(path, name, text):
    """Write a metadata file beside a scene and return the scene's path."""
    Path(path).with_name(name).write_text(text, encoding="utf-8")
    return path


def write_worldview(folder, scene, *, level="Corrected"):
    path = write_scene(folder / f"{WORLDVIEW}.TIF", scene)
    return write_beside(path, f"{WORLDVIEW}.XML", worldview_xml(level))


def write_pleiades(folder, scene, **settings):
    path = write_scene(folder / f"IMG_{PLEIADES}_R1C1.TIF", scene)
    return write_beside(path, f"DIM_{PLEIADES}.XML", pleiades_dimap(**settings))


def write_planetscope(folder, scene, *, clip="", factors=PLANETSCOPE_FACTORS):
    path = write_scene(folder / f"{PLANETSCOPE}{clip}.tif", scene, nodata=0)
    return write_beside(path, f"{PLANETSCOPE}_metadata{clip}.xml", planetscope_xml(factors))
