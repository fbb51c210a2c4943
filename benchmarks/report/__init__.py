"""Turns what the cases measured into a report: the aims, tables in Markdown, plots."""
