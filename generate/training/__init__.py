"""Training of a network: examples, augmentation, distillation, epochs that can be resumed."""
