"""Measure speed: `python -m benchmarks` does all, `python -m benchmarks step logmel` some.

Every figure that compares is a ratio of medians, taken in one run of several rounds in turn.
"""

import argparse
import inspect
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import (
    accuracy,
    alignment,
    ann,
    choices,
    day,
    embedding,
    events,
    explore,
    exported,
    gpu,
    growth,
    logmel,
    memory,
    neighbours,
    packs,
    paper,
    parts,
    searches,
    serving,
    starts,
    step,
    store,
    voices,
)
from benchmarks.timing import machine
from mfcl.core.console import table
from mfcl.core.files import write_json
from mfcl.core.machine import use_machine
from mfcl.errors import MfclError, one_of

ALL = {
    "step": step, "choices": choices, "embedding": embedding, "logmel": logmel, "store": store,
    "neighbours": neighbours, "alignment": alignment, "growth": growth, "memory": memory, "parts": parts,
    "packs": packs, "searches": searches, "ann": ann, "paper": paper,
    "starts": starts, "voices": voices, "explore": explore, "events": events, "day": day, "serving": serving,
    "onnx": exported, "gpu": gpu, "accuracy": accuracy,
}  # fmt: skip
"""Name -> what measures it; `accuracy` is done with --data or by name."""


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked, print a table, write JSON; 2: it was asked for wrongly."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; all if left out")
    parser.add_argument("--json", type=Path, default=Path("runs/bench.json"), help="where figures are written")
    parser.add_argument("--rounds", type=int, help="rounds in turn, instead of each one's own")
    parser.add_argument("--threads", type=int, help="processor threads; as many as allowed if left out")
    parser.add_argument("--data", type=Path, help="labelled recordings with a validation part, for accuracy and onnx")
    parser.add_argument("--model", type=Path, help="a trained model's folder, for onnx; with --data its accuracy, too")
    parser.add_argument("--clips", type=int, nargs="+", help="numbers of clips, for memory, parts, packs and ann")
    parser.add_argument("--seconds", type=int, nargs="+", help="seconds of one long file, for memory and day")
    parser.add_argument("--full", action="store_true", help="30,000 clips in the store")
    parser.add_argument("--tiny", action="store_true", help="next to nothing, to see that it runs")
    parser.add_argument("--list", action="store_true", help="say what there is")
    given = parser.parse_args(arguments)
    if given.list:
        print(table([(name, one.__doc__.split("\n")[0]) for name, one in ALL.items()], ["name", "what"]))
        return 0
    for name in given.names:
        if name not in ALL:
            print(one_of("benchmark", name, ALL), file=sys.stderr)
            return 2
    names = given.names or [name for name in ALL if name != "accuracy" or given.data]
    found: dict[str, Any] = {}
    try:
        use_machine(given.threads)
        for name in names:
            found[name] = _measured(name, given)
            # after each: what is measured is kept
            _write(given.json, found[name] if len(names) == 1 else found, arguments)
    except MfclError as error:
        print(error, file=sys.stderr)
        return 2
    print(table([row for name in names for row in ALL[name].rows(found[name])], ["what", "figure"]))
    print(f"\n{given.json}: all figures")
    return 0


def _write(path: Path, found: dict[str, Any], arguments: list[str] | None) -> None:
    """Write all figures so far; those of one benchmark alone are on the first level."""
    about = {"machine": machine(), "command": shlex.join(["python", "-m", "benchmarks", *(arguments or sys.argv[1:])])}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**about, **found})


def _measured(name: str, given: argparse.Namespace) -> dict[str, Any]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    work = ALL[name].measure
    wanted = {key: getattr(given, key, None) for key in inspect.signature(work).parameters}
    options = {key: value for key, value in wanted.items() if value is not None}
    start = time.perf_counter()
    found: dict[str, Any] = work(**options)
    return {**found, "seconds_of_measuring": round(time.perf_counter() - start, 1)}


if __name__ == "__main__":
    sys.exit(main())
