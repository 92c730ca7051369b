"""What a run will take before it starts: tokens, operations, bytes, and from them time and memory."""
