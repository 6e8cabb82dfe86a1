"""The simulated servers: their state, their SSH, the units they run, and what answers on their ports."""
