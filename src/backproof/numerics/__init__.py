"""Programs run in NumPy with their rounding noise measured: the basis of verification and derivations."""
