"""Points chosen for the code at hand: beside its constants, and longer than its blocks."""
