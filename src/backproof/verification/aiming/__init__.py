"""Points chosen for the code at hand: next to its constants, and with axes longer than its blocks."""
