"""The pre-training step: recordings a second of each recipe, beside what the machine could do, and where time goes."""

import contextlib
import functools
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sounds import SECONDS, open_recordings, write_recordings
from benchmarks.timing import in_turn, matrix_rates, wait
from mfcl.models.losses import TERMS
from mfcl.models.pair import make_model
from mfcl.recipe import Recipe, load_recipe
from mfcl.training.batch_schedule import Plan
from mfcl.training.optim import make_optimiser, set_rate
from mfcl.training.precision import settle
from mfcl.training.resident import resident
from mfcl.training.steps import learner, seen
from mfcl.training.tasks.contrastive import Pretrain

RECIPES = ("default", "quick", "reference")
BATCHES = {"reference": ["train.batch=32"]}
"""As its supervised training has it: its own 104 for pre-training would take minutes a step, at the same rate."""
STEPS = {"reference": 2}
"""Steps at a time; the others, which are quicker, `MORE`: the first batch of each time is not made ahead."""
MORE = 8
BACKWARD = 2
"""Multiply-adds of a backward pass over those of its forward pass: one product for the input, one for the weights."""


def measure(*, rounds: int = 3, tiny: bool = False, device: str = "cpu") -> dict[str, Any]:
    """Return recordings a second of each recipe's step, their ratios, the share of the machine's limit, a profile."""
    where = torch.device(device)
    rates = matrix_rates(where, size=256 if tiny else 2048, rounds=rounds)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        recordings = write_recordings(Path(folder) / "sound", 16 if tiny else 256)
        asked = {}
        for name in RECIPES:
            own = processes.enter_context(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
            options = ["train.batch=4"] if tiny else BATCHES.get(name, [])
            trial = (name, options, recordings, Path(folder) / "cache", device, tiny)
            own.submit(_begin, *trial, threads=torch.get_num_threads()).result()
            asked[name] = functools.partial(_ask, own)
        seconds = in_turn({name: functools.partial(ask, "some_steps") for name, ask in asked.items()}, rounds=rounds)
        found: dict[str, Any] = {"matrix_gigamultiplyadds_per_second": {k: v / 1e9 for k, v in rates.items()}}
        for name, ask in asked.items():
            batch, sound, precision, work = ask("facts")
            rate = (1 if tiny else STEPS.get(name, MORE)) * batch / seconds[name]
            best = sum(work[format] / rates[precision[format]] for format in work)
            found[name] = {
                "recordings_per_second": rate,
                "sound_seconds_per_second": rate * sound,
                "multiply_adds_per_recording": sum(work.values()),
                "share_of_limit": rate * best,
                "profile": ask("profile", 1 if tiny else 2 * rounds),
            }
            found[name]["data_share"] = found[name]["profile"]["data"] + found[name]["profile"]["views"]
        own = found["default"]
        for other in ("quick", "reference"):
            for what in ("recordings", "sound_seconds"):
                key = f"ratio_default_over_{other}" + ("" if what == "recordings" else "_in_sound")
                found[key] = own[f"{what}_per_second"] / found[other][f"{what}_per_second"]
    return found


def _begin(
    name: str, options: list[str], recordings: Any, cache: Path, device: str, tiny: bool, *, threads: int
) -> None:
    """Make this process's trial; a process each, as a training has: what one holds would make another give back."""
    global _trial
    torch.set_num_threads(threads)
    recipe = load_recipe(name, options)
    _trial = Trial(recipe, open_recordings(recordings, recipe, cache), torch.device(device), tiny=tiny)


def _do(what: str, *given: Any) -> Any:
    return getattr(_trial, what)(*given)


def _ask(process: ProcessPoolExecutor, what: str, *given: Any) -> Any:
    return process.submit(_do, what, *given).result()


class Trial:
    """A recipe's pre-training, some steps of it at a time."""

    def __init__(self, recipe: Recipe, store: Any, device: torch.device, *, tiny: bool = False) -> None:
        self.recipe, self.device = recipe, device
        self.task = Pretrain(make_model(recipe.model, seed=0), store, recipe, seed=0)
        self.task.precision = {
            name: settle(getattr(recipe.train, f"{name}_precision"), device) for name in ("wave", "mel")
        }
        self.task.to(device).train()
        self.task.prepare()
        self.task.begin(0, 1)
        self.task.clips = resident(store, device)
        self.optimiser = make_optimiser(self.task, recipe.train)
        set_rate(self.optimiser, 1e-4)
        self.learned = learner(self.task, self.task, self.optimiser, clip=recipe.train.clip, where=device)
        self.plan = Plan(store.lengths, recipe.train.batch, 1000, 0)
        self.batch = min(recipe.train.batch, len(store))
        self.steps = 1 if tiny else STEPS.get(recipe.name, MORE)
        self.done = 0

    @property
    def sound_seconds(self) -> float:
        """Seconds of sound that the encoders hear of a recording in a step."""
        return self.recipe.crops.length * SECONDS * sum(len(side) for side in TERMS[self.recipe.loss.terms])

    def some_steps(self) -> None:
        """Do a few steps, as the training loop does: the next batch is made while one is learned from."""
        steps = range(self.done, self.done + self.steps)
        for _, batch in seen(self.task, self.plan, steps, self.device):
            self.learned(batch)
        wait(self.device)
        self.done += self.steps

    def facts(self) -> tuple[int, float, dict[str, str], dict[str, float]]:
        """Return the batch, `sound_seconds`, each format's precision and `multiply_adds`."""
        return self.batch, self.sound_seconds, dict(self.task.precision), self.multiply_adds()

    def multiply_adds(self) -> dict[str, float]:
        """Return those of a recording's forward and backward pass, by format; the loss's are left out."""
        counts: dict[str, float] = defaultdict(float)
        whole = self.task.frames

        def counted(encoder: Any, format: str, *given: Any) -> Any:
            with FlopCounterMode(display=False) as counter:  # it counts a multiplication and an addition as two
                frames = whole(encoder, format, *given)
            counts[format] += counter.get_total_flops() / 2
            return frames

        self.task.frames = counted  # type: ignore[method-assign]
        try:
            with torch.no_grad():
                self.task(self.task.see(self._batch(0)))
        finally:
            del self.task.frames
        return {format: (1 + BACKWARD) * count / self.batch for format, count in counts.items()}

    def profile(self, steps: int) -> dict[str, float]:
        """Return the shares of a step's time, one thing after the other: nothing is made ahead."""
        spent: dict[str, float] = defaultdict(float)
        whole, projected, loss_of = self.task.frames, self.task._projected, self.task.loss.forward

        def timed(what: str, work: Callable[..., Any]) -> Callable[..., Any]:
            def run(*given: Any, **named: Any) -> Any:
                start = time.perf_counter()
                made = work(*given, **named)
                wait(self.device)
                spent[what] += time.perf_counter() - start
                return made

            return run

        self.task.frames = lambda *given: timed(f"{given[1]} forward", whole)(*given)  # type: ignore[method-assign]
        self.task._projected = timed("encoders and heads", projected)  # type: ignore[method-assign]
        self.task.loss.forward = timed("loss", loss_of)  # type: ignore[method-assign]
        encoders = [encoder.encoder for encoder in (self.task.model.wave, self.task.model.mel)]
        small = [encoder.small for encoder in encoders]
        try:
            for encoder in encoders:
                encoder.small = False  # one format after the other, too
            for step in range(steps):
                batch = timed("views", self.task.see)(timed("data", self._batch)(step))
                start, inside = time.perf_counter(), spent["encoders and heads"] + spent["loss"]
                loss, _ = self.task(batch)
                wait(self.device)
                outside = time.perf_counter() - start - (spent["encoders and heads"] + spent["loss"] - inside)
                spent["the rest of the loss"] += outside
                self.optimiser.zero_grad()
                timed("backward", loss.backward)()
                timed("optimiser", self.optimiser.step)()
        finally:
            del self.task.frames, self.task._projected, self.task.loss.forward
            for encoder, before in zip(encoders, small, strict=True):
                encoder.small = before
        forward = sum(seconds for what, seconds in spent.items() if what.endswith(" forward"))
        spent["pooling and heads"] = spent.pop("encoders and heads") - forward
        total = sum(spent.values())
        return {what: seconds / total for what, seconds in spent.items()}

    def _batch(self, step: int) -> Any:
        return self.task.batch(self.plan.recordings(step), self.plan.epoch(step))


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = []
    for name in RECIPES:
        one = found[name]
        lines.append(
            (f"{name}: recordings, seconds of sound, a second",
             f"{one['recordings_per_second']:.1f}, {one['sound_seconds_per_second']:.1f}")
        )  # fmt: skip
        lines.append((f"{name}: share of the matrix product's limit", f"{one['share_of_limit']:.2f}"))
        parts = ", ".join(f"{what} {100 * share:.0f} %" for what, share in one["profile"].items())
        lines.append((f"{name}: where the time goes", parts))
    for key in found:
        if key.startswith("ratio"):
            lines.append((key.replace("_", " "), f"{found[key]:.1f}"))
    return lines
