"""Compute what two formats do by themselves side by side, forward and backward.

An operation on a small grid is over before a second core is awake, so that two cores on one encoder are idle for a
quarter of the time: each encoder has half of the threads, and nothing to wait for. On a GPU most of it is idle while
one small operation follows another: there each encoder has a stream of its own.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mfcl.core.distributed import processes

Made = Sequence[Tensor]
Some = TypeVar("Some", bound=Sequence[Tensor | None])


def side_by_side(works: Sequence[Callable[[], Made]], encoders: Sequence[nn.Module]) -> list[Made]:
    """Return what each work makes; the backward pass goes through the works side by side, too.

    Works of two small encoders are done at the same time if there are two processor threads, and those of any encoders
    on a GPU. Else one is done after another: a large encoder has use for all cores, and several processes wait for each
    other in one order.

    Args:
        works: Make tensors that have a gradient. They must share no weight that learns, and the tensors no graph.
        encoders: The encoder that each work is about.
    """
    # whether there are gradients is known to each thread by itself, and the other thread always makes them
    apart = len(works) == 2 and torch.get_num_threads() > 1 and processes() == 1 and torch.is_grad_enabled()
    if not apart or not all(getattr(own, "small", False) is True and _on_processor(own) for own in encoders):
        places = {weight.device for own in encoders for weight in own.parameters()} if processes() == 1 else set()
        return on_streams(works, places.pop()) if len(places) == 1 else [work() for work in works]
    made = _both(*works)
    joined = iter(_Joined.apply(torch.zeros((), requires_grad=True), made))  # type: ignore[no-untyped-call]
    return [[next(joined) for _ in own] for own in made]


def on_streams(works: Sequence[Callable[[], Some]], device: torch.device) -> list[Some]:
    """Return what each work makes; on a GPU the works are done at the same time, and their backward passes, too.

    Each work but the first has a stream of its own; autograd takes the streams of the forward pass for the backward
    pass and lets each wait for what it needs. A step that is recorded keeps the order among its operations, and no
    other: those of two streams run beside each other wherever it is replayed.

    Source: PyTorch's documentation, "CUDA semantics": streams of backward passes, and graphs with several branches.
    """
    if device.type != "cuda" or len(works) < 2:
        return [work() for work in works]
    here = torch.cuda.current_stream(device)
    others = _streams(device, len(works) - 1)
    for there in others:
        there.wait_stream(here)
    made = []
    for work, there in zip(works, [here, *others], strict=True):
        with torch.cuda.stream(there):
            made.append(work())
    for own, there in zip(made[1:], others, strict=True):
        here.wait_stream(there)
        for tensor in own:
            if tensor is not None:
                tensor.record_stream(here)  # else its memory could be taken again while it is still read
    return made


@functools.cache
def _streams(device: torch.device, count: int) -> tuple[torch.cuda.Stream, ...]:
    return tuple(torch.cuda.Stream(device) for _ in range(count))  # type: ignore[no-untyped-call]


def _on_processor(module: nn.Module) -> bool:
    return all(weight.is_cpu for weight in module.parameters())


class _Joined(torch.autograd.Function):
    """The tensors of both works in a graph that begins with them; its backward pass is that of their own graphs."""

    @staticmethod
    def forward(context: Any, _: Tensor, made: Sequence[Made]) -> tuple[Tensor, ...]:
        context.made = made
        return tuple(tensor.detach() for own in made for tensor in own)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, None]:
        made, given = context.made, iter(gradients)
        del context.made  # else what the graphs keep would outlive their backward pass
        _both(*(functools.partial(torch.autograd.backward, own, [next(given) for _ in own]) for own in made))
        return None, None


def _both(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    with _shared() as other:
        there = other.submit(second)
        try:
            here = first()
        finally:
            found = there.result()
    return [here, found]


@contextlib.contextmanager
def _shared() -> Generator[ThreadPoolExecutor, None, None]:
    """Yield the other thread, which has half of torch's threads; this one has the rest until the end."""
    threads = torch.get_num_threads()
    other = _other(threads // 2)
    try:
        torch.set_num_threads(threads - threads // 2)
        yield other
    finally:
        torch.set_num_threads(threads)


@functools.cache
def _other(threads: int) -> ThreadPoolExecutor:
    """Return a thread that works with so many of torch's threads; torch counts them for each thread by itself."""
    other = ThreadPoolExecutor(1, thread_name_prefix="side")
    other.submit(torch.get_num_threads).result()  # else torch sets its own number when the thread first needs it
    other.submit(torch.set_num_threads, threads).result()
    return other


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_other.cache_clear)  # a child has the object, and not the thread
