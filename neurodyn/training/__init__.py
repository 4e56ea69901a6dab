"""Training: a Lightning module, recipes, and the comparison of neurons over seeds."""
