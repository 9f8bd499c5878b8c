"""A trained policy's life after training."""
