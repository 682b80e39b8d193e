"""OpenVINO on a processor, in 8 bits."""

from __future__ import annotations

import threading

import openvino

from rsdetect.backends.base import Float32Array
from rsdetect.devices import usable_cores


class OpenVinoNetwork:
    """One compiled network with a stream of one thread for each core; each calling thread has a request."""

    def __init__(self, graph: bytes) -> None:
        core = openvino.Core()
        cores = usable_cores()
        self._compiled = core.compile_model(
            core.read_model(graph),
            "CPU",
            {
                "NUM_STREAMS": cores,
                "INFERENCE_NUM_THREADS": cores,
                # Pinned threads would share a core with whoever else was pinned to it.
                "ENABLE_CPU_PINNING": False,
                # What is left in floating point is not to depend on the units that a processor has.
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        self._local = threading.local()

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer({0: dates}, share_inputs=True)
        # The request writes its next result into the same memory.
        logits: Float32Array = request.get_output_tensor(0).data[0, 0].copy()
        return logits
