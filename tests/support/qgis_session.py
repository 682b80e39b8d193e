"""The start of QGIS: `qgis_session.py MODULE JSON` prints what `MODULE.answers` says of it, as JSON.

Not a test itself: `pyqgis.py` starts it, with the system's Python.
"""

import importlib
import json
import sys


def main(module, request):
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    messages = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: messages.append(f"{tag}: {text}") if level else None
    )
    answers = importlib.import_module(module).answers(json.loads(request))
    application.exitQgis()
    return {"answers": answers, "messages": messages}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
