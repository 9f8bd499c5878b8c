"""How fast training is on this machine, where its time goes, and which settings make it faster."""
