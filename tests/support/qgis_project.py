"""Projects opened and rendered in QGIS. Run by the system's Python, through `qgis_session.py`.

QGIS is imported inside functions, because pytest imports this file too.
"""


def answers(projects):
    return {source: describe(source, folder) for source, folder in projects.items()}


def describe(source, folder):
    """All results are plain values, so that no layer outlives this function: exitQgis would crash."""
    from qgis.core import QgsProject

    project = QgsProject.instance()
    opened = project.read(source)
    tree = project.layerTreeRoot()
    layers = dict(project.mapLayers())
    shown = [layer for layer in tree.layerOrder() if tree.findLayer(layer.id()).isVisible()]
    scenes = [layer for layer in shown if "true" in layer.id() or "first" in layer.id()]
    kinds = [layer for key, layer in layers.items() if key == "rsdetect_kinds"]
    seen = {
        "opened": opened,
        "title": project.title(),
        "crs": project.crs().authid(),
        "valid": {key: layer.isValid() for key, layer in layers.items()},
        "sources": {key: layer.source() for key, layer in layers.items()},
        "order": [layer.id() for layer in tree.layerOrder()],
        "shown": [layer.id() for layer in shown],
        "bookmarks": [bookmark.name() for bookmark in project.bookmarkManager().bookmarks()],
        "pictures": {layer.id(): picture([layer], folder, layer.id()) for layer in [*scenes, *kinds]},
    }
    seen["pictures"]["scenes"] = picture(scenes, folder, "scenes")
    seen["pictures"]["all"] = picture(shown, folder, "all")
    project.clear()
    return seen


def picture(layers, folder, name):
    """File of the rendered layers in the extent on opening."""
    from qgis.core import (
        QgsExpressionContext,
        QgsExpressionContextUtils,
        QgsMapRendererParallelJob,
        QgsMapSettings,
        QgsProject,
    )
    from qgis.PyQt.QtCore import QSize, Qt

    project = QgsProject.instance()
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(project.crs())
    settings.setBackgroundColor(Qt.white)
    settings.setOutputSize(QSize(320, 240))
    settings.setExtent(project.viewSettings().defaultViewExtent())
    context = QgsExpressionContext()  # as the application does
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
    settings.setExpressionContext(context)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    path = f"{folder}/{name}.png"
    job.renderedImage().save(path)
    return path
