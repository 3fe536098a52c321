"""The claims of rules, losses and functions about their derivatives, and the form that a result must have."""
