"""What others test with: checks of a decentralized system, a pytest plugin, and Hypothesis strategies.

Nothing is imported here, so that the plugin stays light; see README.md beside this file.
"""
