"""Patterns for many images: a universal perturbation or a patch, fitted on some images, scored on others."""
