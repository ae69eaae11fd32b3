"""Write a trained model for programs without torch, or without this package."""

from mfcl.exporting.answers import Exported
from mfcl.exporting.onnx_file import export_onnx
from mfcl.exporting.pt2_file import export_pt2
from mfcl.exporting.runner import write_runner

__all__ = ["Exported", "export_onnx", "export_pt2", "write_runner"]
