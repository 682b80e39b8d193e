"""OpenVINO on a processor, in 8 bits."""

from __future__ import annotations

import sys
import threading

# OpenVINO tells its makers over the network that it is imported and what it runs, unless this package is
# missing; where scenes are looked at is nobody's business.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import numpy as np  # noqa: E402
import openvino  # noqa: E402

from rsdetect.arraytypes import Float32Array  # noqa: E402
from rsdetect.devices import usable_cores  # noqa: E402

_SMALL = 64  # pixels, of any stride a multiple


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
        # What OpenVINO's bindings set up when first used they set up under two locks, of which one is the
        # interpreter's: of two threads that come there first, each may hold one and wait for the other.
        bands = self._compiled.input(0).partial_shape[1].get_length()
        self.logits(np.zeros((2, bands, _SMALL, _SMALL), np.float32))

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer({0: dates}, share_inputs=True)
        # The request writes its next result into the same memory.
        logits: Float32Array = request.get_output_tensor(0).data[0, 0].copy()
        return logits
