"""The command `mfcl`: a thin command-line interface. Heavy imports are deferred to the verb that needs them."""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from mfcl import __version__
from mfcl.cli import corpora, exploring, labels, serving, sharing, studying, using, voices
from mfcl.cli.options import OneLineParser
from mfcl.core.console import printable
from mfcl.core.process import set_before_torch
from mfcl.errors import MfclError, advice

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on standard error for what a person can mend."""
    _open_streams()
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser().print_help()
        return 0
    given = parser().parse_args(words)
    set_before_torch()
    try:
        with _stopped_as_by_the_keyboard():
            given.run(given)
        sys.stdout.flush()
    except MfclError as error:
        _complain(f"mfcl: {printable(str(error))}")
        return 2
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted; nothing is half-written"
        same = "a study with the same command" if str(error) else "all else goes on or starts again by the same command"
        _complain(f"\nmfcl: {what}; `train` goes on with --resume, {same}")
        return INTERRUPTED
    except BrokenPipeError:  # `mfcl scan ... | head`
        _print_no_more()
    except OSError as error:
        _print_no_more()  # what is still to be printed would fail again at the end
        place = os.fsdecode(error.filename) if error.filename is not None else "printing or writing"
        _complain(f"mfcl: {place}: {error.strerror or error}; {advice(error)}; nothing is half-written")
        return 2
    except UnicodeEncodeError as error:
        named = ascii(error.object[max(error.start - 80, 0) : error.start + 1])
        _complain(f"mfcl: {named}: a name that is not UTF-8; rename the file or folder")
        return 2
    except MemoryError as error:
        _complain(f"mfcl: not enough memory{f' ({error})' if str(error) else ''}; use a smaller batch or shorter sound")
        return 2
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        told = printable(" ".join(str(error).split())[:200])
        _complain(f"mfcl: not enough memory ({told}); use a smaller batch or shorter sound")
        return 2
    return 0


def parser() -> OneLineParser:
    """Return the parser of all commands."""
    top = OneLineParser(prog="mfcl", description="Audio representations by multi-format contrastive learning.")
    top.add_argument("--version", action="version", version=f"mfcl {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    for group in (corpora, studying, using, labels, exploring, sharing, serving, voices):
        group.add_commands(command)
    return top


@contextlib.contextmanager
def _stopped_as_by_the_keyboard() -> Iterator[None]:
    """Let SIGTERM, by which schedulers and containers end a process, do what Ctrl-C does: nothing is left half-written.

    By default it would end the process at once, and temporary files and folders would stay.
    """
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _open_streams() -> None:
    """Give the process the streams that it was started without, and let them write any name in some way.

    A file that is opened while standard error is closed would get its number, and then whatever is printed there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            place = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if place != number:
                os.dup2(place, number)
                os.close(place)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch, which need not be loaded here, had no memory left: on a GPU, or on the processor."""
    return type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator: " in str(error)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        print(f"{text}\n", end="", file=sys.stderr, flush=True)  # one write: other processes may say something, too


def _print_no_more() -> None:
    """Send what is still to be printed nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
