"""What is claimed, and by whom: rules, functions with a rule of their own, and the form of a result."""
