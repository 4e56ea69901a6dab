"""What a step is: the graph of its operations and of its derivative, recorded from PyTorch."""
