"""neurodyn: deep spiking neural networks whose neuron dynamics are learned."""

__version__ = "0.2.0"
