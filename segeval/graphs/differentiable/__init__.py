"""A deployed file as a differentiable module."""
