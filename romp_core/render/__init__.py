"""Off-screen rendering of bodies."""
