"""Language models, reward models and value models: loading, running them on answer groups, saving them."""
