"""How the database gets from one version of its schema to the next."""
