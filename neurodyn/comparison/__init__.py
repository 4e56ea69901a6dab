"""Many runs: neurons compared on the same network with the same recipe, over seeds."""
