"""A network as an ONNX graph of 8-bit integers, which ONNX Runtime and OpenVINO both read.

Weights are symmetric with a scale for each output channel, activations have one scale for each tensor:
unsigned where they follow a ReLU, else symmetric. A pair of QuantizeLinear and DequantizeLinear after every
step says so (the ONNX specification's QDQ form); the runtimes fuse them into integer kernels. Sums are of
integers, whose order does not matter: a pixel's score is the same whatever window it is scored in.

The logits stay in floating point, because a probability has more steps than a logit of 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from rsdetect.backends.steps import walk
from rsdetect.nets.layout import Conv, Weights

INPUT = "dates"
# The oldest versions that have what the graph needs, so that older runtimes read it too.
_OPSET, _IR_VERSION = 18, 9
_SIGNED, _UNSIGNED = 127, 255  # steps on each side of 0, steps above 0


def quantised_graph(weights: Weights, ranges: Mapping[str, float], clip: float) -> bytes:
    """The serialised ONNX model: (2, bands, height, width) float32 to (1, 1, height, width) float32 logits.

    Parameters
    ----------
    ranges
        Largest magnitude of each step, from `measure_ranges`.
    clip
        Largest magnitude of the input.
    """
    writing = _Writing(ranges)
    logits = walk(writing, weights.folded(), writing.rounded(INPUT, clip, signed=True))
    size = ["height", "width"]
    graph = helper.make_graph(
        writing.nodes,
        "siamese",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, [2, weights.layout.bands, *size])],
        [helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, [1, 1, *size])],
        writing.constants,
    )
    opset = helper.make_opsetid("", _OPSET)
    model: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION).SerializeToString()
    return model


class _Writing:
    """Writes the steps as nodes; a tensor is known by its name."""

    def __init__(self, ranges: Mapping[str, float]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._ranges = ranges
        self._scales: dict[str, np.float32] = {}  # of the tensors that have one

    def conv(self, x: str, conv: Conv, name: str, *, relu: bool) -> str:
        # What is below 0 is cut by an unsigned number as a ReLU would cut it.
        return self.rounded(self._conv(x, conv), self._ranges[name], signed=not relu)

    def add(self, x: str, y: str, name: str) -> str:
        return self.rounded(self._node("Add", x, y), self._ranges[name], signed=False)

    def moved(self, both: str) -> str:
        before, after = self._halves(both)
        moved = self._node("Abs", self._node("Sub", after, before))
        return self._rounded(moved, self._scales[both], signed=False)  # exact: whole steps stay whole

    def mean(self, both: str) -> str:
        half = self._constant(np.float32(0.5))
        mean = self._node("Mul", self._node("Add", *self._halves(both)), half)
        return self._rounded(mean, self._scales[both], signed=False)

    def join(self, x: str, y: str) -> str:
        scale = max(self._scales[x], self._scales[y])
        return self._rounded(self._node("Concat", x, y, axis=1), scale, signed=False)

    def enlarge(self, x: str) -> str:
        factors = self._constant(np.array([1, 1, 2, 2], np.float32))
        how: dict[str, Any] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
        return self._rounded(self._node("Resize", x, "", factors, **how), self._scales[x], signed=False)

    def head(self, x: str, conv: Conv) -> str:
        return self._node("DepthToSpace", self._conv(x, conv), blocksize=2, mode="CRD")

    def rounded(self, x: str, largest: float, *, signed: bool) -> str:
        """`x` in steps of 8 bits from 0, or from -largest, to `largest`."""
        return self._rounded(x, np.float32(largest / (_SIGNED if signed else _UNSIGNED)), signed=signed)

    def _rounded(self, x: str, scale: np.float32, *, signed: bool) -> str:
        step = self._constant(scale), self._constant(np.int8(0) if signed else np.uint8(0))
        y = self._node("DequantizeLinear", self._node("QuantizeLinear", x, *step), *step)
        self._scales[y] = scale
        return y

    def _conv(self, x: str, conv: Conv) -> str:
        weight = conv.weight  # (width_out, width_in, k, k)
        largest = np.abs(weight).max(axis=(1, 2, 3))
        scales = np.where(largest > 0, largest / _SIGNED, 1).astype(np.float32)  # (width_out,)
        steps = np.rint(weight / scales[:, None, None, None]).astype(np.int8)
        of_sums = (scales * self._scales[x]).astype(np.float32)
        bias = np.rint(conv.bias / of_sums)
        limits = np.iinfo(np.int32)
        bias = np.clip(bias, limits.min, limits.max).astype(np.int32)
        return self._node(
            "Conv",
            x,
            self._dequantised(steps, scales),
            self._dequantised(bias, of_sums),
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
        )

    def _dequantised(self, steps: NDArray[np.signedinteger], scales: NDArray[np.float32]) -> str:
        zeros = self._constant(np.zeros(len(scales), steps.dtype))
        return self._node("DequantizeLinear", self._constant(steps), self._constant(scales), zeros, axis=0)

    def _halves(self, both: str) -> tuple[str, str]:
        one = self._constant(np.array([1, 1], np.int64))
        name = self._new_name()
        outputs = [f"{name}.before", f"{name}.after"]
        self.nodes.append(helper.make_node("Split", [both, one], outputs, axis=0))
        return outputs[0], outputs[1]

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._new_name()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def _constant(self, values: NDArray[Any] | np.generic) -> str:
        name = self._new_name()
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _new_name(self) -> str:
        return f"t{len(self.nodes) + len(self.constants)}"
