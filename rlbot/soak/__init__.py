"""Can a run be left alone: one with faults, ended and resumed again and again, and what must have come of it."""
