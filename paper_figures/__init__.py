"""Figures and tables for a paper: each drawn from JSON, equal data giving equal bytes.

records.py    data that say what they lack
data/         the JSON that figures are drawn from, and beside each file the module that computed it
venues.py     text widths and font sizes of venues
style.py      what all figures share: fonts, colours, hatches, line styles, the simplex
entries.py    what a figure or table is, and the walk that finds them
figures/      one file a figure, named by what it shows
tables/       one file a table
captions.py   numbers as a caption prints them
build.py      files in a venue's width; ``python -m paper_figures`` and ``ddfm figures``
"""
