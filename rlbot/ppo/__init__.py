"""PPO in Lightning: policy, losses, rollouts, the module and the data module. Knows no RocketSim."""
