"""The evidence at a point: accuracy, kinks, the reference in doubt, laws, second order, blindness."""
