"""The report: what was learned, measured and found, as one page that opens from disk."""

from moonshelf.report.page import Section, write_report

__all__ = ["Section", "write_report"]
