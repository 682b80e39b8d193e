"""ONNX graph of an int8 network, for ONNX Runtime and OpenVINO.

Weights are symmetric with a scale per output channel, activations have one scale per tensor: unsigned after
a ReLU, else symmetric. A pair of QuantizeLinear and DequantizeLinear follows every operation (the QDQ form
of the ONNX specification); the runtimes fuse them into integer kernels. Integer sums do not depend on the
order of addition: a pixel's score is equal in every window.

The logits stay in floating point, because int8 logits have fewer levels than the probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from rsdetect.backends.operations import run_operations
from rsdetect.nets.layout import Conv, Weights

INPUT = "dates"
# The oldest versions with the operators of the graph, for older runtimes.
_OPSET, _IR_VERSION = 18, 9
_SIGNED, _UNSIGNED = 127, 255  # levels on each side of 0, levels above 0


def quantized_onnx_graph(weights: Weights, ranges: Mapping[str, float], clip: float) -> bytes:
    """Serialized ONNX model: (2, bands, height, width) float32 to (1, 1, height, width) float32 logits.

    Parameters
    ----------
    ranges
        Activation range of each operation, from `measure_activation_ranges`.
    clip
        Largest magnitude of the input.
    """
    writer = _GraphWriter(ranges)
    logits = run_operations(writer, weights.folded(), writer.quantized(INPUT, clip, signed=True))
    size = ["height", "width"]
    graph = helper.make_graph(
        writer.nodes,
        "siamese",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, [2, weights.layout.bands, *size])],
        [helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, [1, 1, *size])],
        writer.constants,
    )
    opset = helper.make_opsetid("", _OPSET)
    model: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION).SerializeToString()
    return model


class _GraphWriter:
    """Writer of ONNX nodes for the operations of a network; tensors are identified by name."""

    def __init__(self, ranges: Mapping[str, float]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._ranges = ranges
        self._scales: dict[str, np.float32] = {}  # of quantized tensors

    def conv(self, x: str, conv: Conv, name: str, *, relu: bool) -> str:
        # Unsigned integers clip at 0, like a ReLU.
        return self.quantized(self._conv_node(x, conv), self._ranges[name], signed=not relu)

    def add(self, x: str, y: str, name: str) -> str:
        return self.quantized(self._add_node("Add", x, y), self._ranges[name], signed=False)

    def difference(self, both: str) -> str:
        before, after = self._split_dates(both)
        moved = self._add_node("Abs", self._add_node("Sub", after, before))
        return self._quantize_nodes(
            moved, self._scales[both], signed=False
        )  # exact: multiples of the scale stay multiples

    def mean(self, both: str) -> str:
        half = self._add_constant(np.float32(0.5))
        mean = self._add_node("Mul", self._add_node("Add", *self._split_dates(both)), half)
        return self._quantize_nodes(mean, self._scales[both], signed=False)

    def concat(self, x: str, y: str) -> str:
        scale = max(self._scales[x], self._scales[y])
        return self._quantize_nodes(self._add_node("Concat", x, y, axis=1), scale, signed=False)

    def upsample(self, x: str) -> str:
        factors = self._add_constant(np.array([1, 1, 2, 2], np.float32))
        how: dict[str, Any] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
        return self._quantize_nodes(
            self._add_node("Resize", x, "", factors, **how), self._scales[x], signed=False
        )

    def head(self, x: str, conv: Conv) -> str:
        return self._add_node("DepthToSpace", self._conv_node(x, conv), blocksize=2, mode="CRD")

    def quantized(self, x: str, largest: float, *, signed: bool) -> str:
        """Quantize the ONNX tensor `x` to int8 levels from 0, or from -largest, to `largest`."""
        return self._quantize_nodes(
            x, np.float32(largest / (_SIGNED if signed else _UNSIGNED)), signed=signed
        )

    def _quantize_nodes(self, x: str, scale: np.float32, *, signed: bool) -> str:
        """Add ONNX nodes that quantize and dequantize a tensor with a scale."""
        step = self._add_constant(scale), self._add_constant(np.int8(0) if signed else np.uint8(0))
        y = self._add_node("DequantizeLinear", self._add_node("QuantizeLinear", x, *step), *step)
        self._scales[y] = scale
        return y

    def _conv_node(self, x: str, conv: Conv) -> str:
        """Add an ONNX convolution with quantized weights."""
        weight = conv.weight  # (width_out, width_in, k, k)
        largest = np.abs(weight).max(axis=(1, 2, 3))
        scales = np.where(largest > 0, largest / _SIGNED, 1).astype(np.float32)  # (width_out,)
        steps = np.rint(weight / scales[:, None, None, None]).astype(np.int8)
        of_sums = (scales * self._scales[x]).astype(np.float32)
        bias = np.rint(conv.bias / of_sums)
        limits = np.iinfo(np.int32)
        bias = np.clip(bias, limits.min, limits.max).astype(np.int32)
        return self._add_node(
            "Conv",
            x,
            self._dequantize_nodes(steps, scales),
            self._dequantize_nodes(bias, of_sums),
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
        )

    def _dequantize_nodes(self, steps: NDArray[np.signedinteger], scales: NDArray[np.float32]) -> str:
        """Add an ONNX node that dequantizes constants with a scale per channel."""
        zeros = self._add_constant(np.zeros(len(scales), steps.dtype))
        return self._add_node(
            "DequantizeLinear", self._add_constant(steps), self._add_constant(scales), zeros, axis=0
        )

    def _split_dates(self, both: str) -> tuple[str, str]:
        """Add an ONNX node that splits the batch into both dates."""
        one = self._add_constant(np.array([1, 1], np.int64))
        name = self._new_tensor_name()
        outputs = [f"{name}.before", f"{name}.after"]
        self.nodes.append(helper.make_node("Split", [both, one], outputs, axis=0))
        return outputs[0], outputs[1]

    def _add_node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an ONNX node; returns the name of its output."""
        name = self._new_tensor_name()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def _add_constant(self, values: NDArray[Any] | np.generic) -> str:
        """Add an ONNX constant; returns its name."""
        name = self._new_tensor_name()
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _new_tensor_name(self) -> str:
        """Unused name for an ONNX tensor."""
        return f"t{len(self.nodes) + len(self.constants)}"
