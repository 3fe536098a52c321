"""Programs run in NumPy with their rounding noise: the ground on which verification and derivations stand."""
