"""One file a figure, named by what it shows."""
