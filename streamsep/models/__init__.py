"""From a model file to something that runs: manifest, loader, bank, and the laws a model is held to."""
