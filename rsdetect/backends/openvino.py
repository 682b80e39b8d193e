"""OpenVINO backend: int8 on a CPU."""

from __future__ import annotations

import sys
import threading

# OpenVINO reports its import and its models over the network unless this package is missing; users' jobs are
# not reported to third parties.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import numpy as np  # noqa: E402
import openvino  # noqa: E402

from rsdetect.arraytypes import Float32Array  # noqa: E402
from rsdetect.devices import usable_cores  # noqa: E402

_WARM_UP_PX = 64  # pixels, a multiple of every stride


class OpenVinoNetwork:
    """Network compiled by OpenVINO: a single-threaded stream per core, a request per calling thread."""

    def __init__(self, graph: bytes) -> None:
        core = openvino.Core()
        cores = usable_cores()
        self._compiled = core.compile_model(
            core.read_model(graph),
            "CPU",
            {
                "NUM_STREAMS": cores,
                "INFERENCE_NUM_THREADS": cores,
                # Pinned threads would share a core with other pinned threads.
                "ENABLE_CPU_PINNING": False,
                # Floating-point operations must not depend on the processor's units.
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        self._local = threading.local()
        # OpenVINO's bindings initialize on first use under two locks, one of them the interpreter's: two
        # threads that call first may each hold one and wait for the other.
        bands = self._compiled.input(0).partial_shape[1].get_length()
        self.logits(np.zeros((2, bands, _WARM_UP_PX, _WARM_UP_PX), np.float32))

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`, by OpenVINO."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer({0: dates}, share_inputs=True)
        # The request overwrites this memory with its next result.
        logits: Float32Array = request.get_output_tensor(0).data[0, 0].copy()
        return logits
