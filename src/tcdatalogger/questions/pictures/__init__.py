"""Answers as pictures: one SVG for every kind of chart, and PNG of it."""
