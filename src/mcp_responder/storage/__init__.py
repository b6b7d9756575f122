"""Remember: equal answers to the same ports, held to one contract suite."""
