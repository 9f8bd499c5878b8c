"""The rules a player lives by, on arrays over every car of every arena. Knows no torch."""
