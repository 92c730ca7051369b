"""The commands. Thin: each reads its arguments, calls one thing below, and prints what came back."""
