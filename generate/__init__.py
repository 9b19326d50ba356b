"""Crafting adversarial images with PyTorch, and training the networks to attack."""
