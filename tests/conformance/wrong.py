"""Wrong theories: each a small edit of meaning to a right system, with the check and statement that must catch it."""

import wrong_experts
import wrong_laws
import wrong_paths
import wrong_velocities
from catalogue import CATALOGUE, Edited, rebuilt, with_velocity

ROOMS = (wrong_experts, wrong_laws, wrong_paths, wrong_velocities)  # each enters its own into the catalogue

__all__ = ["CATALOGUE", "ROOMS", "Edited", "rebuilt", "with_velocity"]
