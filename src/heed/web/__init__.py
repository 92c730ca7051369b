"""The labeling studio: a web app for labelers and their leads. It runs no model and loads no torch."""
