"""People and their judgements: who is asked what, and whether they agree."""
