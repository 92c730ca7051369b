"""Pages about runs: one self-contained HTML report with figures one wants to look at."""

from heed.reports.page import write_report

__all__ = ["write_report"]
