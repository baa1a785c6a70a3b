"""A run explained in one page: ``report.html``."""
