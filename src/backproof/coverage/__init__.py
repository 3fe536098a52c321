"""Which gradients written by hand a project has, and which of them its tests verify."""
