"""Training of one network: a Lightning module, an optimiser, recipes."""
