"""How fast Heed is and how much memory it takes, beside what else one would use, on the same work."""
