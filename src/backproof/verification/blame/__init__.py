"""Which line of the hand-written code is wrong, and what should stand there."""
