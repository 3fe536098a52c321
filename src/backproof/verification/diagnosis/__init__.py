"""Why a derivative is wrong: the cause, the layer, and the smallest example."""
