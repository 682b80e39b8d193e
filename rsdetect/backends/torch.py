"""PyTorch on a processor, in float32: the network that the others are measured against."""

from __future__ import annotations

import torch

from rsdetect.arraytypes import Float32Array
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet
from rsdetect.nets.streaming import StreamingNet


class TorchNetwork:
    """The folded network; in eval mode a forward pass changes nothing in it, so threads share it.

    The threads inside an operator are as many as `torch.set_num_threads` says.
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
