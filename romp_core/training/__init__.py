"""Training: losses, targets, the Lightning module. Nothing else of `romp_core` imports this."""
