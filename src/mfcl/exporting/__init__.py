"""Write a trained model for programs without torch."""

from mfcl.exporting.onnx_file import Exported, export_onnx

__all__ = ["Exported", "export_onnx"]
