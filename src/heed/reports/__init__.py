"""Pages about runs and models: self-contained HTML with figures one wants to look at."""

from heed.reports.comparison_page import write_comparison
from heed.reports.page import write_report

__all__ = ["write_comparison", "write_report"]
