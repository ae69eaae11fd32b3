"""The steps of a run: their batches, made one step ahead, and what a step does with its batch."""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mfcl.core.memory import HELD, give_back, most_held
from mfcl.training.adam import Adam
from mfcl.training.batch_schedule import Plan, ahead
from mfcl.training.graphs import Recorded, on_gpu, streams_of
from mfcl.training.resident import Resident
from mfcl.training.tasks.base import Task


def step_batches(
    task: Task, plan: Plan, steps: range, where: torch.device, say: Callable[[str], None]
) -> Generator[tuple[int, Any], None, None]:
    """Yield each step with its batch; batches of a stage are made after `Task.begin` of that stage."""
    ends = plan.stage_ends
    for stage, (first, end) in enumerate(itertools.pairwise((0, *ends))):
        if end <= steps.start:
            continue
        if first >= steps.start:
            for line in task.begin(stage, len(ends)):
                say(line)
        own = range(max(first, steps.start), end)
        with contextlib.closing(seen(task, plan, own, where)) as batches:
            yield from batches


def seen(task: Task, plan: Plan, steps: range, where: torch.device) -> Generator[tuple[int, Any], None, None]:
    """Yield each step with its encoder inputs; on a GPU with its crops and random numbers, as tensors there.

    On CPU a thread makes them during the previous step. On a GPU the step itself makes the inputs: it would run both in
    sequence anyway. Crops are cut there, too; while the processor asks for them, the GPU is busy with the step before.
    """

    def cut(step: int) -> Any:
        return task.batch(plan.recordings(step), plan.epoch(step))

    if where.type != "cuda":
        beside = where.type == "cpu"
        with contextlib.closing(ahead((lambda step: task.see(cut(step))) if beside else cut, steps)) as made:
            for step, batch in made:
                yield step, batch if beside else task.see(batch)
        return
    streams: tuple[str, ...] | None = None
    with contextlib.closing(_cut_there(cut, steps) if isinstance(task.clips, Resident) else ahead(cut, steps)) as made:
        for step, crops in made:
            streams = streams_of(task.see, crops) if streams is None else streams
            yield step, on_gpu(crops, streams, where)


def _cut_there(cut: Callable[[int], Any], steps: range) -> Generator[tuple[int, Any], None, None]:
    for step in steps:
        yield step, cut(step)


def learner(
    task: Task,
    runner: nn.Module,
    optimiser: Adam,
    *,
    clip: float,
    where: torch.device,
    say: Callable[[str], None] = print,
) -> Callable[[Any], dict[str, Tensor]]:
    """Return what does a step on what `seen` yields; on a GPU that a single process uses, steps are recorded."""
    once = functools.partial(
        learn, runner, optimiser=optimiser, clip=clip, networks=networks(task, optimiser), most=most_held(task.growth)
    )
    if where.type != "cuda":
        return once

    def from_crops(crops: Any) -> dict[str, Tensor]:
        return once(task.see(crops))

    return Recorded(from_crops, task, optimiser, say=say) if runner is task else from_crops


def networks(task: Task, optimiser: Adam) -> list[list[Tensor]]:
    """Return the weights of each network of a task, in the optimiser's order."""
    name = {id(weight): task.network(name) for name, weight in task.named_parameters()}
    found: dict[str, list[Tensor]] = {}
    for group in optimiser.param_groups:
        for weight in group["params"]:
            found.setdefault(name[id(weight)], []).append(weight)
    return list(found.values())


def learn(
    runner: nn.Module,
    batch: Any,
    *,
    optimiser: Adam,
    clip: float,
    networks: Sequence[Sequence[Tensor]],
    most: int = HELD,
) -> dict[str, Tensor]:
    """Do one optimiser step on a batch and return the loss, the gradient norm and the task's figures, on the device.

    Args:
        runner: The task, or what averages its gradients over processes.
        batch: What it takes.
        optimiser: Of its weights.
        clip: The largest gradient norm of a network; 0 does not clip.
        networks: The weights of each network.
        most: Bytes above which a process gives back what it has freed, before the backward pass and after it.
    """
    optimiser.zero_grad()
    loss, figures = runner(batch)
    if not loss.is_cuda:
        give_back(above=most)
    loss.backward()
    if not loss.is_cuda:
        give_back(above=most)
    norms = [nn.utils.clip_grad_norm_(weights, clip or math.inf) for weights in networks]
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    optimiser.step()
    return {"loss": loss.detach(), "gradient_norm": norm, **figures}
