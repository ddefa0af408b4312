"""Targets with a known law, models that learn them from samples, and dense against experts: the errors are exact.

targets.py     mixtures of Markov chains: overlapping, disjoint, nested
tabular.py     next-token tables learned by counting
routing.py     the sequence law that each routing rule gives
experiment.py  dense against experts at equal total samples; ``python -m toy_models``
"""
