"""ONNX Runtime backend: int8 on a CPU."""

from __future__ import annotations

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
