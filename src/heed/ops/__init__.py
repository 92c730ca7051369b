"""The mathematics of the loop as pure functions: tensors in, named tensors out, no state, no models."""
