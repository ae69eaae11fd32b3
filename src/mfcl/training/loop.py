"""The training loop: reproducible, resumable, and with the same result for one process or several."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mfcl.core.console import worded
from mfcl.core.distributed import averaged, barrier, is_main, processes, start
from mfcl.core.memory import give_back
from mfcl.core.plain_values import to_dict
from mfcl.core.progress import Shown
from mfcl.core.progress import progress as progress_bar
from mfcl.errors import DivergedError
from mfcl.recipe import Recipe, TrainSettings
from mfcl.training.adam import Adam
from mfcl.training.batch_schedule import Plan
from mfcl.training.metrics import Watch, collapse
from mfcl.training.optim import Ema, learning_rate, make_optimiser, set_rate
from mfcl.training.precision import settle
from mfcl.training.resident import resident
from mfcl.training.resume_state import Progress, load_state, save_state
from mfcl.training.run_log import Journal, describe_machine
from mfcl.training.signals import Interrupted, Stopping
from mfcl.training.steps import learner, step_batches
from mfcl.training.tasks.base import Task
from mfcl.training.trackers import Tracker

LOG_STEPS = 20
"""Steps between two lines of `metrics.jsonl`; each stage ends with a line, too."""


@dataclass(frozen=True)
class FitResult:
    """The result of a run.

    Attributes:
        steps: Steps done, including those before a resume.
        seconds: Training time, including the time before a resume.
        loss: Mean loss in the last line of `metrics.jsonl`.
        metrics: All figures of that line.
    """

    steps: int
    seconds: float
    loss: float
    metrics: dict[str, float]


def fit(
    task: Task,
    settings: TrainSettings,
    run: Path,
    *,
    recipe: Recipe,
    fingerprint: str,
    seed: int,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    validate: Callable[[], dict[str, float]] | None = None,
    cautions: Sequence[str] = (),
    trackers: Sequence[Tracker] = (),
    checkpoint_seconds: float = 60.0,
    progress: Shown = True,
) -> FitResult:
    """Train the weights of a task in place, and write the files of the run to `run`.

    The same seed gives bit-identical weights on the same machine with the same number of threads, however often the
    run is killed and resumed. Under `torchrun` every process calls this.

    Args:
        task: The training objective with its model; moved to the device.
        settings: The optimiser and its schedule.
        run: The run folder; new or empty, unless `resume` or `overwrite`.
        recipe: Saved, and compared on resume.
        fingerprint: Of the data; saved, and compared on resume.
        seed: Of the order of recordings; the task has its own for crops.
        resume: Continue the run in `run`, or begin it.
        overwrite: Delete the run in `run` and begin again.
        device: "auto", "cpu", "cuda", ...
        validate: Called in evaluation mode after each stage (`mfcl.training.budget.Budget`); the figures it returns are
            recorded.
        cautions: Warnings to give when the run begins.
        trackers: What is told of the run beside its files; see `mfcl.training.trackers`.
        checkpoint_seconds: Seconds between two saved states.
        progress: Show progress; "bar": the bar alone, without a line for each stage. Warnings are always shown.

    Raises:
        CheckpointError: `run` is in use, was begun with other settings or data, or its saved states are damaged.
        DivergedError: the loss or its gradient is NaN or infinite.
        TrainingError: there are too few recordings.
        Interrupted: Ctrl-C; the state is saved.
    """
    where = start(device)
    plan = Plan.of(settings, task.store.lengths, task.budget(settings), seed=seed)
    steps = plan.steps  # `budget` refuses too few recordings before anything is written
    journal = Journal(run, writes=is_main(), shown=progress is True, trackers=trackers)
    config = {"seed": seed, **task.describe(), "settings": to_dict(settings), "recipe": to_dict(recipe)}
    data = {"fingerprint": fingerprint, "recordings": task.count}
    machine = describe_machine(where, processes())
    precision = {name: settle(getattr(settings, f"{name}_precision"), where) for name in ("wave", "mel")}
    if is_main():
        begun = {**machine, "precision": precision, "batch": plan.batch}
        journal.open(config, data, begun, resume=resume, overwrite=overwrite)
    barrier()
    kept = journal.environment().get("precision")
    if isinstance(kept, dict) and all(kept.get(name) in ("fp32", "bf16") for name in precision):
        precision = kept  # a resumed run keeps its precision, also on another machine
    task.precision = precision
    task.to(where).train()
    optimiser = make_optimiser(task, settings, task.share)
    ema = Ema(task, settings.ema) if settings.ema else None
    with Stopping() as stopping, _exact(), journal.tracked(config):
        done = load_state(run, task, optimiser, ema, say=journal.say)
        barrier()
        if done is None:
            done = Progress()
            task.prepare()
            if ema is not None:
                ema.restart()
        journal.cut(done.lines)
        journal.say(_opening(run, task, plan, done, where))
        for caution in cautions if done.step == 0 else ():
            journal.warn(caution)
        if done.finished:
            return FitResult(done.step, done.seconds, done.latest.get("loss", math.nan), done.latest)
        if done.step:
            journal.check_batch(plan.batch, processes())
        runner = averaged(task, partial=task.partial)
        task.clips = resident(task.store, where) if task.cut_there else task.store
        give_back()  # what preparing has freed would count as held, and raise what the steps may hold
        learned = learner(task, runner, optimiser, clip=settings.clip, where=where, say=journal.say)
        watch = Watch(done, lambda step, name, value: _fault(task, plan, step, name, value))
        ends, warned, saved = frozenset(plan.stage_ends), set[str](), time.monotonic()
        bar = progress_bar(
            total=steps, initial=done.step, what=run.name, unit="steps", shown=bool(progress) and is_main()
        )
        batches = step_batches(task, plan, range(done.step, steps), where, journal.say)
        stop = False
        with bar, contextlib.closing(batches):
            for step, batch in batches:
                rate = learning_rate(step, steps, settings)
                set_rate(optimiser, rate)
                watch.add(step, learned(batch))
                if ema is not None:
                    ema.update(step)
                done.step = step + 1
                bar.update()
                staged = done.step in ends
                if staged or done.step % LOG_STEPS == 0:
                    line = watch.line(plan.batch)
                    journal.record({"step": done.step, "learning_rate": rate, "chance": task.chance_loss, **line})
                    bar.set_postfix_str(_short(done.latest, task.chance_loss))
                if staged:
                    _end_stage(journal, task, ema, done, plan, validate, warned)
                    watch.restart_clock()
                stop = stopping.asked(where)
                if done.step < steps and (stop or time.monotonic() - saved > checkpoint_seconds):
                    watch.settle()
                    _save(journal, run, done, task, optimiser, ema)
                    saved = time.monotonic()
                    if stop:
                        raise Interrupted(
                            f"{run}: stopped and saved at step {done.step} of {steps}; it can resume there"
                        )
        if ema is not None:
            ema.keep()
        done.seconds, done.finished = watch.seconds(), True
        _save(journal, run, done, task, optimiser, None)
        barrier()
        optimiser.zero_grad()  # gradients and moments are three times the weights, and nobody needs them now
        optimiser.state.clear()
        give_back()
        if stop or (stopping.requested and processes() == 1):  # what follows a training may take minutes
            raise Interrupted(f"{run}: stopped after its last step, which is saved; it can go on from there")
        return FitResult(done.step, done.seconds, done.latest["loss"], done.latest)


def _end_stage(
    journal: Journal,
    task: Task,
    ema: Ema | None,
    done: Progress,
    plan: Plan,
    validate: Callable[[], dict[str, float]] | None,
    warned: set[str],
) -> None:
    """Validate, record the figures, and warn if the run does not learn: when this begins, and at the run's end."""
    figures: dict[str, float] = {}
    give_back()  # what steps have freed, which embedding would come on top of
    if validate is not None and is_main():
        task.eval()
        with torch.no_grad(), ema.shown() if ema is not None else contextlib.nullcontext():
            figures = validate()
        task.train()
    give_back()  # and what that has freed, before the search for neighbours
    barrier()
    epoch = plan.epochs_after(done.step)
    journal.record({"step": done.step, "epoch": epoch, **figures})
    shown = "".join(f", {name} {value:.2f}" for name, value in figures.items())
    journal.say(f"epoch {epoch:.4g}: {_short(done.latest, task.chance_loss)}{shown}")
    for network, (loss, chance) in task.learning(done.latest).items():
        wrong = collapse(
            {**done.latest, "loss": loss}, chance, step=done.step, steps=plan.steps, count=task.count, batch=plan.batch
        )
        if wrong is None:
            continue
        kind = f"{network} {wrong.partition(':')[0]}"
        if kind not in warned or done.step == plan.steps:
            journal.warn(f"epoch {epoch:.4g}: " + (f"{network} network: {wrong}" if network else wrong))
        warned.add(kind)


def _save(journal: Journal, run: Path, done: Progress, task: Task, optimiser: Adam, ema: Ema | None) -> None:
    if is_main():
        done.lines = journal.lines()
        save_state(run, done, task, optimiser, ema)


def _fault(task: Task, plan: Plan, step: int, name: str, value: float) -> None:
    batch = np.concatenate([plan.recordings(step, of=process) for process in range(processes())])
    names = ", ".join(task.store.manifest.ids[batch[:3]]) + (f" and {len(batch) - 3} more" if len(batch) > 3 else "")
    raise DivergedError(
        f"step {step + 1}: the {name.replace('_', ' ')} is {value}; the batch was {names}; "
        "lower learning_rate or set clip in the recipe, or look at these recordings with mfcl scan"
    )


def _opening(run: Path, task: Task, plan: Plan, done: Progress, device: torch.device) -> str:
    if done.finished:
        return f"{run}: finished before, at step {done.step}"
    verb = f"resumed at step {done.step} of" if done.step else "begun:"
    epochs = f"{plan.epochs_after(plan.steps):.4g} epochs of {task.count} recordings"
    return f"{run}: {verb} {worded(plan.steps, 'step')} of {plan.batch} recordings, {epochs}, on {device}"


def _short(figures: dict[str, float], chance: float) -> str:
    return f"loss {figures['loss']:.3f} (chance {chance:.3f}), top-1 {100 * figures['top1']:.0f} %"


@contextlib.contextmanager
def _exact() -> Iterator[None]:
    """Use cuDNN's deterministic convolutions inside a `with` block."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
