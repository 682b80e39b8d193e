"""Layers opened and rendered in QGIS. Run by the system's Python, through `qgis_session.py`.

QGIS is imported inside functions, because pytest imports this file too.
"""


def answers(requests):
    return [answer(**request) for request in requests]


def answer(source, kind, png, probes, ranges=(), scale=None):
    """All results are plain values, so that no layer outlives this function: exitQgis would crash."""
    from qgis.core import QgsRasterLayer, QgsVectorLayer

    layer = QgsVectorLayer(source, "layer", "ogr") if kind == "vector" else QgsRasterLayer(source, "layer")
    if not layer.isValid():
        return {"valid": False}
    seen = describe_vector(layer) if kind == "vector" else describe_raster(layer)
    if ranges:
        seen["times"] = describe_times(layer, ranges)
    seen |= {"valid": True, "crs": layer.crs().authid(), "renderer": layer.renderer().type(), "png": png}
    return seen | {"colours": render(layer, png, probes, scale)}


def describe_vector(layer):
    from qgis.core import (
        QgsExpression,
        QgsExpressionContext,
        QgsExpressionContextUtils,
        QgsProviderRegistry,
    )

    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    tips = []
    for feature in layer.getFeatures():
        context.setFeature(feature)
        tips.append(QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context))
    return {
        "count": layer.featureCount(),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "aliases": {field.name(): field.alias() for field in layer.fields()},
        "legend": [item.label() for item in layer.renderer().legendSymbolItems()],
        "tips": tips,
        "styles": own_styles(layer),
        "editors": {
            field.name(): layer.editorWidgetSetup(number).type()
            for number, field in enumerate(layer.fields())
        },
        "metadata": {name: getattr(layer.metadata(), name)() for name in ("identifier", "title", "abstract")},
        "sublayers": [
            found.name()
            for found in QgsProviderRegistry.instance().querySublayers(layer.source().split("|")[0])
        ],
    }


def own_styles(layer):
    """Names of the styles in the file, those of other layers left out."""
    count, _, names, *_ = layer.listStylesInDatabase()
    return names[:count]


def describe_times(layer, ranges):
    """How the temporal controller is set up, and the first column of what it shows in each range."""
    from qgis.core import QgsDateTimeRange, QgsFeatureRequest, QgsVectorLayerTemporalContext
    from qgis.PyQt.QtCore import QDateTime, Qt

    # As the application does with every layer that is added; the constructor leaves QGIS's own guess.
    layer.loadDefaultStyle()
    properties, context = layer.temporalProperties(), QgsVectorLayerTemporalContext()
    context.setLayer(layer)
    shown = []
    for begin, end in ranges:
        moments = (QDateTime.fromString(text, Qt.ISODate) for text in (begin, end))
        wanted = properties.createFilterString(context, QgsDateTimeRange(*moments))
        request = QgsFeatureRequest().setFilterExpression(wanted)
        shown.append(sorted(feature.attributes()[1] for feature in layer.getFeatures(request)))
    return {"active": properties.isActive(), "mode": int(properties.mode()), "shown": shown}


def describe_raster(layer):
    return {
        "legend": [
            item.label for item in layer.renderer().shader().rasterShaderFunction().colorRampItemList()
        ]
    }


def render(layer, png, probes, scale):
    """Colours [red, green, blue, alpha] at the fractions (x, y) of the map, from its upper left corner."""
    from qgis.core import (
        QgsExpressionContext,
        QgsExpressionContextUtils,
        QgsMapRendererParallelJob,
        QgsMapSettings,
    )
    from qgis.PyQt.QtCore import QSize, Qt

    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setBackgroundColor(Qt.transparent)
    settings.setOutputSize(QSize(640, 480))
    settings.setOutputDpi(96)
    extent = layer.extent()
    settings.setExtent(extent)
    if scale is not None:
        extent.scale(scale / settings.scale())
        settings.setExtent(extent)
    context = QgsExpressionContext()  # as the application does
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
    settings.setExpressionContext(context)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    image.save(png)
    colours = []
    for x, y in probes:
        colour = image.pixelColor(int(x * 640), int(y * 480))
        colours.append([colour.red(), colour.green(), colour.blue(), colour.alpha()])
    return colours
