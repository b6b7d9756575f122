"""How fast and how small the service is: measured as ratios, side by side with its peers, in one run."""
