"""Notebooks: prose and calls. ``python -m notebooks`` makes the .ipynb of each pair from its .md."""
