"""Backends that run a network: PyTorch, ONNX Runtime or OpenVINO on CPUs, and PyTorch on a GPU."""

import os

# When it is imported, ONNX Runtime starts threads that report to its makers, from a database in the user's
# cache that all processes share, unless this is set; users' jobs are not reported to third parties. It is set
# here because ONNX Runtime is imported in a thread, while other threads may read the environment.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
