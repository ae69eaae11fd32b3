"""The errors a person can cause and mend; each message is one line: what was wanted, what came, where, what to do."""

import difflib
from collections.abc import Iterable


class MfclError(Exception):
    """Something outside the program is wrong; the command line prints the message and exits with 2."""


class AudioError(MfclError):
    """A file that cannot be used as sound."""


class ManifestError(MfclError):
    """A list of recordings that cannot be read or used as asked."""


class SplitError(ManifestError):
    """Recordings that cannot be split as asked."""


class StoreError(MfclError):
    """The cache of decoded sound cannot be built or read."""


class FetchError(MfclError):
    """A public archive that cannot be had, or is not what it should be."""


class RecipeError(MfclError):
    """A setting that does not exist or is out of range."""


class CheckpointError(MfclError):
    """A saved model or run that cannot be read or continued."""


class TrainingError(MfclError):
    """A training run that cannot go on."""


class MeasureError(MfclError):
    """Embeddings or labels that cannot be measured as asked."""


def one_of(kind: str, given: str, allowed: Iterable[str]) -> str:
    """Return the end of a message about a wrong choice: what is allowed, and the nearest spelling.

    Example:
        >>> one_of("pooling", "maen", ["mean", "max"])
        "no pooling is called 'maen'; use one of max, mean (did you mean 'mean'?)"
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"no {kind} is called {given!r}; use one of {', '.join(names)}{hint}"
