"""The program that runs an exported file without torch and without this package: a file that ships beside it."""

from pathlib import Path

from mfcl.core.files import replacing
from mfcl.errors import ExportError

NAME = "run_onnx.py"


def write_runner(path: str | Path) -> None:
    """Write `run_onnx.py`: it prepares recordings as `mfcl embed` does and runs the file of `export_onnx`.

    The program needs numpy, soundfile and onnxruntime, nothing else.

    Args:
        path: Where to write it.

    Raises:
        ExportError: this installation lacks it.
        MfclError: the file cannot be written.
    """
    try:
        program = _shipped().read_bytes()
    except OSError as error:
        raise ExportError(
            f"{path}: wanted to write {NAME}, but this installation of mfcl lacks it ({error.strerror or error}); "
            "install mfcl again"
        ) from error
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(program)


def _shipped() -> Path:
    installed = Path(__file__).with_name(NAME)
    return installed if installed.is_file() else Path(__file__).parents[3] / "examples" / NAME  # a source checkout
