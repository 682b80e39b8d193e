"""PyTorch backend: float32 on a CPU, the reference of the other backends."""

from __future__ import annotations

import torch

from rsdetect.arraytypes import Float32Array
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet
from rsdetect.nets.streaming import StreamingNet


class TorchNetwork:
    """Network with folded batch norm in PyTorch; a forward pass in eval mode is thread-safe.

    `torch.set_num_threads` sets the number of threads within an operator.
    """

    def __init__(self, net: SiameseNet) -> None:
        self._net = fold_batchnorm(net)

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`."""
        with torch.inference_mode():
            x = torch.from_numpy(dates).contiguous(memory_format=torch.channels_last)
            logits: Float32Array = self._net(x[:1], x[1:])[0].numpy()
            return logits

    def rows(self, height: int, width: int, slots: tuple[int, ...]) -> StreamingNet:
        """As `RowNetwork.rows`."""
        return StreamingNet(self._net, height, width, slots)
