"""A report about results: one page that needs no server and no network."""

from kprtrack.report.write import write_report

__all__ = ["write_report"]
