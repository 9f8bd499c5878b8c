"""Which recipe learns best: train each with several seeds, let the bots play whole matches, draw what was found."""
