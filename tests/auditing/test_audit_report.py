"""The report says what passes, in text and as JSON."""
