"""What others test with: Hypothesis strategies for pmfs, couplings, schedules and decentralized systems."""
