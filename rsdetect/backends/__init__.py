"""Backends that run a network: PyTorch, ONNX Runtime or OpenVINO on CPUs, and PyTorch on a GPU."""
