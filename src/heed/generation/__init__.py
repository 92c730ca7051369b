"""Sampling: the local engine, remote servers, and samplers made of samplers. Everything here plays ``Sampler``."""
