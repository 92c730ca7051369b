"""The studio's pages, a module for each subject; each lists its ``ROUTES``."""
