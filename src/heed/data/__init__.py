"""Data: tokens and chat, readers and writers of public formats, prompt hygiene, mixtures, packing and batches."""
