"""The doors: translate and call, nothing else."""
