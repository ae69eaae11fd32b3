"""The report of a study: one page that opens anywhere, its table as CSV, and figures for print."""

from mfcl.report.page import make_report

__all__ = ["make_report"]
