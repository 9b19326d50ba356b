"""Whether a gradient hides what an attack could find."""
