"""The processes of one training: several when torchrun started them, otherwise one.

All hold the same weights and take the same decisions; each computes its share of every batch, and the first alone
validates and writes. Every method with "all processes" in its description must be called by all of them.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

LONGEST_WAIT = timedelta(days=1)  # for the first to decode a large corpus; PyTorch's own is 10 or 30 min


class Processes:
    """Which of the processes this is, and how it talks to the others, to the end of the context.

    Raises ValueError when there are more processes than GPUs on this machine, if it has any.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.is_first = self.rank == 0
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            local = int(os.environ.get("LOCAL_RANK", "0"))
            if local >= (gpus := torch.cuda.device_count()):
                raise ValueError(f"--nproc-per-node: expected at most {gpus}, as many as this machine has GPUs")
            self.device = torch.device("cuda", local)
            torch.cuda.set_device(self.device)
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        if self.count > 1:
            dist.destroy_process_group()

    def share(self, batch: int) -> range:
        """Which examples of a batch are this process's; `count` divides the batch."""
        size = batch // self.count
        return range(self.rank * size, (self.rank + 1) * size)

    def parallel(self, objective: nn.Module) -> nn.Module:
        """The module as all processes run it: with the first one's weights and buffers, and the mean of all their
        gradients."""
        return nn.parallel.DistributedDataParallel(objective) if self.count > 1 else objective

    def mean(self, values: Tensor) -> Tensor:
        """Over all processes, element by element."""
        if self.count > 1:
            dist.all_reduce(values)
        return values / self.count

    def any(self, flag: bool) -> bool:
        """Whether it is true in any of all processes."""
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def of_first(self, value: float) -> float:
        """The first process's value, to all processes; theirs does not matter."""
        if self.count > 1:
            shared = torch.tensor(value, dtype=torch.float64, device=self.device)
            dist.broadcast(shared, 0)
            value = float(shared)
        return value

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process goes through, then all others: what it has put into a cache they need not make again."""
        if not self.is_first:
            dist.barrier()
        yield
        if self.is_first and self.count > 1:
            dist.barrier()


@contextmanager
def signals_to_stop() -> Iterator[list[int]]:
    """The list of SIGINT (Ctrl-C) and SIGTERM as they come in, which do nothing else meanwhile.

    However many: a process that torchrun started gets Ctrl-C from the terminal and SIGTERM from torchrun.
    """
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
