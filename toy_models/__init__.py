"""Targets with a known law, models that learn them from samples, and dense against experts: the errors are exact.

targets.py      mixtures of Markov chains (overlapping, disjoint, nested) and of small grids
tabular.py      next-token tables learned by counting
transformer.py  tiny Llamas, dense or K experts stepped together
denoisers.py    networks that learn the law of hidden tokens, and the router of partly hidden states
routing.py      routers on prefixes and the sequence law that one gives
routers.py      routers learned from labels: discriminative, cosine
measures.py     exact distances, the terms of C12, the bound of C14
flows.py        discrete flow models: error against steps, central and mixed velocities
presets.py      the sizes of a run
experiment.py   dense against experts at equal total samples and compute; ``python -m toy_models``
smollm2.py      two experts from one pretrained model, on real text (packaged.py: what packages ship)
report.py       README's tables from the kept results (smollm2_report.py, records.py, intervals.py)
"""
