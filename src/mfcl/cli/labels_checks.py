"""Which options of `mfcl classify` go together."""

import argparse

from mfcl.cli.labels_events import MERGING
from mfcl.core.files import check_there
from mfcl.errors import MfclError, check_number


def check_options(given: argparse.Namespace, *, fits: bool, events: bool) -> None:
    """Refuse options that do not go together, and numbers out of range.

    Args:
        given: The options.
        fits: Whether a model is given, and no classifier.
        events: Whether events are asked for.

    Raises:
        MfclError: see there.
    """
    from mfcl.audio.windows import check_covered
    from mfcl.core.urls import UrlPath
    from mfcl.embeddings.part_files import holds_embeddings

    asked = [name for name in ("fit", "labels", "label", "suggest", "draw") if getattr(given, name) is not None]
    lists = given.suggest is not None or given.draw is not None
    if not fits and ([name for name in asked if not (name == "label" and given.check)] or given.align):
        raise MfclError(f"{given.what}: this is a classifier already; give a model to fit another one (--fit)")
    if lists and (given.out is None or given.fit is not None or (given.suggest and given.draw)):
        raise MfclError("--suggest and --draw write a list of clips: give --out CSV, one of the two, and no --fit")
    if fits and given.fit is None and not lists:
        check_there(given.what, "a classifier or a model", "give the folder of one")
        raise MfclError(
            f"{given.what}: not a classifier; give one, or write one with this model: --labels CSV --fit FOLDER"
        )
    if lists and given.align:
        raise MfclError("--align is for --fit: --suggest and --draw choose clips without it; leave it out")
    if fits and given.model is not None:
        raise MfclError("--model is for a classifier whose model was moved; the model to fit is named first")
    check_number("least", given.least, 0, 1)
    if fits and given.least and (lists or given.out is None):
        raise MfclError("--least is for answers, and a classifier does not keep it: give it where you classify")
    merging = events or any(getattr(given, name) for name in MERGING)
    if fits and (merging or given.hop is not None or (lists and given.format not in (None, "csv"))):
        raise MfclError(
            "--suggest and --draw write a CSV of clips; leave out --format and the options of events"
            if lists
            else "events are of a classifier: fit one, then give its folder; --fit writes answers as csv or json"
        )
    if fits and (given.window is not None or given.check is not None):
        raise MfclError("--window and --check are for a classifier: fit one, then give its folder")
    embedded = not isinstance(given.data, UrlPath) and holds_embeddings(given.data)
    if given.window is None and (given.hop is not None or (events and not embedded)):
        raise MfclError("--hop, --events, raven, audacity and rttm are for windows; give --window SECONDS too")
    if events and given.window is not None and given.hop is not None:
        check_covered(given.window, given.hop)
    if any(getattr(given, name) for name in MERGING) and not events:
        raise MfclError("--begin, --go-on, --shortest, --longest and --gap are for events; give --events too")
    if given.check is not None and (given.window is not None or events):
        raise MfclError("--check is for whole recordings; leave --window and --events out")
