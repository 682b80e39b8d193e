"""ONNX Runtime backend: int8 on a CPU."""

from __future__ import annotations

import os

# When it is imported, ONNX Runtime starts threads that report to its makers, from a database in the user's
# cache that all processes share, unless this is set; users' jobs are not reported to third parties.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.onnx_graph import INPUT


class OnnxNetwork:
    """Network in an ONNX Runtime session shared by threads; each call runs on the calling thread."""

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`."""
        (logits,) = self._session.run(None, {INPUT: dates})
        found: Float32Array = logits[0, 0]
        return found
