"""Several processes that train one model: who is who, and sums and gathers that keep gradients.

The convention of this package: every process computes the whole loss over everybody's rows. The backward pass of
`gather` and `all_reduce_sum` adds up the gradients of all these equal losses, and DistributedDataParallel then takes
the mean over processes; the two factors cancel, and what remains is exactly the gradient that one process would have.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor

from mfcl.errors import TrainingError


def processes() -> int:
    """Return how many processes train together; 1 outside `torchrun`.

    Example:
        >>> processes(), rank(), is_main()
        (1, 0, True)
    """
    return dist.get_world_size() if _running() else 1


def rank() -> int:
    """Return this process's number, from 0; 0 outside `torchrun`."""
    return dist.get_rank() if _running() else 0


def is_main() -> bool:
    """Tell whether this is the process that writes files and talks."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here; alone, go on at once."""
    if _running():
        dist.barrier()


def start(device: str = "auto", *, meeting: str = "env://") -> torch.device:
    """Join the other processes of a `torchrun` and return the device that is this one's to use.

    Without `torchrun` (or with a single process) nothing is joined. Joining twice does no harm.

    Args:
        device: "cpu", "cuda", or "auto": CUDA where there is one. Several CUDA processes take one card each.
        meeting: Where the processes find each other, as `torch.distributed.init_process_group` takes it.

    Raises:
        TrainingError: CUDA is asked for and absent, or there are more processes than cards.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError(f"device {device!r} was asked for, but torch sees no CUDA card here; use --device cpu")
    chosen = torch.device(device)
    count = _environment("WORLD_SIZE", 1)
    if count == 1:
        return chosen
    if chosen.type == "cuda":
        chosen = _own_card()
    if not dist.is_initialized():
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=meeting, world_size=count, rank=_environment("RANK", 0))
    return chosen


def stop() -> None:
    """Leave the other processes; does nothing where none were joined."""
    if _running():
        dist.destroy_process_group()


def broadcast(values: Shaped[Tensor, "*shape"]) -> None:
    """Put what the main process has in place of what the others have; alone, nothing happens."""
    if _running():
        dist.broadcast(values, src=0)


def gather(rows: Shaped[Tensor, "items ..."]) -> Shaped[Tensor, "all_items ..."]:
    """Return the rows of all processes in the order of their ranks; alone, the rows themselves.

    Every process must bring as many rows as the others. The backward pass sums the gradient over processes and
    returns this process's part of it: what each process's loss says about these rows is kept, not only the own loss.

    Source: Radford et al., "Learning transferable visual models", arXiv:2103.00020, gather their negatives; the
        backward sum is what the gradient of the sum of all processes' losses asks for.
    """
    if processes() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


def all_reduce_sum(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the sum of `values` over all processes; its backward pass sums the gradients in the same way.

    Alone, the values themselves.
    """
    if processes() == 1:
        return values
    total: Tensor = _AllReduceSum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        context.items = rows.shape[0]
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(processes())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)  # autograd's own tensor stays as it is
        dist.all_reduce(total)
        return total[rank() * context.items :][: context.items]


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


def _summed(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()


def _own_card() -> torch.device:
    own, cards = _environment("LOCAL_RANK", 0), torch.cuda.device_count()
    if own >= cards:
        raise TrainingError(
            f"process {own} of this machine wants a CUDA card of its own, but there are {cards}; start {cards}"
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


def _environment(name: str, default: int) -> int:
    given = os.environ.get(name, str(default))
    if not given.isdigit():
        raise TrainingError(
            f"the environment variable {name} is {given!r}, not a number; torchrun sets it, or unset it"
        )
    return int(given)
