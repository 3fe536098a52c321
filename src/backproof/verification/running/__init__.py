"""Both sides of a claim, evaluated: interpreted, compiled, in low precision, and by differences."""
