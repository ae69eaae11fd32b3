"""Training in several processes: ranks, and differentiable gather and sum.

Convention: every process has the whole loss, the same number in each: the sum over processes (`all_reduce_sum`) of the
terms of their own rows, which may depend on the rows of all (`gather`). The backward pass of both adds up the gradients
of these equal losses. DistributedDataParallel then takes the mean over processes. The two factors cancel, so the
gradient equals that of a single process.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mfcl.core.machine import pick_device
from mfcl.core.parallel import in_parallel
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
    """Return whether this is the process that writes files and prints."""
    return rank() == 0


def barrier() -> None:
    """Wait for all processes; a single process continues at once."""
    if _running():
        dist.barrier()


def start(device: str = "auto", *, meeting: str = "env://") -> torch.device:
    """Join the process group of a `torchrun` and return this process's device.

    Without `torchrun` (or with a single process) there is no group to join. Joining twice does no harm.

    Args:
        device: "cpu", "cuda", or "auto": CUDA if available. Several CUDA processes take one GPU each.
        meeting: `init_method` of `torch.distributed.init_process_group`.

    Raises:
        TrainingError: CUDA is asked for and absent, or there are more processes than GPUs.
        MfclError: there is no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError(f"device {device!r} was asked for, but torch finds no CUDA GPU here; use device 'cpu'")
    count = _environment("WORLD_SIZE", 1)
    if count == 1:
        return pick_device(device)
    chosen = _own_card() if device.startswith("cuda") else pick_device(device)
    if not dist.is_initialized():
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=meeting, world_size=count, rank=_environment("RANK", 0))
    return chosen


def stop() -> None:
    """Leave the process group, if one was joined."""
    if _running():
        dist.destroy_process_group()


def broadcast(values: Shaped[Tensor, "*shape"]) -> None:
    """Overwrite `values` in every process with the main process's; a single process does nothing."""
    if _running():
        received = values.clone()
        dist.broadcast(received, src=0)
        values.copy_(received)  # unlike the broadcast, this counts as a change of the tensor


def gather(rows: Shaped[Tensor, "items ..."]) -> Shaped[Tensor, "all_items ..."]:
    """Concatenate the rows of all processes in the order of their ranks; a single process gets its own rows.

    Every process must give the same number of rows. The backward pass sums the gradient over processes and returns the
    rows of this process, so that the losses of all processes contribute.

    Source: Radford et al., "Learning transferable visual models", arXiv:2103.00020, gather their negatives; the
        backward sum follows from the gradient of the sum of all processes' losses.
    """
    if processes() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


def averaged(module: nn.Module, *, partial: bool = False) -> nn.Module:
    """Return a module whose backward pass averages gradients over processes; the module itself for a single process.

    Args:
        module: Its weights are made those of the first process, its buffers are left alone.
        partial: Whether some weights get no gradient.
    """
    if processes() == 1:
        return module
    with warnings.catch_warnings():
        # newer releases ask for another argument, which does not do the same
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=partial)


def shared_out(
    function: Callable[[Any], Shaped[np.ndarray, "..."]], items: Sequence[Any], *, threads: bool = True
) -> Iterable[Shaped[np.ndarray, "..."]]:
    """Apply a function to many items, each in one process, and give all processes all arrays, in the items' order.

    Every process must call this with the same items. Each result is what a single process computes for its item.

    Args:
        function: Gives an array for an item.
        items: Its arguments.
        threads: Whether each process uses threads; not for functions that do so themselves.
    """
    number, count = rank(), processes()
    own = items[number::count]
    made = in_parallel(function, own, what="sharing", shown=False) if threads else map(function, own)
    if count == 1:
        return made
    shares: list[list[Shaped[np.ndarray, ...]]] = [[] for _ in range(count)]
    dist.all_gather_object(shares, list(made))
    return [shares[place % count][place // count] for place in range(len(items))]


def rows_shared_out(
    function: Callable[[slice], Shaped[np.ndarray, "..."]], rows: int, *, at_once: int = 64
) -> Shaped[np.ndarray, "..."]:
    """Return the rows that a function gives for stretches of `at_once` rows, put together; see `shared_out`."""
    stretches = [slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once)]
    return np.concatenate(list(shared_out(function, stretches)))


def own_rows(items: int) -> slice | None:
    """Return where this process's rows are among those that `gather` brings together; None for a single process.

    Args:
        items: Rows that each process gives.
    """
    return slice(rank() * items, (rank() + 1) * items) if processes() > 1 else None


def all_reduce_sum(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Sum `values` over all processes; the backward pass sums the gradients in the same way.

    A single process gets the values themselves.
    """
    if processes() == 1:
        return values
    total: Tensor = _AllReduceSum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        context.items = rows.shape[0]
        gathered = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(processes())]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)  # all_reduce works in place
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
            f"process {own} needs a CUDA GPU of its own, but this machine has {cards}; start {cards} or fewer"
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


def _environment(name: str, default: int) -> int:
    given = os.environ.get(name, str(default))
    if not given.isdigit():
        raise TrainingError(
            f"the environment variable {name} is {given!r}, not a number; unset it, or let torchrun set it"
        )
    return int(given)
