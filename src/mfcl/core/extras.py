"""Packages of mfcl's extras, imported when they are first needed."""

import importlib
from typing import Any

from mfcl.errors import MissingExtraError


def need(package: str, extra: str) -> Any:
    """Return a package of an extra.

    Args:
        package: The package to import.
        extra: The extra of mfcl that installs it.

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> need("json", "onnx").dumps([1])
        '[1]'
        >>> need("no_such_package", "onnx")
        Traceback (most recent call last):
        ...
        mfcl.errors.MissingExtraError: wanted the package no_such_package, it is not installed; pip install 'mfcl[onnx]'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:  # the package is there, and lacks one of its own
            raise
        raise MissingExtraError(
            f"wanted the package {error.name}, it is not installed; pip install 'mfcl[{extra}]'"
        ) from None
