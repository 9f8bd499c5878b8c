"""RocketSim and nothing else: controls in, arrays out."""
