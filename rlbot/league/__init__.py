"""Who to play against."""
