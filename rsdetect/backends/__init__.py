"""What runs a network: PyTorch, ONNX Runtime or OpenVINO on processors, and PyTorch on a GPU."""
