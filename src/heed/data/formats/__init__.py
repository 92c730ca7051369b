"""Public data formats, one module each: how it is read into records, and how records are written in it."""
