"""The comparison: each topology under a growing swarm until its first failure, beside theory."""
