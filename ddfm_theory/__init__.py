"""Verify decentralized autoregressive generation: the mathematics once, in every number system.

Time runs from t = 0 (source) to t = 1 (target). An enumerated pmf over states has shape ``(d,) * N``; a velocity has
shape ``(..., N, d)``, destination token last, current state in the leading axes.
"""

__version__ = "0.1.0"
