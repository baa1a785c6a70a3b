"""Pages in Markdown, made from what the code says: parts, boards, run keys, hook points, plugin hooks, commands."""

from pegboard.documents.part import part_page
from pegboard.documents.reference import reference_pages

__all__ = ["part_page", "reference_pages"]
